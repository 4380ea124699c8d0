"""The lines of the scenarios that say what must be so: then."""

from contextlib import suppress

from haven.core.hypervisor import Power
from haven.core.order import Resume
from haven.core.records import LrmRecord, RunKey
from haven.core.words import Kind, Level, ServiceState, Wanted
from tests.core.steps_happen import passes
from tests.core.story import SOON_S, Story, step
from tests.core.world import NODE

# Then


@step("<sid> is started at once")
def started_at_once(story: Story, sid: str) -> None:
    started_after(story, sid, "0")


@step("<sid> is started after <n> s")
def started_after(story: Story, sid: str, seconds: str) -> None:
    """Not sooner and not later, counted from the last `when`."""
    target_s = story.when_s + float(seconds)
    story.world.advance(max(target_s - story.world.boottime_s, 0.0) + 0.01)
    starts = story.starts(sid)
    assert len(starts) == 1, f"starts since then: {starts}"
    assert abs(starts[0] - float(seconds)) < 0.05, starts
    story.world.advance(SOON_S)


@step("<sid> is not started(?: within <n> (s|min))?")
def not_started(story: Story, sid: str, count: str | None = None, unit: str | None = None) -> None:
    if count:
        passes(story, count, unit or "s")
    assert not story.starts(sid), story.starts(sid)


@step("<sid> was started (\\d+) times?")
def started_times(story: Story, sid: str, count: str) -> None:
    assert len(story.starts(sid)) == int(count), story.starts(sid)


@step("<sid> (runs|is off|is suspended)")
def power(story: Story, sid: str, how: str) -> None:
    expected = {"runs": Power.RUNNING, "is off": Power.OFF, "is suspended": Power.PAUSED}[how]
    assert story.world.guest(sid).power is expected, story.world.guest(sid)


@step("the state of <sid> is (\\w+)")
def state(story: Story, sid: str, expected: str) -> None:
    service = story.service(sid)
    assert service.state is ServiceState(expected), service


@step('an incident "(\\w+)" of <sid> is open')
def incident_open(story: Story, cause: str, sid: str) -> None:
    assert story.open_incidents(sid) == [cause], story.open_incidents(sid)
    with suppress(KeyError):
        assert story.journal(sid).incident


@step('an incident "(\\w+)" of <sid> (?:was|is) told(?: as (notice|err))?')
def incident_told(story: Story, cause: str, sid: str, level: str | None = None) -> None:
    told = [event for event in story.events(sid) if event.kind is Kind.VM_DOWN]
    assert [event.fields["cause"] for event in told] == [cause], told
    assert level is None or told[0].level is Level(level), told


@step("no incident of <sid> (?:was|is) told")
def incident_untold(story: Story, sid: str) -> None:
    told = [event for event in story.events(sid) if event.kind is Kind.VM_DOWN]
    assert not told, told


@step("no incident of <sid> ends")
def incident_unended(story: Story, sid: str) -> None:
    ended = [event for event in story.events(sid) if event.kind in (Kind.VM_UP, Kind.INCIDENT_CLOSED)]
    assert not ended, ended


@step("no incident of <sid> is open")
def incident_closed(story: Story, sid: str) -> None:
    assert not story.open_incidents(sid), story.open_incidents(sid)
    with suppress(KeyError):
        assert not story.journal(sid).incident, story.journal(sid)


@step("(\\d+) ends? of <sid> counts?")
def crashes(story: Story, count: str, sid: str) -> None:
    counted = story.journal(sid).crashes_boottime_s
    assert len(counted) == int(count), counted


@step("<sid> is wanted (\\w+)(?: by (\\w+), <text>)?")
def wanted(story: Story, sid: str, expected: str, who: str | None, via: str | None) -> None:
    config = story.world.config(sid)
    assert config.wanted is Wanted(expected), config
    if who:
        assert config.origin is not None
        assert (config.origin.who, config.origin.via) == (who, via), config.origin


@step("<sid> is held for <n> (s|min): <text>")
def held(story: Story, sid: str, count: str, unit: str, detail: str) -> None:
    hold = story.service(sid).held
    assert hold is not None, story.service(sid)
    assert hold.until.length_s == float(count) * (60.0 if unit == "min" else 1.0), hold
    assert hold.detail == detail, hold


@step("<sid> is not held")
def not_held(story: Story, sid: str) -> None:
    assert story.service(sid).held is None, story.service(sid)


