"""Any story, read in any pieces: nobody is told twice, and nothing is lost."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from haven.core.codec import decode, encode
from haven.core.ending import HOST_STOPS
from haven.core.message import Message, MessageKind
from haven.core.notice_memory import NoticeMemory
from haven.core.notices import Happened
from haven.core.words import Cause, Kind, Level
from tests.core.notice_story import NOW_S, TERMS, Story

SIDS = ("vm:101", "vm:102", "vm:103")


@st.composite
def stories(draw: st.DrawFn) -> list[Happened]:
    """Incidents of a few VMs, one after the other for each, told with repeats, mixed with the host's troubles and
    its boots."""
    story, lines = Story(), []
    at_s = 0.0
    open_now: dict[str, str] = {}
    for number in range(draw(st.integers(0, 25))):
        at_s += draw(st.sampled_from((0.0, 0.3, 1.0, 2.0, 5.0, 700.0, 4000.0)))
        sid = draw(st.sampled_from(SIDS))
        what = draw(st.sampled_from(("turn", "turn", "turn", "held", "boot", "repeat", "low", "ok", "close")))
        if what == "turn" and sid in open_now:
            lines.append(story.up(at_s, open_now.pop(sid), sid))
        elif what == "turn":
            open_now[sid] = f"{sid}-{number}"
            lines.append(story.down(at_s, open_now[sid], sid))
        elif what == "boot":
            gone = {each: f"{each}-{number}" for each in SIDS if each not in open_now}
            open_now |= gone
            lines += gone_with_the_host(story, at_s, gone)
        elif what == "held" and sid in open_now:
            lines.append(replace(story.held(at_s, incident=open_now[sid])))
        elif what == "close" and sid in open_now:
            incident = open_now.pop(sid)
            lines.append(story.line(at_s, Kind.INCIDENT_CLOSED, "stopped", sid, incident=incident, how="stopped"))
        elif what == "repeat" and lines:
            again = draw(st.sampled_from(lines))
            if again.event.kind in (Kind.VM_DOWN, Kind.VM_UP):
                story.lines += 1
                lines.append(Happened(story.lines, again.at_wall_s, again.event))
        elif what in ("low", "ok"):
            kind = Kind.STORAGE_LOW if what == "low" else Kind.STORAGE_OK
            lines.append(story.line(at_s, kind, what, None, Level.WARN, mount="/srv"))
    return lines


def gone_with_the_host(story: Story, at_s: float, incidents: dict[str, str]) -> list[Happened]:
    sentence = HOST_STOPS if round(at_s) % 2 else "the host was rebooted or lost power"
    downs = [story.down(at_s, incident, sid) for sid, incident in incidents.items()]
    fields = [{**down.event.fields, "cause": Cause.HOST_BOOT} for down in downs]
    return [
        replace(down, event=replace(down.event, sentence=sentence, fields=of_it))
        for down, of_it in zip(downs, fields, strict=True)
    ]


def heard(
    lines: Sequence[Happened], cuts: Sequence[int], per_hour: int = 10_000, restart: bool = False
) -> tuple[list[Message], Story]:
    """The messages when the story is read in such pieces, and an hour of silence after it."""
    story = Story(replace(TERMS, per_hour=per_hour))
    at = 0
    for cut in [*sorted(cuts), len(lines)]:
        piece = lines[at:cut]
        at = max(at, cut)
        if piece:
            story.look(piece[-1].at_wall_s - NOW_S, *piece)
        if restart:  # the process died: only what is on disk is left
            story.memory = decode(NoticeMemory, encode(story.memory))
    last_s = max((line.at_wall_s for line in lines), default=NOW_S) - NOW_S
    for hour in range(1, 200):
        story.look(last_s + 3601.0 * hour)
    return story.messages, story


def is_boot(line: Happened) -> bool:
    return line.event.fields.get("cause") == Cause.HOST_BOOT


def unfinished(story: Story) -> bool:
    """It was shut down, and never came back."""
    return story.memory.boot is not None and story.memory.boot.back_wall_s is None


CUTS = st.lists(st.integers(0, 25), max_size=6)


@given(stories(), CUTS)
def test_no_incident_is_told_twice_and_none_is_lost(lines: list[Happened], cuts: list[int]) -> None:
    messages, story = heard(lines, cuts)
    for keys in ([message.key for message in messages], [message.key for message in story.raised]):
        assert len(keys) == len(set(keys))
    begun = {str(line.event.fields["incident"]) for line in lines if line.event.kind is Kind.VM_DOWN}
    ended = {
        str(line.event.fields["incident"])
        for line in lines
        if line.event.kind in (Kind.VM_UP, Kind.INCIDENT_CLOSED)
    }
    raised = story.raised
    closed = [message.incident for message in raised if message.kind is MessageKind.CLOSED and message.incident]
    opened = [message.incident for message in raised if message.kind is MessageKind.OPENED]
    escalated = {message.incident for message in raised if message.kind is MessageKind.ESCALATED}
    assert sorted(closed) == sorted(ended)
    assert len(opened) == len(set(opened))
    assert begun - ended <= set(opened) | escalated
    # Only of a boot of the host people are not told one by one, and then of all its VMs together.
    by_hand = {message.incident for message in messages if message.kind is MessageKind.CLOSED}
    by_boot = {message.incident for message in raised if message not in messages} - by_hand
    assert by_boot <= {str(line.event.fields["incident"]) for line in lines if is_boot(line)}
    assert bool(by_boot) <= (any(message.key.startswith("boot:") for message in messages) or unfinished(story))


@given(stories(), CUTS)
def test_the_same_messages_come_of_a_story_however_it_is_read(lines: list[Happened], cuts: list[int]) -> None:
    if any(later.at_wall_s < earlier.at_wall_s for earlier, later in pairwise(lines)):
        return  # a line that is told late cannot be known early
    whole, _ = heard(lines, [])
    pieces, _ = heard(lines, cuts, restart=True)
    assert [(m.key, m.title) for m in whole] == [(m.key, m.title) for m in pieces]


@given(stories(), CUTS, st.integers(1, 4))
def test_the_limit_delays_and_sums_up_and_drops_nothing(
    lines: list[Happened], cuts: list[int], per_hour: int
) -> None:
    free, _ = heard(lines, cuts)
    limited, story = heard(lines, cuts, per_hour)
    assert sum(message.stands_for for message in limited) == len(free)
    assert story.memory.held_back.count == 0


@given(stories(), st.integers(1, 4))
def test_never_more_than_the_limit_in_one_hour(lines: list[Happened], per_hour: int) -> None:
    story = Story(replace(TERMS, per_hour=per_hour))
    sent_s: list[float] = []
    for line in lines:
        at_s = max([line.at_wall_s - NOW_S, *sent_s[-1:]])
        sent_s += [at_s] * len(story.look(at_s, line))
    for start_s in sent_s:
        assert sum(start_s <= at_s < start_s + 3600 for at_s in sent_s) <= per_hour
