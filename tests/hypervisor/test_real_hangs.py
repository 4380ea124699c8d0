"""Signs of life, resets and guests' watchdogs, against a real libvirtd and real QEMU processes."""

import asyncio
import signal
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from haven.core.hypervisor import Moment, Power, Why
from haven.core.records import Instance
from haven.hypervisor.life_signs import LibvirtLifeSigns
from haven.hypervisor.protocol import Heard, HypervisorError
from tests.hypervisor.heard import eventually, listening
from tests.hypervisor.tiny import Bench, TinyGuest

pytestmark = pytest.mark.lab

DEADLINE_S = 30.0
UNKNOWN = "00000000-0000-4000-8000-000000000000"


@pytest.fixture(scope="module")
def signs(bench: Bench) -> Iterator[LibvirtLifeSigns]:
    signs = LibvirtLifeSigns(bench.settings)
    yield signs
    signs.close()


@pytest.fixture(scope="module")
def deaf(bench: Bench) -> TinyGuest:
    """A guest that halts, without an agent; running."""
    guest = bench.guest("halts", Bench.DEAF)
    bench.host.start_guest(guest.name)
    return guest


def until(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline_s, "not in time"
        time.sleep(0.02)


AGENT_CHANNEL = "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>"


def test_counters_stand_still_while_the_guest_does_and_no_agent_is_one_that_is_silent(
    signs: LibvirtLifeSigns, deaf: TinyGuest
) -> None:
    until(lambda: signs.work([deaf.uuid])[deaf.uuid] > 0)  # its boot sector was read
    at_rest = signs.work([deaf.uuid, UNKNOWN])
    assert at_rest.keys() == {deaf.uuid}
    assert signs.agent(deaf.uuid) == Heard(answered=False, absent=True)
    assert signs.work([deaf.uuid]) == at_rest
    assert signs.work([UNKNOWN]) == {}
    assert signs.stuck_s(deaf.uuid) is None
    with pytest.raises(HypervisorError, match="libvirt knows no VM with UUID"):
        signs.agent(UNKNOWN)


def test_a_qemu_that_is_stopped_is_seen_as_stuck_and_cannot_be_reset(
    bench: Bench, signs: LibvirtLifeSigns, deaf: TinyGuest
) -> None:
    other = bench.guest("lives-on", Bench.DEAF, devices=AGENT_CHANNEL)
    bench.host.start_guest(other.name)
    assert signs.agent(other.uuid) == Heard(answered=False), "it has a channel, and nobody at its other end"
    both = [deaf.uuid, other.uuid]
    bench.host.kill_qemu(deaf.name, signal.SIGSTOP)
    counting = threading.Thread(target=signs.work, args=(both,))
    counting.start()
    try:
        until(lambda: (signs.stuck_s(deaf.uuid) or 0.0) > 0.2)
        assert signs.work(both).keys() == {other.uuid}, "the one that hangs is passed over"
        assert signs.stuck_s(other.uuid) is None
        began_s = time.monotonic()
        with pytest.raises(HypervisorError, match="answers nothing, not even libvirt"):
            reset(bench, deaf, None)
        assert time.monotonic() - began_s < 15.0, "it waited for a QEMU that does not answer"
    finally:
        bench.host.kill_qemu(deaf.name, signal.SIGCONT)
        counting.join(DEADLINE_S)
    assert not counting.is_alive()
    assert signs.stuck_s(deaf.uuid) is None
    assert signs.work(both).keys() == set(both)


def test_a_reset_restarts_the_guest_in_its_qemu_and_never_another_one(bench: Bench) -> None:
    guest = bench.guest("says-up", Bench.OBEDIENT)
    bench.host.start_guest(guest.name)
    until(lambda: guest.console.read_bytes() == b"U")
    pid = bench.host.qemu_pid(guest.name)
    with pytest.raises(HypervisorError, match="was started anew meanwhile; that QEMU is left alone"):
        reset(bench, guest, Instance(1, 1))
    reset(bench, guest, None)
    until(lambda: guest.console.read_bytes() == b"UU")
    assert bench.host.qemu_pid(guest.name) == pid
    reset(bench, guest, None, hard=True)
    assert bench.host.guest_state(guest.name) == "shut off"


def reset(bench: Bench, guest: TinyGuest, instance: Instance | None, *, hard: bool = False) -> None:
    async def run() -> None:
        hypervisor = bench.hypervisor()
        async with listening(hypervisor):
            await asyncio.to_thread(lambda: hypervisor.reset(guest.uuid, instance, hard=hard))

    asyncio.run(run())


@pytest.mark.parametrize(
    ("action", "moment", "after"),
    [
        ("reset", Moment.WATCHDOG_RESET, (Power.RUNNING, Why.OTHER)),
        ("poweroff", Moment.WATCHDOG_OFF, (Power.OFF, Why.CRASHED)),
        ("pause", Moment.WATCHDOG_PAUSE, (Power.PAUSED, Why.WATCHDOG)),
    ],
)
def test_a_guests_watchdog_that_runs_out_is_told_by_what_qemu_does(
    bench: Bench, action: str, moment: Moment, after: tuple[Power, Why]
) -> None:
    devices = f"<watchdog model='ib700' action='{action}'/>"
    guest = bench.guest(f"barks-{action}", Bench.BARKS, devices=devices)

    async def run() -> None:
        hypervisor = bench.hypervisor()
        async with listening(hypervisor) as heard:
            await asyncio.to_thread(hypervisor.start, guest.uuid)
            await heard.until(guest.uuid, moment)
            if action == "reset":
                await heard.until(guest.uuid, Moment.REBOOT)

            def seen() -> tuple[Power, Why] | None:
                vm = hypervisor.vm(guest.uuid)
                return (vm.power, vm.why) if vm else None

            await eventually(lambda: seen() == after)
            if action == "pause":
                await asyncio.to_thread(lambda: hypervisor.reset(guest.uuid, None, hard=False))
                await heard.until(guest.uuid, Moment.RESUMED)
            bench.host.run(["virsh", "destroy", guest.name])

    asyncio.run(run())