@step("it is told: <text>")
def told(story: Story, sentence: str) -> None:
    sentences = [event.sentence for event in story.events()]
    assert any(sentence in other for other in sentences), "\n".join(sentences)


@step("it is told as (info|notice|warn|err): <text>")
def told_as_loud(story: Story, level: str, sentence: str) -> None:
    """How loud it is decides whether somebody is told by mail."""
    levels = [event.level for event in story.events() if sentence in event.sentence]
    assert levels and set(levels) == {Level(level)}, levels


@step("it is not told: <text>")
def untold(story: Story, sentence: str) -> None:
    sentences = [event.sentence for event in story.events()]
    assert not any(sentence in other for other in sentences), "\n".join(sentences)


@step("status says of <sid>: <text>")
def status(story: Story, sid: str, words: str) -> None:
    """What the LRM will do by itself, or why it does not."""
    record = story.world.record(f"lrm/{NODE}", LrmRecord)
    pending = record.pending[sid].what if sid in record.pending else ""
    said = f"{record.waiting.get(sid, '')} {pending}"
    assert words in said, said


@step("the run key of <sid> is (ours|nobody's|of node\\d)")
def run_key(story: Story, sid: str, whose: str) -> None:
    entry = story.world.store.entries.get(f"run/{story.world.guest(sid).uuid}")
    holder = entry.record.node if entry and isinstance(entry.record, RunKey) else "nobody's"
    assert holder == {"ours": NODE}.get(whose, whose.removeprefix("of ")), holder


@step("<sid> has autostart (on|off)")
def autostart(story: Story, sid: str, how: str) -> None:
    assert story.world.guest(sid).autostart is (how == "on")


@step("nothing about <sid> is stored but (.+)")
def stored(story: Story, sid: str, kinds: str) -> None:
    uuid = story.world.guest(sid).uuid
    found = {key.partition("/")[0] for key in story.world.store.entries if key.endswith((sid, uuid))}
    assert found == set(kinds.split(" and ")), found


@step("it is told once: <text>")
def told_once(story: Story, sentence: str) -> None:
    sentences = [event.sentence for event in story.events() if sentence in event.sentence]
    assert len(sentences) == 1, "\n".join(event.sentence for event in story.events())


@step("(\\d+) incidents of <sid> were told")
def incidents_told(story: Story, count: str, sid: str) -> None:
    told = {event.fields["incident"] for event in story.events(sid) if event.kind is Kind.VM_DOWN}
    assert len(told) == int(count), told


@step("no outage of <sid> begins before it ran")
def outages_apart(story: Story, sid: str) -> None:
    ran_s = 0.0
    for event in story.events(sid):
        if event.kind is Kind.VM_DOWN:
            assert float(str(event.fields["opened_wall_s"])) >= ran_s, event
        elif event.kind is Kind.VM_UP:
            ran_s = float(str(event.fields["recovered_wall_s"]))


@step("no outage of <sid> is noticed before it begins")
def noticed_when_it_has_begun(story: Story, sid: str) -> None:
    downs = [event for event in story.events(sid) if event.kind is Kind.VM_DOWN]
    assert downs
    for event in downs:
        assert float(str(event.fields["noticed_wall_s"])) >= float(str(event.fields["opened_wall_s"])), event


@step("<sid> was resumed (\\d+) to (\\d+) times")
def resumed_times(story: Story, sid: str, least: str, most: str) -> None:
    since = [order for at_s, order in story.world.ordered if at_s >= story.when_s]
    resumes = [order for order in since if isinstance(order, Resume) and order.sid == sid]
    assert int(least) <= len(resumes) <= int(most), len(resumes)


@step("status shows (\\S+) as low")
def low(story: Story, what: str) -> None:
    shown = story.world.record(f"lrm/{NODE}", LrmRecord).low
    assert set(shown) == (set() if what == "nothing" else {what}), shown


BOOT_S = 20.0
"""A host's clock when haven begins after a boot."""


@step("these start, so many s after the boot: (.+)")
def start_times(story: Story, expected: str) -> None:
    """`vm:101 at 0, vm:102 at 30.2`; the host's clock began 20 s before haven did."""
    seen = ", ".join(f"{sid} at {at_s - BOOT_S:g}" for at_s, sid in _starts_in_order(story))
    assert seen == expected, seen


def _starts_in_order(story: Story) -> list[tuple[float, str]]:
    return sorted((round(at_s, 2), sid) for at_s, sid in story.world.starts[story.started :])
