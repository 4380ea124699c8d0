"""The adapter against libvirt's in-memory test driver: real bindings, real events, no QEMU."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from haven.core.hypervisor import Moment, Power, Why
from haven.core.settings import Settings
from haven.hypervisor import domains
from haven.hypervisor.libvirt_hypervisor import LibvirtHypervisor
from haven.hypervisor.protocol import Hypervisor, HypervisorError, UnreachableError
from tests.hypervisor.heard import Heard, listening

WEB = "5a1b0a52-0000-4000-8000-000000000001"  # runs
DB = "5a1b0a52-0000-4000-8000-000000000002"  # off, carries VMID 107
TRANSIENT = "5a1b0a52-0000-4000-8000-000000000003"  # runs
NOBODY = "5a1b0a52-0000-4000-8000-000000000009"

SETTINGS = Settings(libvirt_uri=f"test://{Path(__file__).parent / 'test_node.xml'}")


def connected(story: Callable[[LibvirtHypervisor, Heard], Awaitable[None]]) -> None:
    """Run a story on a fresh set of VMs; the test driver keeps one set per connection."""

    async def run() -> None:
        hypervisor = LibvirtHypervisor(SETTINGS)
        async with listening(hypervisor) as heard:
            await story(hypervisor, heard)
        assert heard.lost == [], "an orderly close is no loss"

    asyncio.run(run())


def test_it_is_the_hypervisor_that_the_lrm_asks_for() -> None:
    hypervisor: Hypervisor = LibvirtHypervisor(SETTINGS)
    assert hypervisor


def test_every_vm_is_listed_with_its_state_and_marks() -> None:
    async def story(hypervisor: LibvirtHypervisor, heard: Heard) -> None:
        vms = {vm.uuid: vm for vm in await asyncio.to_thread(hypervisor.vms)}
        assert {vm.name: vm.power for vm in vms.values()} == {
            "web": Power.RUNNING,
            "db": Power.OFF,
            "guest-of-a-day": Power.RUNNING,
        }
        assert [vms[uuid].persistent for uuid in (WEB, DB, TRANSIENT)] == [True, True, False]
        assert [vms[uuid].vmid_hint for uuid in (WEB, DB, TRANSIENT)] == [None, 107, None]
        assert not any(vm.autostart for vm in vms.values())

    connected(story)


def test_one_vm_read_alone_reads_as_in_the_list() -> None:
    async def story(hypervisor: LibvirtHypervisor, heard: Heard) -> None:
        for listed in hypervisor.vms():
            alone = hypervisor.vm(listed.uuid)
            assert alone is not None
            assert alone.checked_boottime_s >= listed.checked_boottime_s
            assert (alone.name, alone.power, alone.why) == (listed.name, listed.power, listed.why)
            assert (alone.persistent, alone.vmid_hint) == (listed.persistent, listed.vmid_hint)

    connected(story)


def test_a_start_and_a_hard_stop_are_done_and_heard_in_the_loop() -> None:
    async def story(hypervisor: LibvirtHypervisor, heard: Heard) -> None:
        await asyncio.to_thread(hypervisor.start, DB)
        await heard.until(DB, Moment.STARTED)
        await asyncio.to_thread(hypervisor.stop, DB, 0)
        await heard.until(DB, Moment.STOPPED_DESTROYED)
        vm = hypervisor.vm(DB)
        assert vm is not None
        assert (vm.power, vm.why) == (Power.OFF, Why.DESTROYED)
        assert heard.moments(WEB) == []

    connected(story)


def test_a_guest_that_listens_is_not_forced() -> None:
    async def story(hypervisor: LibvirtHypervisor, heard: Heard) -> None:
        await asyncio.to_thread(hypervisor.stop, WEB, 30)
        await heard.until(WEB, Moment.STOPPED_SHUTDOWN)
        vm = hypervisor.vm(WEB)
        assert vm is not None
        assert (vm.power, vm.why) == (Power.OFF, Why.SHUTDOWN)

    connected(story)


def test_a_stop_is_meant_for_the_life_that_it_was_ordered_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """The VM ends and is started again between two looks of a patient stop: the new life is nobody's to end."""

    async def story(hypervisor: LibvirtHypervisor, heard: Heard) -> None:
        with hypervisor._calling("look it up") as raw:
            domain = raw.lookupByUUIDString(WEB)

        def ended_and_started(_request: object) -> None:
            domain.destroy()
            domain.create()

        monkeypatch.setattr(domains, "ask", ended_and_started)
        hypervisor.stop(WEB, 1)
        vm = hypervisor.vm(WEB)
        assert vm is not None
        assert vm.power is Power.RUNNING
        await heard.until(WEB, Moment.STARTED)
        assert heard.moments(WEB) == [Moment.STOPPED_DESTROYED, Moment.STARTED]

    connected(story)


def test_a_vm_that_a_client_suspended_is_resumed_by_a_start() -> None:
    async def story(hypervisor: LibvirtHypervisor, heard: Heard) -> None:
        with hypervisor._calling("suspend") as raw:
            raw.lookupByUUIDString(WEB).suspend()
        await heard.until(WEB, Moment.SUSPENDED_PAUSED)
        hypervisor.start(WEB)
        await heard.until(WEB, Moment.RESUMED)
        vm = hypervisor.vm(WEB)
        assert vm is not None
        assert vm.power is Power.RUNNING

    connected(story)


