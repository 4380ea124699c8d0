"""What is left of a VM's options when it is no longer protected."""

from dataclasses import replace

from haven.core.care import shown
from haven.core.records import VmCare
from haven.core.transaction import Delete, Put
from haven.core.view import View


def without_care(view: View, sid: str) -> tuple[list[Put | Delete], str]:
    """Forget its options, and nobody waits for it any more: the writes, and what they do."""
    writes: list[Put | Delete] = []
    said = ""
    if f"care/{sid}" in view.entries:
        writes.append(Delete(f"care/{sid}"))
        options = ", ".join(shown(view.care(sid)))
        said += f"; its options are forgotten{f': {options}' if options else ''}"
    for other in _waiting_for(view, sid):
        left = replace(other, wait_for=None)
        writes.append(Delete(f"care/{other.sid}") if left == VmCare(other.sid) else Put(f"care/{other.sid}", left))
        said += f"; {other.sid} waits for it no longer"
    return writes, said


def _waiting_for(view: View, sid: str) -> list[VmCare]:
    cares = (view.care(other) for other in view.configs() if other != sid)
    return [care for care in cares if care.wait_for == sid]
