"""A guest's agent: whether it answers, and whether it has frozen the guest's file systems."""

from typing import Any

import libvirt

from haven.hypervisor import domains
from haven.hypervisor.protocol import Heard

_ASK = '{"execute":"guest-fsfreeze-status"}'
_FROZEN = '"frozen"'

# "not responding" and "not in sync"
_SILENT = (libvirt.VIR_ERR_AGENT_UNRESPONSIVE, libvirt.VIR_ERR_AGENT_UNSYNCED)


def heard(domain: Any, timeout_s: int) -> Heard:
    """What it says now. libvirt waits `timeout_s` for the first answer, and 5 s for each after one that did not
    come. Errors that are not the agent's silence pass through."""
    import libvirt_qemu  # only where a guest is asked

    try:
        answer = str(libvirt_qemu.qemuAgentCommand(domain, _ASK, timeout_s, 0))
    except libvirt.libvirtError as error:
        if error.get_error_code() in _SILENT:
            return Heard(answered=False)
        if error.get_error_code() == libvirt.VIR_ERR_ARGUMENT_UNSUPPORTED:  # "is not configured"
            return Heard(answered=False, absent=True)
        if error.get_error_code() == libvirt.VIR_ERR_INTERNAL_ERROR:  # "the command has not been found"
            return Heard(answered=True)
        raise
    return Heard(answered=True, frozen=_FROZEN in answer)


def answers(domain: Any, timeout_s: int) -> bool:
    """Whether it answers; a guest that cannot be asked does not. A QEMU that hangs would keep the question."""
    try:
        return not domains.is_stuck(domain) and heard(domain, timeout_s).answered
    except libvirt.libvirtError:
        return False
