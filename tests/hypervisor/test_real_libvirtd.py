"""libvirt's daemon is killed, stops answering, and is back."""

import asyncio
import os
import re
import signal
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from haven.core.hypervisor import Moment, Power, Why
from haven.hypervisor import connection
from haven.hypervisor.libvirt_hypervisor import LibvirtHypervisor
from haven.hypervisor.protocol import UnreachableError
from haven.lab.host import LabHost
from tests.hypervisor.heard import Heard, eventually, listening
from tests.hypervisor.telling import read, state, told
from tests.hypervisor.tiny import Bench

pytestmark = pytest.mark.lab


@asynccontextmanager
async def daemon_back(host: LabHost) -> AsyncIterator[None]:
    """Whatever happens in the block, the next test finds a libvirtd."""
    try:
        yield
    finally:
        if host.libvirtd_pid is None:
            await asyncio.to_thread(host.libvirtd_start)


def test_libvirtd_killed_is_told_once_and_what_happened_meanwhile_is_found_by_state(bench: Bench) -> None:
    dies, lives = bench.guest("dies-unseen"), bench.guest("lives-on")

    async def story(hypervisor: LibvirtHypervisor, heard: Heard) -> None:
        for guest in (dies, lives):
            await asyncio.to_thread(hypervisor.start, guest.uuid)
        before = read(hypervisor, lives).instance
        async with daemon_back(bench.host):
            await asyncio.to_thread(bench.host.libvirtd_kill)
            await heard.until_lost()
            for call in (hypervisor.vms, lambda: hypervisor.vm(lives.uuid), lambda: hypervisor.start(dies.uuid)):
                with pytest.raises(UnreachableError):
                    call()
            with pytest.raises(UnreachableError):
                await hypervisor.connect(print, print)
            bench.host.kill_qemu(dies.name, signal.SIGKILL)
        async with listening(hypervisor) as later:
            assert state(hypervisor, dies) == (Power.OFF, Why.CRASHED)
            vms = {vm.uuid: vm for vm in hypervisor.vms()}
            assert (vms[lives.uuid].power, vms[lives.uuid].instance) == (Power.RUNNING, before)
            await asyncio.to_thread(hypervisor.start, dies.uuid)
            await later.until(dies.uuid, Moment.STARTED)

    heard = told(bench, story)
    assert heard.lost == ["libvirt's daemon ended"]


def test_libvirtd_killed_in_the_middle_of_a_call_ends_the_call(bench: Bench) -> None:
    guest = bench.guest("hangs-on")

    async def story(hypervisor: LibvirtHypervisor, heard: Heard) -> None:
        await asyncio.to_thread(hypervisor.start, guest.uuid)
        qemu_pid = bench.host.kill_qemu(guest.name, signal.SIGSTOP)
        await eventually(lambda: stands_still(qemu_pid))  # a thread that still runs could end it
        stopping = asyncio.create_task(asyncio.to_thread(hypervisor.stop, guest.uuid, 0))
        async with daemon_back(bench.host):
            await eventually(lambda: asked_to_end(qemu_pid))
            await asyncio.to_thread(bench.host.libvirtd_kill)
            with pytest.raises(UnreachableError, match="libvirt is gone"):
                await asyncio.wait_for(stopping, 3)
            await heard.until_lost()
        bench.host.kill_qemu(guest.name, signal.SIGKILL)

    heard = told(bench, story)
    assert len(heard.lost) == 1


def stands_still(pid: int) -> bool:
    """Whether SIGSTOP has reached every thread."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return all("\nState:\tT" in (task / "status").read_text() for task in tasks)


def asked_to_end(pid: int) -> bool:
    """Whether a stopped process has a SIGTERM waiting for it."""
    pending = status_number(pid, "ShdPnd", base=16)
    return bool(pending & 1 << (signal.SIGTERM - 1))


def status_number(pid: int, key: str, base: int = 10) -> int:
    found = re.search(rf"^{key}:\s+(\w+)", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1], base)


def test_a_libvirtd_that_stops_answering_hangs_neither_calls_nor_connects(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "KEEPALIVE_INTERVAL_S", 1)
    monkeypatch.setattr(connection, "KEEPALIVE_COUNT", 1)
    monkeypatch.setattr(connection, "OPEN_TIMEOUT_S", 0.3)

    async def story(hypervisor: LibvirtHypervisor, heard: Heard) -> None:
        with frozen(bench.host):
            with pytest.raises(UnreachableError, match="keepalive"):
                await asyncio.wait_for(asyncio.to_thread(hypervisor.vms), 5)
            await heard.until_lost()
            for _attempt in range(3):
                with pytest.raises(UnreachableError, match="did not answer"):
                    await hypervisor.connect(print, print)
            openers = [thread for thread in threading.enumerate() if thread.name == "libvirt-open"]
            assert len(openers) == 1, "attempts do not pile up"
        async with listening(hypervisor):
            assert hypervisor.vms()

    heard = told(bench, story)
    assert len(heard.lost) == 1


def test_a_libvirtd_that_stops_answering_does_not_hold_up_our_own_end(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "CLOSE_TIMEOUT_S", 0.3)

    async def story(hypervisor: LibvirtHypervisor, heard: Heard) -> None:
        with frozen(bench.host):
            await asyncio.wait_for(hypervisor.close(), 3)

    heard = told(bench, story)
    assert heard.lost == []


@contextmanager
def frozen(host: LabHost) -> Iterator[None]:
    """libvirtd does nothing at all within the block."""
    pid = host.libvirtd_pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)
        # The program that entered the host for it stops when its child does, but nobody wakes it up again.
        os.kill(status_number(pid, "PPid"), signal.SIGCONT)


def test_connecting_again_and_again_leaves_nothing_behind(bench: Bench) -> None:
    async def story(hypervisor: LibvirtHypervisor, heard: Heard) -> None:
        files = len(list(Path("/proc/self/fd").iterdir()))
        for _again in range(20):
            await hypervisor.connect(print, print)
        assert len(list(Path("/proc/self/fd").iterdir())) <= files

    heard = told(bench, story)
    assert heard.lost == []
