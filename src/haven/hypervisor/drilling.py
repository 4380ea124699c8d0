"""What a drill needs of a host: to end one QEMU process and no other, and to hear whether a guest answers."""

import os
import signal
from typing import Any

import libvirt
import libvirt_qemu

from haven.core.records import Instance
from haven.hypervisor.processes import Processes
from haven.hypervisor.protocol import HypervisorError

_PING = '{"execute":"guest-ping"}'


def agent_answers(domain: Any, timeout_s: int) -> bool:
    """Whether the guest's agent answers a ping within that time; also when there is none."""
    try:
        libvirt_qemu.qemuAgentCommand(domain, _PING, timeout_s, 0)
    except libvirt.libvirtError:
        return False
    return True


def kill(processes: Processes, name: str, instance: Instance) -> None:
    """SIGKILL to this very process: its number may have gone to another one by now, so it is held by a descriptor
    and looked at again before. Raises HypervisorError when it is gone."""
    try:
        descriptor = os.pidfd_open(instance.pid)
    except OSError as error:
        raise HypervisorError(_gone(name, instance)) from error
    try:
        if processes.instance(name) != instance:
            raise HypervisorError(_gone(name, instance))
        signal.pidfd_send_signal(descriptor, signal.SIGKILL)
    except OSError as error:
        raise HypervisorError(_gone(name, instance)) from error
    finally:
        os.close(descriptor)


def _gone(name: str, instance: Instance) -> str:
    return f"QEMU process {instance.pid} of VM {name} is gone: nothing was killed"
