"""The lines of the scenarios about hands off: observe, maintenance, locks, drills."""

from dataclasses import replace

from haven.core.clock import deadline_after
from haven.core.hypervisor import Moment, Obstacle
from haven.core.order import CollectEvidence, Inspect, Kill, Order, OrderResult, Resume, Stop
from haven.core.records import Command, DrillPlan, DrillRequest, Maintenance, VmCare, VmLock
from haven.core.transaction import Delete, Put
from haven.core.words import DisarmMode, HoldCause, Kind, Verb
from haven.ops import maintenance as ops_maintenance
from tests.core.story import Story, step


@step("root runs: haven observe <sid>")
def observe(story: Story, sid: str) -> None:
    _care(story, sid, observe=True)


@step("root runs: haven protect <sid>")
def protect(story: Story, sid: str) -> None:
    _care(story, sid, observe=False)


def _care(story: Story, sid: str, **wishes: object) -> None:
    entry = story.world.store.entries.get(f"care/{sid}")
    care = entry.record if entry and isinstance(entry.record, VmCare) else VmCare(sid)
    story.world.write(Put(f"care/{sid}", replace(care, **wishes)))  # type: ignore[arg-type]


@step("root runs: haven maintenance ([\\w: ]+) --for <n> min")
def maintenance(story: Story, sids: str, minutes: str) -> None:
    world = story.world
    until = deadline_after(world.now(), float(minutes) * 60.0)
    origin = world.origin("haven maintenance")
    number = 1 + len(world.store.read("person").maintenances())
    window = Maintenance(f"m{number}", tuple(sids.split()), "new NIC", until, world.wall_s, origin)
    world.write(Put(f"maintenance/m{number}", window))


@step("root runs: haven maintenance end")
def maintenance_end(story: Story) -> None:
    world = story.world
    deed = ops_maintenance.end(world.store.read("person"), "", world.origin("haven maintenance"), world.now())
    world.write(*deed.writes)


@step("root runs: haven lock <sid> --reason (\\w+) --for <n> min")
def lock(story: Story, sid: str, reason: str, minutes: str) -> None:
    world = story.world
    until = deadline_after(world.now(), float(minutes) * 60.0)
    world.write(Put(f"vmlock/{sid}", VmLock(sid, reason, until, world.wall_s, world.origin("haven lock"))))


@step("root runs: qm unlock (\\d+)")
def unlock(story: Story, vmid: str) -> None:
    story.world.write(Delete(f"vmlock/vm:{vmid}"))


@step("a backup of <sid> begins(, unseen)?")
def backup_begins(story: Story, sid: str, unseen: str | None) -> None:
    guest = story.world.guest(sid)
    guest.job, guest.job_unseen = "backup", bool(unseen)
    if not unseen:
        story.world.host.say(guest, Moment.JOB)
        story.world.tell_lrm()


@step("the backup of <sid> ends")
def backup_ends(story: Story, sid: str) -> None:
    guest = story.world.guest(sid)
    guest.job = ""
    story.world.host.say(guest, Moment.JOB)
    story.world.tell_lrm()


@step("<sid> was not touched")
def untouched(story: Story, sid: str) -> None:
    """Nothing was ordered since the last `when` but to read."""
    ordered = [order for at_s, order in story.world.ordered if at_s >= story.when_s and order.sid == sid]
    assert not [order for order in ordered if type(order).__name__ != "CollectEvidence"], ordered


@step("<sid> was not stopped")
def unstopped(story: Story, sid: str) -> None:
    ordered = [order for at_s, order in story.world.ordered if at_s >= story.when_s and order.sid == sid]
    assert not [order for order in ordered if isinstance(order, Stop)], ordered


@step("no window is stored")
def no_window(story: Story) -> None:
    left = [key for key in story.world.store.entries if key.startswith(("maintenance/", "vmlock/", "drill/"))]
    assert not left, left


@step("the guest of <sid> has an agent that answers")
def has_agent(story: Story, sid: str) -> None:
    story.world.guest(sid).agent = True


@step("the host has been up for <n> min")
def been_up(story: Story, minutes: str) -> None:
    story.world.boottime_s += float(minutes) * 60.0


