"""What may happen to a host and its VMs, one action each, for sequences of them."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from hypothesis import strategies as st

from haven.core.care import changed
from haven.core.clock import deadline_after
from haven.core.hands_off import windows_in_force
from haven.core.hypervisor import Moment, Power, Why
from haven.core.node.windows import ended
from haven.core.records import DrillRequest, Maintenance, VmCare, VmLock
from haven.core.settings import Settings
from haven.core.transaction import Delete, Put
from haven.core.words import Kind, RestartOn, Wanted
from tests.core.fake_host import Guest
from tests.core.fake_store import Mood
from tests.core.world import LOOK_POINTS, NODE, World

SIDS = ("vm:101", "vm:102")
WINDOW_S = 300.0


@dataclass(slots=True)
class Play:
    """A world and the last clear word about each VM: what a person acknowledged it to be, if nobody and
    nothing has meant anything else since. `cut`: an LRM died between telling an end and writing it down; if
    a person stops the VM at that moment, nobody is left who could tell the incident's end."""

    world: World = field(default_factory=lambda: World(Settings(node=NODE, tick_s=60.0)))
    word: dict[str, Wanted | None] = field(default_factory=dict)
    cut: bool = False

    def begin(self) -> None:
        self.world.ask_twice_every = 7
        for sid, policy in zip(SIDS, RestartOn, strict=True):
            self.world.add(sid, state=Wanted.STARTED, max_restart=1, restart_on=policy)
            self.word[sid] = Wanted.STARTED
        self.world.advance(2.0)

    def guest(self, sid: str) -> Guest:
        return self.world.guest(sid)

    def runs(self, sid: str) -> bool:
        return self.guest(sid).power is Power.RUNNING


def open_incidents(world: World, sid: str) -> set[object]:
    """Incidents that were told and never ended."""
    found: set[object] = set()
    for event in world.events:
        if event.kind is Kind.VM_DOWN and event.sid == sid:
            found.add(event.fields["incident"])
        elif event.kind in (Kind.VM_UP, Kind.INCIDENT_CLOSED):
            found.discard(event.fields["incident"])
    return found


Action = Callable[[Play, str], None]


def _fails(why: Why, *moments: Moment, signal: int | None = None) -> Action:
    """An end that nobody means: what a person said last still holds."""

    def action(play: Play, sid: str) -> None:
        if play.guest(sid).power is not Power.OFF:
            play.world.host.end(play.guest(sid), why, *moments, signal=signal)
            play.world.tell_lrm()

    return action


def _meant(end: Action) -> Action:
    """An end that somebody means, perhaps: a stop still holds, a start no longer."""

    def action(play: Play, sid: str) -> None:
        if play.word[sid] is Wanted.STARTED and play.guest(sid).power is not Power.OFF:
            play.word[sid] = None
        end(play, sid)

    return action


def suspended(play: Play, sid: str) -> None:
    if play.runs(sid):
        play.word[sid] = None
        guest = play.guest(sid)
        guest.power, guest.why = Power.PAUSED, Why.USER
        play.world.host.say(guest, Moment.SUSPENDED_PAUSED)
        play.world.tell_lrm()


def started_elsewhere(play: Play, sid: str) -> None:
    if not play.runs(sid):
        play.word[sid] = Wanted.STARTED if play.word[sid] is Wanted.STARTED else None
        play.world.host.begin(play.guest(sid))
        play.world.tell_lrm()


def _wants(state: Wanted) -> Action:
    def action(play: Play, sid: str) -> None:
        _said(play, sid, state, lambda: play.world.configure(sid, state=state))

    return action


def _stops(via: str, timeout_s: int) -> Action:
    return lambda play, sid: _said(play, sid, Wanted.STOPPED, lambda: play.world.stop_command(sid, via, timeout_s))


def _said(play: Play, sid: str, word: Wanted, say: Callable[[], bool]) -> None:
    """A person says it; it counts when it is acknowledged."""
    if f"config/{sid}" not in play.world.store.entries:
        return
    if say():
        play.word[sid] = word
    elif play.word[sid] is not word:
        play.word[sid] = None


def other_setting(play: Play, sid: str) -> None:
    if f"config/{sid}" in play.world.store.entries:
        play.world.configure(sid, max_restart=(play.world.config(sid).restarts + 1) % 3)


def at_once_with_the_next_commit(play: Play, sid: str) -> None:
    """Somebody is a moment faster than a daemon."""

    def both() -> None:
        other_setting(play, sid)
        _wants(Wanted.STARTED)(play, sid)

    play.world.store.once = both


