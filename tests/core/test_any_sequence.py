"""Whatever happens, in whatever order: what must never be, and what must be once the faults stop.

The world itself holds the promises of each start and look (one start at a time, only with our run key, only
while wanted; pure steps; no busy loop). Here the sequences (of any_actions) are made, and their ends are judged.
"""

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from haven.core.boot_order import started_by_haven
from haven.core.brake import CRASHES_KEPT
from haven.core.hypervisor import Power
from haven.core.node.memory import TRAIL_LIMIT
from haven.core.records import LrmRecord, ServiceStatus, VmCare, VmJournal
from haven.core.transaction import Put
from haven.core.words import Kind, RestartOn, ServiceState, Wanted
from tests.core.any_actions import ACTIONS, CUTS, MOMENTS, SIDS, Play, open_incidents
from tests.core.fake_store import Mood
from tests.core.world import NODE, World

ENOUGH_S = 25 * 60.0
"""After the last fault every hold (10 min), stop (3 min) and restart has had its time, twice."""

RECORDS_PER_VM = 9  # config, service, journal, run, vm, vmid; care, vmlock, drill
RECORDS_OF_THE_HOST = 5  # agent, lock, manager, lrm; maintenance
RESETS_KEPT = 3  # what may be reset within the window, by whichever terms


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(MOMENTS, max_size=25))
def test_no_sequence_breaks_a_promise(moments: list[tuple[str, str, float]]) -> None:
    play = Play()
    play.begin()
    for name, sid, pause_s in moments:
        ACTIONS[name](play, sid)
        play.cut = play.cut or name in CUTS
        if pause_s:
            play.world.advance(pause_s)
        _check_bounds(play.world)
    _heal(play)
    play.world.advance(ENOUGH_S)
    for sid in SIDS:
        _judge(play, sid)
    _check_quiet(play.world)


def _heal(play: Play) -> None:
    """The faults stop; hangs are looked for as before, and an agent that is gone stays so."""
    world = play.world
    world.store.mood, world.store.once, world.kill_at = Mood.WELL, None, None
    world.revive()
    for sid in SIDS:
        world.write(Put(f"care/{sid}", VmCare(sid, hang=world.store.read("person").care(sid).hang)))
    for guest in world.host.guests.values():
        guest.job = ""
        guest.disk, guest.misled, guest.immortal, guest.obeys = True, False, False, True
        guest.full = guest.failing = False
        guest.life.hung_s, guest.life.reset_works, guest.life.reset_helps = None, True, True
    if not world.host.reachable:
        world.find_libvirtd()


def _check_bounds(world: World) -> None:
    """Nothing that is kept grows without bound."""
    entries = world.store.entries
    commands = [key for key in entries if key.startswith("command/")]
    assert len(entries) - len(commands) <= RECORDS_PER_VM * len(SIDS) + RECORDS_OF_THE_HOST, sorted(entries)
    for entry in entries.values():
        if isinstance(entry.record, VmJournal):
            assert len(entry.record.crashes_boottime_s) <= CRASHES_KEPT + 1
            assert len(entry.record.hang.resets_s) <= RESETS_KEPT
        if isinstance(entry.record, LrmRecord):
            assert len(entry.record.results) <= len(SIDS)
    if world.lrm:
        vms = world.lrm.memory.vms
        assert len(vms) <= len(SIDS)
        assert all(len(vm.trail) <= TRAIL_LIMIT for vm in vms.values())


def _judge(play: Play, sid: str) -> None:
    """Long after the last fault: what should run runs, what should be off is off, nothing is left open."""
    world, guest = play.world, play.guest(sid)
    if f"config/{sid}" not in world.store.entries or world.config(sid).wanted is Wanted.IGNORED:
        assert f"service/{sid}" not in world.store.entries
        return
    config = world.config(sid)
    service = world.record(f"service/{sid}", ServiceStatus)
    journal = world.record(f"journal/{guest.uuid}", VmJournal)
    if config.wanted is Wanted.STARTED:
        assert (guest.power is Power.RUNNING) or config.restart_on is RestartOn.ALWAYS, (guest, service)
        assert guest.power is not Power.OFF, (guest, service)
        assert service.state is ServiceState.STARTED and service.running, service
        assert f"run/{guest.uuid}" in world.store.entries
    else:
        assert guest.power in (Power.OFF, Power.PAUSED), (guest, service)
        assert service.state is ServiceState.STOPPED, service
        assert guest.power is Power.PAUSED or f"run/{guest.uuid}" not in world.store.entries
    if play.word[sid]:
        started = play.word[sid] is Wanted.STARTED
        assert (config.wanted is Wanted.STARTED) == started, f"{play.word[sid]} was acknowledged: {config}"
    assert not journal.incident, journal
    if not play.cut:
        assert not open_incidents(world, sid)
    by_haven = started_by_haven(world.store.read("judge"), NODE, sid)
    assert guest.autostart == (config.wanted is Wanted.STARTED and not by_haven)


def _check_quiet(world: World) -> None:
    """Nothing is under way, and idling costs one commit of each daemon per tick."""
    assert not world.jobs
    record = world.record(f"lrm/{NODE}", LrmRecord)
    assert not record.pending and not record.waiting, record
    windows = [key for key in world.store.entries if key.startswith(("maintenance/", "vmlock/", "drill/"))]
    assert not windows, "a window that did not end"
    assert not [event for event in world.events if event.kind is Kind.DAEMON_ERROR]
    before = len(world.store.committed)
    told = len(world.events)
    world.advance(10 * world.settings.tick_s)
    assert len(world.store.committed) - before <= 2 * 11
    assert not [event for event in world.events[told:] if event.kind is not Kind.VM_EVIDENCE]