@step("it is (\\d+):(\\d\\d) in the night")
def clock_time(story: Story, hour: str, minute: str) -> None:
    """The next time that the host's clock says so (it keeps UTC)."""
    world = story.world
    wanted_s = int(hour) * 3600 + int(minute) * 60
    world.advance((wanted_s - world.wall_s) % 86400.0)


@step("haven is set up at (\\d+):(\\d\\d) in the night")
def set_up_at(story: Story, hour: str, minute: str) -> None:
    """Nothing has happened yet, so that no time need pass: a night of looks takes long."""
    world = story.world
    world.wall_s += (int(hour) * 3600 + int(minute) * 60 - world.wall_s) % 86400.0
    world.host.clock = (world.boottime_s, world.wall_s)


@step("root runs: haven drill <sid>")
def drill(story: Story, sid: str) -> None:
    world = story.world
    request = DrillRequest(sid, f"u{world.wall_s:.0f}", world.wall_s, world.origin("haven drill"))
    world.write(Put(f"drill/{sid}", request))


@step("root runs: haven drill --schedule <sid> (\\d+) days")
def drill_schedule(story: Story, sid: str, days: str) -> None:
    _care(story, sid, drill=DrillPlan(int(days)))


@step("<sid> was killed (\\d+) times?")
def killed_times(story: Story, sid: str, count: str) -> None:
    ordered = [order for at_s, order in story.world.ordered if at_s >= story.when_s and order.sid == sid]
    kills = [order for order in ordered if isinstance(order, Kill)]
    assert len(kills) == int(count), ordered


@step("the request of a drill is gone")
def no_request(story: Story) -> None:
    assert not [key for key in story.world.store.entries if key.startswith("drill/")]


@step("root runs: ha-manager crm-command disarm-ha (freeze|ignore)")
def disarm(story: Story, mode: str) -> None:
    _command(story, Verb.DISARM, DisarmMode(mode))


@step("root runs: ha-manager crm-command arm-ha")
def arm(story: Story) -> None:
    _command(story, Verb.ARM)


def _command(story: Story, verb: Verb, mode: DisarmMode | None = None) -> None:
    world = story.world
    number = f"c{world.wall_s:.0f}"
    command = Command(number, verb, "", 0, world.origin("ha-manager crm-command"), mode=mode)
    world.write(Put(f"command/{number}", command))


@step("<sid> was not touched but by looks and resumes")
def untouched_but(story: Story, sid: str) -> None:
    ordered = [order for at_s, order in story.world.ordered if at_s >= story.when_s and order.sid == sid]
    assert not [order for order in ordered if not isinstance(order, (CollectEvidence, Inspect, Resume))], ordered


@step("<sid> was not inspected")
def uninspected(story: Story, sid: str) -> None:
    ordered = [order for at_s, order in story.world.ordered if at_s >= story.when_s and order.sid == sid]
    assert not [order for order in ordered if isinstance(order, Inspect)], ordered


@step("the disk of <sid> is fine again")
def led(story: Story, sid: str) -> None:
    story.world.guest(sid).misled = False


@step("at the kill of <sid>, <rest>")
def at_the_kill(story: Story, sid: str, rest: str) -> None:
    """Somebody does this at the moment at which QEMU dies."""
    host = story.world.host
    carry_out = host.carry_out

    def carry_out_and(order: Order, pid: int | None) -> OrderResult:
        result = carry_out(order, pid)
        if isinstance(order, Kill) and order.sid == sid:
            story.perform(rest)
        return result

    host.carry_out = carry_out_and  # type: ignore[method-assign]


@step("QEMU of <sid> cannot be killed: (.+)")
def unkillable(story: Story, sid: str, detail: str) -> None:
    host = story.world.host
    carry_out = host.carry_out

    def carry_out_or_not(order: Order, pid: int | None) -> OrderResult:
        if not isinstance(order, Kill) or order.sid != sid:
            return carry_out(order, pid)
        boottime_s, wall_s = host.clock
        return OrderResult(order, False, wall_s, wall_s, boottime_s, Obstacle(HoldCause.STOP_FAILED, detail))

    host.carry_out = carry_out_or_not  # type: ignore[method-assign]


@step("its end counts (\\d+) restarts? of <sid>")
def counts_restarts(story: Story, count: str, sid: str) -> None:
    [up] = [event for event in story.events(sid) if event.kind is Kind.VM_UP]
    assert up.fields["restarts"] == int(count), up
