"""Resetting a VM without life, or ending its QEMU. Errors of libvirt pass through, unless said otherwise."""

import threading
from collections.abc import Callable
from typing import Any

import libvirt

from haven.core.hypervisor import Power
from haven.core.records import Instance
from haven.hypervisor import domains, processes
from haven.hypervisor.protocol import HypervisorError

RESET_TIMEOUT_S = 5.0
"""QEMU resets within 0.1 s; one that hangs would keep libvirt waiting for ever."""


def reset(domain: Any) -> None:
    """Restart the guest in its QEMU, and let it go on if it is paused. Raises HypervisorError when QEMU answers
    nothing."""
    if domains.is_stuck(domain):
        raise HypervisorError(f"QEMU of VM {domain.name()} answers nothing, not even libvirt")

    def press() -> None:
        domain.reset()
        if domains.power_of(domain) is Power.PAUSED:
            domain.resume()

    _within(RESET_TIMEOUT_S, press, f"QEMU of VM {domain.name()} did not reset within {RESET_TIMEOUT_S:g} s")


def end(domain: Any, instance: Instance | None) -> None:
    """End its QEMU: by libvirt; or with SIGKILL if QEMU answers nothing, for libvirt would send that only after
    10 s of waiting for an obedience that cannot come, and nothing in QEMU could be flushed by then either."""
    if instance is not None and domains.is_stuck(domain):
        kill(domain.name(), instance)
    else:
        domain.destroy()


def kill(name: str, instance: Instance) -> None:
    """SIGKILL to this very process and to no other. Raises HypervisorError when it is gone."""
    try:
        killed = processes.kill(instance)
    except OSError as error:
        raise HypervisorError(f"QEMU process {instance.pid} of VM {name}: {error.strerror}") from error
    if not killed:
        raise HypervisorError(f"QEMU process {instance.pid} of VM {name} is gone: nothing was killed")


def _within(limit_s: float, call: Callable[[], None], late: str) -> None:
    """Do it in a thread that is left behind when it lasts too long. Raises HypervisorError `late` then."""
    errors: list[libvirt.libvirtError] = []

    def run() -> None:
        try:
            call()
        except libvirt.libvirtError as error:
            errors.append(error)

    thread = threading.Thread(target=run, name="libvirt-reset", daemon=True)
    thread.start()
    thread.join(limit_s)
    if thread.is_alive():
        raise HypervisorError(late)
    if errors:
        raise errors[0]
