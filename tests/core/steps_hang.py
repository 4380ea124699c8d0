"""The lines of the scenarios about hangs, health checks and guests' watchdogs."""

from dataclasses import replace

from haven.core.care import changed
from haven.core.clock import deadline_after
from haven.core.hypervisor import Moment, Power, Why
from haven.core.order import Reset
from haven.core.records import LrmRecord, Maintenance, VmLock
from haven.core.transaction import Put
from haven.core.words import Kind
from tests.core.steps_happen import passes
from tests.core.story import Story, step
from tests.core.world import NODE


@step("root runs: haven set <sid> --<word> <text>")
def set_option(story: Story, sid: str, name: str, text: str) -> None:
    """Options as the API writes them."""
    care = story.world.store.read("person").care(sid)
    story.world.write(Put(f"care/{sid}", changed(care, {name.replace("-", "_"): text})))


@step("<sid> is only observed")
def observed(story: Story, sid: str) -> None:
    care = story.world.store.read("person").care(sid)
    story.world.write(Put(f"care/{sid}", replace(care, observe=True)))


@step("<sid> is locked for <n> min")
def locked(story: Story, sid: str, minutes: str) -> None:
    until = deadline_after(story.world.now(), float(minutes) * 60)
    lock = VmLock(sid, "backup", until, story.world.wall_s, story.world.origin("haven lock"))
    story.world.write(Put(f"vmlock/{sid}", lock))


@step("<sid> is in maintenance for <n> min")
def maintained(story: Story, sid: str, minutes: str) -> None:
    until = deadline_after(story.world.now(), float(minutes) * 60)
    window = Maintenance(
        "m1", (sid,), "new NIC", until, story.world.wall_s, story.world.origin("haven maintenance")
    )
    story.world.write(Put("maintenance/m1", window))


@step("the guest of <sid> has no agent")
def no_agent(story: Story, sid: str) -> None:
    story.world.guest(sid).life.agent = False


@step("the guest of <sid> hangs(, but its disks work on)?")
def hangs(story: Story, sid: str, but: str | None) -> None:
    life = story.world.guest(sid).life
    life.hung_s, life.disks_work = story.world.boottime_s, but is not None


@step("root boots a rescue system without an agent in <sid>")
def rescued(story: Story, sid: str) -> None:
    world, guest = story.world, story.world.guest(sid)
    guest.life.begin(world.boottime_s)
    guest.life.agent = False
    world.host.say(guest, *[Moment.REBOOT] * 3)
    world.tell_lrm()


@step("a snapshot pauses <sid> for a moment")
def snapshot(story: Story, sid: str) -> None:
    story.world.host.say(story.world.guest(sid), Moment.SUSPENDED_OTHER, Moment.RESUMED)
    story.world.tell_lrm()


@step("the guest of <sid> lives again")
def lives(story: Story, sid: str) -> None:
    story.world.guest(sid).life.hung_s = None


@step("the agent of <sid> dies, but it works on")
def agent_dies(story: Story, sid: str) -> None:
    life = story.world.guest(sid).life
    life.agent, life.idle = False, False


@step("the agent of <sid> answers again")
def agent_back(story: Story, sid: str) -> None:
    life = story.world.guest(sid).life
    life.agent, life.hung_s = True, None


@step("the disks of <sid> stand still")
def still(story: Story, sid: str) -> None:
    life = story.world.guest(sid).life
    life.hung_s = story.world.boottime_s


@step("the file systems of <sid> are frozen")
def frozen(story: Story, sid: str) -> None:
    story.world.guest(sid).life.frozen = True


@step("the check <text> of <sid> (fails|is good)")
def check_is(story: Story, name: str, sid: str, how: str) -> None:
    failing = story.world.guest(sid).life.failing
    failing.pop(name, None)
    if how == "fails":
        failing[name] = story.world.boottime_s
    story.world.ring()


@step("a reset of <sid> (is refused by QEMU|does not help)")
def reset_is(story: Story, sid: str, how: str) -> None:
    life = story.world.guest(sid).life
    life.reset_works, life.reset_helps = how == "does not help", False


