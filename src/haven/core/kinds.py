"""Every public dataclass of the core by its name: what can be written down and read back.

A new module with records, events, orders or memories is added here.
"""

from collections.abc import Iterable, Mapping
from dataclasses import is_dataclass
from types import ModuleType

from haven.core import (
    clock,
    contract,
    ending,
    event,
    hypervisor,
    load,
    manager,
    node_memory,
    order,
    records,
    settings,
    transaction,
    view,
)
from haven.core.lrm import memory as lrm_memory


def _dataclasses(modules: Iterable[ModuleType]) -> dict[str, type]:
    return {
        name: item
        for module in modules
        for name, item in vars(module).items()
        if isinstance(item, type) and is_dataclass(item) and not name.startswith("_")
    }


KINDS: Mapping[str, type] = _dataclasses(
    (
        clock,
        contract,
        ending,
        event,
        hypervisor,
        load,
        lrm_memory,
        manager,
        node_memory,
        order,
        records,
        settings,
        transaction,
        view,
    )
)
