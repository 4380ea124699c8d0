"""Which VMID a VM gets: a number for life, chosen once and the same whoever chooses."""

import re
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from itertools import count

from haven.core.records import VmIdentity
from haven.core.transaction import Put

MIN_VMID = 100
MAX_VMID = 999_999_999

# A run of digits that stands alone (`web-102`) or follows `vm` (`vm102`); `_` separates as `-` does.
_NUMBER = re.compile(r"(?:(?<![^\W_])|(?<=vm))([1-9][0-9]{2,8})(?![^\W_])", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Unnumbered:
    """A VM that has no VMID yet; `hint` is the VMID found in its definition's metadata."""

    uuid: str
    name: str
    hint: int | None = None


def assign_vmids(unnumbered: Iterable[Unnumbered], known: Mapping[str, int]) -> dict[str, int]:
    """VMIDs for these VMs, by uuid, beside the `known` ones.

    All hints are served first, then all numbers in names, then the rest by uuid, so that a VM without a
    number never takes the one in another's name, and everyone who looks at the same VMs chooses alike.
    """
    waiting = sorted(unnumbered, key=lambda vm: vm.uuid)
    taken = set(known.values())
    chosen: dict[str, int] = {}
    for wish in (_hinted, _named, _smallest):
        for vm in waiting:
            if vm.uuid not in chosen and (vmid := wish(vm, taken)) is not None:
                chosen[vm.uuid] = vmid
                taken.add(vmid)
    return chosen


def identity_writes(identity: VmIdentity) -> tuple[Put, Put]:
    """A VM's identity under its uuid and under its number: guarded both ways, no two VMs get one number and
    no VM gets two, whoever else is giving out numbers at the same moment."""
    return Put(f"vm/{identity.uuid}", identity), Put(f"vmid/{identity.vmid}", identity)


def _hinted(vm: Unnumbered, taken: Container[int]) -> int | None:
    return vm.hint if vm.hint is not None and _is_free(vm.hint, taken) else None


def _named(vm: Unnumbered, taken: Container[int]) -> int | None:
    numbers = (int(digits) for digits in _NUMBER.findall(vm.name))
    return next((number for number in numbers if _is_free(number, taken)), None)


def _smallest(_vm: Unnumbered, taken: Container[int]) -> int:
    return next(vmid for vmid in count(MIN_VMID) if vmid not in taken)


def _is_free(vmid: int, taken: Container[int]) -> bool:
    return MIN_VMID <= vmid <= MAX_VMID and vmid not in taken