@step("the host sleeps for <n> min")
def sleeps(story: Story, minutes: str) -> None:
    """Boottime goes on, nobody looks meanwhile, and the watch begins anew."""
    story.world.boottime_s += float(minutes) * 60
    story.world.wall_s += float(minutes) * 60
    story.world.host.clock = (story.world.boottime_s, story.world.wall_s)
    assert story.world.lrm is not None
    story.world.lrm.watched_since_s = story.world.boottime_s
    story.world.settle()


@step("the watchdog of <sid> runs out and (resets|turns off|pauses) it")
def watchdog(story: Story, sid: str, how: str) -> None:
    world, guest = story.world, story.world.guest(sid)
    if how == "resets":
        guest.life.begin(world.boottime_s)
        world.host.say(guest, Moment.WATCHDOG_RESET, Moment.REBOOT, Moment.REBOOT, Moment.REBOOT)
    elif how == "turns off":
        world.host.say(guest, Moment.WATCHDOG_OFF)
        world.host.end(guest, Why.CRASHED, Moment.STOPPED_FAILED)
    else:
        guest.power, guest.why = Power.PAUSED, Why.WATCHDOG
        world.host.say(guest, Moment.WATCHDOG_PAUSE, Moment.SUSPENDED_OTHER)
    world.tell_lrm()


@step("the watchdog of <sid> runs out and nothing is done")
def watchdog_alone(story: Story, sid: str) -> None:
    story.world.host.say(story.world.guest(sid), Moment.WATCHDOG)
    story.world.tell_lrm()


# Then


def _resets(story: Story, sid: str, *, hard: bool) -> list[float]:
    return [
        at_s - story.when_s
        for at_s, order in story.world.ordered
        if isinstance(order, Reset) and order.sid == sid and order.hard is hard and at_s >= story.when_s
    ]


@step("<sid> is reset after <n> s")
def reset_after(story: Story, sid: str, seconds: str) -> None:
    """Within 2 s: looks follow the silence, not the clock."""
    passes(story, str(float(seconds) + 2.0 - (story.world.boottime_s - story.when_s)), "s")
    resets = _resets(story, sid, hard=False)
    assert len(resets) == 1, resets
    assert 0 <= resets[0] - float(seconds) <= 2.0, resets


@step("<sid> is not reset within <n> min")
def not_reset(story: Story, sid: str, minutes: str) -> None:
    passes(story, minutes, "min")
    assert not _resets(story, sid, hard=False), _resets(story, sid, hard=False)


@step("QEMU of <sid> (?:was|is) ended (\\d+) times?")
def ended_times(story: Story, sid: str, count: str) -> None:
    ended = _resets(story, sid, hard=True)
    assert len(ended) == int(count), ended


@step("<sid> was reset (\\d+) times?")
def reset_times(story: Story, sid: str, count: str) -> None:
    resets = _resets(story, sid, hard=False)
    assert len(resets) == int(count), resets


@step("the signs of <sid> say: <text>")
def signs_say(story: Story, sid: str, text: str) -> None:
    said = story.world.record(f"lrm/{NODE}", LrmRecord).signs.get(sid, ())
    assert text in said, said


@step("the signs of <sid> say nothing")
def signs_nothing(story: Story, sid: str) -> None:
    said = story.world.record(f"lrm/{NODE}", LrmRecord).signs
    assert sid not in said, said


@step("(\\d+) incidents of <sid> were told, each with a name of its own")
def incidents_apart(story: Story, count: str, sid: str) -> None:
    told = [event for event in story.world.events if event.kind is Kind.VM_DOWN and event.sid == sid]
    assert len(told) == len({event.fields["incident"] for event in told}) == int(count), told


@step("the evidence of <sid> says: <text>")
def evidence_says(story: Story, sid: str, text: str) -> None:
    downs = [event for event in story.events(sid) if event.kind is Kind.VM_DOWN]
    lines = [line for event in downs for line in event.fields["evidence"]]  # type: ignore[union-attr]
    assert any(text in str(line) for line in lines), lines
