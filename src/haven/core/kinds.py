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
    host,
    hypervisor,
    lease,
    load,
    oom,
    order,
    records,
    settings,
    snapshot,
    transaction,
    view,
)
from haven.core.crm import memory as crm_memory
from haven.core.lrm import memory as lrm_memory
from haven.core.node import memory as node_memory
from haven.core.rules import compiled


def _is_of(module: ModuleType, item: type) -> bool:
    """Defined in it, or in a module of it."""
    return f"{item.__module__}.".startswith(f"{module.__name__}.")


def _dataclasses(modules: Iterable[ModuleType]) -> dict[str, type]:
    return {
        name: item
        for module in modules
        for name, item in vars(module).items()
        if isinstance(item, type) and is_dataclass(item) and _is_of(module, item)
        if not name.startswith("_")
    }


KINDS: Mapping[str, type] = _dataclasses(
    (
        clock,
        compiled,
        contract,
        crm_memory,
        ending,
        event,
        host,
        hypervisor,
        lease,
        load,
        lrm_memory,
        node_memory,
        oom,
        order,
        records,
        settings,
        snapshot,
        transaction,
        view,
    )
)
