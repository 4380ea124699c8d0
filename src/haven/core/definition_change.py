"""What changed in a VM's definition, in short words: `memory from 4096 MiB to 8192 MiB, disk vdb added (...)`."""

from collections.abc import Mapping


def difference(before: Mapping[str, str], after: Mapping[str, str]) -> str:
    """Between two readings of its parts; empty when none of them changed."""
    said = [_changed(name, before.get(name), after.get(name)) for name in dict.fromkeys([*before, *after])]
    return ", ".join(filter(None, said))


def _changed(name: str, old: str | None, new: str | None) -> str:
    if old == new:
        return ""
    if old is None:
        return f"{name} added ({new})" if new else f"{name} added"
    if new is None:
        return f"{name} taken out ({old})" if old else f"{name} taken out"
    return f"{name} from {old or 'nothing'} to {new or 'nothing'}"