def test_start_and_stop_twice_are_success() -> None:
    async def story(hypervisor: LibvirtHypervisor, heard: Heard) -> None:
        hypervisor.start(WEB)
        assert heard.moments(WEB) == []
        for timeout_s in (0, 0, 30):
            hypervisor.stop(WEB, timeout_s)
        await heard.until(WEB, Moment.STOPPED_DESTROYED)
        assert heard.moments(WEB) == [Moment.STOPPED_DESTROYED]

    connected(story)


def test_a_transient_vm_is_gone_after_its_stop_and_that_is_success() -> None:
    async def story(hypervisor: LibvirtHypervisor, heard: Heard) -> None:
        hypervisor.prepare(TRANSIENT, autostart=True, vmid=5)
        hypervisor.stop(TRANSIENT, 30)
        assert hypervisor.vm(TRANSIENT) is None
        assert TRANSIENT not in {vm.uuid for vm in hypervisor.vms()}

    connected(story)


def test_autostart_and_vmid_are_kept_with_the_definition() -> None:
    async def story(hypervisor: LibvirtHypervisor, heard: Heard) -> None:
        hypervisor.vms()
        for uuid, vmid in ((WEB, 101), (DB, 102)):
            hypervisor.prepare(uuid, autostart=True, vmid=vmid)
        marks = {vm.uuid: (vm.autostart, vm.vmid_hint) for vm in hypervisor.vms()}
        assert (marks[WEB], marks[DB]) == ((True, 101), (True, 102))
        hypervisor.prepare(WEB, autostart=False)
        vm = hypervisor.vm(WEB)
        assert vm is not None
        assert (vm.autostart, vm.vmid_hint) == (False, 101)

    connected(story)


@pytest.mark.parametrize("uuid", [NOBODY, "not a uuid", "", "5a1b\n0a52", "x" * 1_000_000])
def test_an_unknown_vm_is_named_in_one_line(uuid: str) -> None:
    async def story(hypervisor: LibvirtHypervisor, heard: Heard) -> None:
        assert hypervisor.vm(uuid) is None
        calls: list[Callable[[], object]] = [
            lambda: hypervisor.start(uuid),
            lambda: hypervisor.stop(uuid, 1),
            lambda: hypervisor.obstacle(uuid),
            lambda: hypervisor.prepare(uuid, autostart=True),
            lambda: hypervisor.evidence(uuid),
        ]
        for call in calls:
            with pytest.raises(HypervisorError, match="libvirt knows no VM with UUID") as failure:
                call()
            assert "\n" not in str(failure.value)
            assert len(str(failure.value)) < 500

    connected(story)


def test_before_connect_and_after_close_every_call_says_that_it_is_not_connected() -> None:
    async def story() -> None:
        hypervisor = LibvirtHypervisor(SETTINGS)
        with pytest.raises(UnreachableError, match="not connected"):
            hypervisor.vms()
        await hypervisor.connect(print, print)
        assert hypervisor.vms()
        await hypervisor.close()
        await hypervisor.close()
        with pytest.raises(UnreachableError, match="not connected"):
            hypervisor.vm(WEB)

    asyncio.run(story())


def test_a_second_connect_replaces_the_first_and_hears_every_event_once() -> None:
    async def story(hypervisor: LibvirtHypervisor, heard: Heard) -> None:
        later = Heard()
        await hypervisor.connect(later.happenings.append, later.lost.append)
        hypervisor.stop(WEB, 0)
        await later.until(WEB, Moment.STOPPED_DESTROYED)
        assert (heard.happenings, len(later.happenings)) == ([], 1)
        assert later.lost == []

    connected(story)


def test_a_happening_carries_the_moment_of_its_delivery_on_both_clocks() -> None:
    async def story(hypervisor: LibvirtHypervisor, heard: Heard) -> None:
        before = hypervisor.vm(WEB)
        hypervisor.stop(WEB, 0)
        await heard.until(WEB, Moment.STOPPED_DESTROYED)
        after = hypervisor.vm(WEB)
        assert before is not None
        assert after is not None
        [happening] = heard.happenings
        assert before.checked_boottime_s <= happening.boottime_s <= after.checked_boottime_s
        assert happening.wall_s > 1_600_000_000

    connected(story)


def test_libvirt_does_not_write_on_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    async def story(hypervisor: LibvirtHypervisor, heard: Heard) -> None:
        with pytest.raises(HypervisorError):
            hypervisor.start(NOBODY)

    connected(story)
    assert capfd.readouterr().err == ""


def test_a_uri_where_nobody_answers_is_unreachable() -> None:
    async def story() -> None:
        hypervisor = LibvirtHypervisor(Settings(libvirt_uri="qemu:///system?socket=/nonexistent/sock"))
        with pytest.raises(UnreachableError, match="/nonexistent/sock"):
            await hypervisor.connect(print, print)

    asyncio.run(story())