def removed_and_added(play: Play, sid: str) -> None:
    if f"config/{sid}" in play.world.store.entries:
        play.world.write(Delete(f"config/{sid}"))
    else:
        play.world.add(sid, state=Wanted.STARTED)
    play.word[sid] = None


def disk(play: Play, sid: str) -> None:
    play.guest(sid).disk = not play.guest(sid).disk


def full_disk(play: Play, sid: str) -> None:
    """It fills up, and the guest writes; or space is made."""
    play.guest(sid).full = not play.guest(sid).full
    play.world.host.write(play.guest(sid))
    play.world.tell_lrm()


def failing_disk(play: Play, sid: str) -> None:
    play.guest(sid).failing = not play.guest(sid).failing
    play.world.host.write(play.guest(sid))
    play.world.tell_lrm()


def boot_order(play: Play, sid: str) -> None:
    """It has a number and waits for the other one; or not any more. If both do, they wait for each other."""
    view = play.world.store.read("person")
    other = next(name for name in SIDS if name != sid)
    care = view.care(sid)
    after = replace(care, wait_for=None if care.wait_for else other, start_order=None if care.wait_for else 1)
    play.world.write(Put(f"care/{sid}", replace(after, start_delay_s=30.0)))


def listened_to(play: Play, sid: str) -> None:
    """Its hangs are looked for, or no longer."""
    care = play.world.store.read("person").care(sid)
    wanted = {"hang_after": "off"} if care.hang else {"hang_after": "20", "hang_uptime": "5", "hang_resets": "2"}
    changed_care = changed(care, wanted)
    play.world.write(Put(f"care/{sid}", changed_care) if changed_care.hang else Delete(f"care/{sid}"))


def hangs(play: Play, sid: str) -> None:
    """It falls silent, or comes to by itself."""
    life = play.guest(sid).life
    life.hung_s = play.world.boottime_s if life.hung_s is None else None


def speaks(play: Play, sid: str) -> None:
    """Its agent goes for good, and its disks work; or both are as before."""
    life = play.guest(sid).life
    life.agent, life.idle = not life.agent, not life.agent


def reset_works(play: Play, sid: str) -> None:
    play.guest(sid).life.reset_works = not play.guest(sid).life.reset_works


def reset_helps(play: Play, sid: str) -> None:
    play.guest(sid).life.reset_helps = not play.guest(sid).life.reset_helps


def barks(play: Play, sid: str) -> None:
    """The guest's watchdog runs out, and pauses it."""
    if play.runs(sid):
        guest = play.guest(sid)
        guest.power, guest.why = Power.PAUSED, Why.WATCHDOG
        play.world.host.say(guest, Moment.WATCHDOG_PAUSE, Moment.SUSPENDED_OTHER)
        play.world.tell_lrm()


def misled(play: Play, sid: str) -> None:
    play.guest(sid).misled = not play.guest(sid).misled


def disobedient(play: Play, sid: str) -> None:
    play.guest(sid).obeys = not play.guest(sid).obeys


def immortal(play: Play, sid: str) -> None:
    play.guest(sid).immortal = not play.guest(sid).immortal


def libvirtd(play: Play, sid: str) -> None:
    play.world.lose_libvirtd() if play.world.host.reachable else play.world.find_libvirtd()


def lrm_killed(play: Play, sid: str) -> None:
    play.world.kill_lrm()


def crm_killed(play: Play, sid: str) -> None:
    play.world.kill_crm()


def revived(play: Play, sid: str) -> None:
    play.world.revive()


def _cut(daemon: str, point: str) -> Action:
    return lambda play, sid: setattr(play.world, "kill_at", f"{daemon} {point}")


def _store(mood: Mood) -> Action:
    return lambda play, sid: setattr(play.world.store, "mood", mood)


def boots(play: Play, sid: str) -> None:
    play.world.boot()


def told_twice(play: Play, sid: str) -> None:
    """A result that was delivered comes again: it must not be taken for that of a later order."""
    if play.world.lrm and play.world.delivered:
        play.world.lrm.results.append(play.world.delivered[-1])
        play.world.lrm.woken = True


def said_nothing(play: Play, sid: str) -> None:
    """An event is lost; a tick has to do."""
    play.world.host.happenings = []
    if play.world.lrm:
        play.world.lrm.happenings = []


def _observed(yes: bool) -> Action:
    def action(play: Play, sid: str) -> None:
        play.world.write(Put(f"care/{sid}", VmCare(sid, observe=yes)))

    return action


