"""A run on the screen: the timeline with colours on a terminal, plain text elsewhere."""

import os
import sys
from collections.abc import Iterable
from typing import TextIO

from rich.console import Console
from rich.text import Text

from haven.core.words import Level
from haven.sim.errors import harmless, has_control
from haven.sim.explain import Explanation
from haven.sim.running import Ran
from haven.sim.timeline import YOU, Line, ending, result_line, timeline, verdict_line

PIPED_COLUMNS = 200
_STYLES = {Level.ERR: "red", Level.WARN: "yellow", Level.EMAIL: "bold yellow", Level.NOTICE: ""}


def open_screen(stream: TextIO | None = None) -> Console:
    """What others wrote stays text, never markup. NO_COLOR is respected."""
    stream = stream or sys.stdout
    piped = not stream.isatty() and "COLUMNS" not in os.environ
    width = PIPED_COLUMNS if piped else None
    return Console(file=stream, width=width, markup=False, highlight=False, emoji=False)


def show_events(ran: Ran, stream: TextIO) -> None:
    """Every event, one JSON object a line."""
    for told in ran.story.track.told:
        stream.write(told.as_line() + "\n")


def show_story(ran: Ran, stream: TextIO, *, whole: bool) -> None:
    """The timeline and how it ended; not `whole`: only what was not met."""
    screen = open_screen(stream)
    if not whole:
        say(screen, _missed(ran))
        return
    if ran.title:
        say(screen, [Text(ran.title, "bold"), Text()])
    say(screen, map(_styled, timeline(ran.story)))
    say(screen, [Text(), Text(f"At {ran.story.end_s:g} s:", "bold"), *(Text(f"  {line}") for line in ending(ran))])
    verdicts = ran.story.verdicts
    if verdicts:
        say(screen, [Text(), Text("Expected:", "bold")])
        say(screen, (Text(f"  {verdict_line(one)}", "green" if one.met else "bold red") for one in verdicts))
        say(screen, [Text(), Text(result_line(verdicts), "bold green" if ran.story.good else "bold red")])
    say(screen, _doubled(ran))


def show_explanation(explanation: Explanation) -> None:
    screen = open_screen()
    say(screen, [Text(explanation.head, "bold")])
    for name, lines in (
        ("Wanted", (explanation.wanted,)),
        ("Last decision", (explanation.decision,)),
        ("Waits for", (explanation.waits,)),
        ("Rules that bind it", explanation.rules or ("none",)),
        ("Nodes, if it were placed now", explanation.nodes or ("nobody decides now",)),
        ("What was told of it last", explanation.recent or ("nothing",)),
    ):
        say(screen, [Text(f"{name}:", "bold"), *(Text(f"  {line}") for line in lines)])


def _missed(ran: Ran) -> list[Text]:
    missed = [Text(verdict_line(one)) for one in ran.story.verdicts if not one.met]
    return [*missed, *_doubled(ran)]


def _doubled(ran: Ran) -> list[Text]:
    return [Text(f"TWO COPIES: {line}", "bold red") for line in ran.story.doubled]


def _styled(line: Line) -> Text:
    return Text(line.text, "bold cyan" if line.who == YOU else _STYLES.get(line.level, ""))


def say(screen: Console, lines: Iterable[Text]) -> None:
    """Each as a line of its own, whatever others named what it is about."""
    for line in lines:
        screen.print(Text(harmless(line.plain), line.style) if has_control(line.plain) else line, soft_wrap=True)