def maintenance(play: Play, sid: str) -> None:
    """Of both VMs, or of one; the one before is made anew, unless it is over and only kept."""
    world = play.world
    name = "m2" if any(window.ended for window in world.store.read("person").maintenances().values()) else "m1"
    until, origin = deadline_after(world.now(), WINDOW_S), world.origin("haven maintenance")
    sids = SIDS if sid == SIDS[0] else (sid,)
    world.write(Put(f"maintenance/{name}", Maintenance(name, sids, "new NIC", until, world.wall_s, origin)))


def maintenance_ended(play: Play, sid: str) -> None:
    world = play.world
    at = deadline_after(world.now(), 0.0)
    found = windows_in_force(world.store.read("person"), world.now())
    world.write(*(Put(f"maintenance/{window.id}", ended(window, at)) for window in found))


def locked(play: Play, sid: str) -> None:
    world = play.world
    until, origin = deadline_after(world.now(), WINDOW_S), world.origin("haven lock")
    world.write(Put(f"vmlock/{sid}", VmLock(sid, "backup", until, world.wall_s, origin)))


def _ended(key: str) -> Action:
    def action(play: Play, sid: str) -> None:
        if key.format(sid=sid) in play.world.store.entries:
            play.world.write(Delete(key.format(sid=sid)))

    return action


def backup(play: Play, sid: str) -> None:
    guest = play.guest(sid)
    if play.runs(sid):
        guest.job = "" if guest.job else "backup"
        play.world.host.say(guest, Moment.JOB)
        play.world.tell_lrm()


def drill(play: Play, sid: str) -> None:
    world = play.world
    world.write(
        Put(f"drill/{sid}", DrillRequest(sid, f"u{world.wall_s}", world.wall_s, world.origin("haven drill")))
    )


ACTIONS: dict[str, Action] = {
    "QEMU dies": _fails(Why.CRASHED, Moment.STOPPED_FAILED),
    "SIGTERM": _fails(Why.SHUTDOWN, Moment.SHUTDOWN_HOST, Moment.STOPPED_SHUTDOWN, signal=15),
    "panic": _fails(Why.CRASHED, Moment.PANICKED, Moment.STOPPED_CRASHED),
    "power-off": _meant(_fails(Why.SHUTDOWN, Moment.SHUTDOWN_GUEST, Moment.STOPPED_SHUTDOWN)),
    "virsh destroy": _meant(_fails(Why.DESTROYED, Moment.SHUTDOWN_HOST, Moment.STOPPED_DESTROYED)),
    "virsh suspend": suspended,
    "virsh start": started_elsewhere,
    "set started": _wants(Wanted.STARTED),
    "set stopped": _wants(Wanted.STOPPED),
    "set disabled": _wants(Wanted.DISABLED),
    "set ignored": _wants(Wanted.IGNORED),
    "qm stop": _stops("qm stop", 0),
    "qm shutdown": _stops("qm shutdown", 180),
    "set max_restart": other_setting,
    "set at the same moment": at_once_with_the_next_commit,
    "remove or add": removed_and_added,
    "disk": disk,
    "disk only looks fine": misled,
    "disk full or not": full_disk,
    "boot order": boot_order,
    "disk's storage fails or not": failing_disk,
    "hangs are looked for or not": listened_to,
    "hangs or lives": hangs,
    "its agent is gone or back": speaks,
    "a reset is accepted or not": reset_works,
    "a reset helps or not": reset_helps,
    "watchdog pauses": barks,
    "guest obeys or not": disobedient,
    "QEMU can be killed or not": immortal,
    "libvirtd": libvirtd,
    "LRM killed": lrm_killed,
    "CRM killed": crm_killed,
    "revived": revived,
    "store full": _store(Mood.FULL),
    "store well": _store(Mood.WELL),
    "commit unknown, written": _store(Mood.SILENT_WRITTEN),
    "commit unknown, lost": _store(Mood.SILENT_LOST),
    "boot": boots,
    "result told twice": told_twice,
    "event lost": said_nothing,
    "observe": _observed(True),
    "protect": _observed(False),
    "maintenance": maintenance,
    "maintenance ended": maintenance_ended,
    "locked": locked,
    "unlocked": _ended("vmlock/{sid}"),
    "backup begins or ends": backup,
    "drill": drill,
} | {f"{name} cut {point}": _cut(name, point) for name in ("lrm", "crm") for point in LOOK_POINTS}

CUTS = ("lrm cut after it performed", "lrm cut after it wrote", "LRM killed", "store full")

MOMENTS = st.tuples(
    st.sampled_from(sorted(ACTIONS)),
    st.sampled_from(SIDS),
    st.sampled_from([0.0, 0.05, 0.3, 1.1, 5.0, 11.0, 70.0, 700.0]),
)
