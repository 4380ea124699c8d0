"""A scene: what is done, what must be true, by when; and what came of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from haven.lab.demo.screen import Screen
from haven.lab.demo.stage import SceneError, Stage
from haven.lab.errors import LabError

HEAD = ("Scene", "What happened", "Noticed", "Down", "What haven concluded")


@dataclass(frozen=True)
class Row:
    """One line of the last screen. `noticed` and `down` are texts: they say what they count from, if in doubt."""

    happened: str
    noticed: str
    down: str
    concluded: str


@dataclass(frozen=True)
class Scene:
    """`play` does it and returns its rows; SceneError or LabError when something is not as it must be.

    `why_not`: why this machine cannot show it, in one line; empty if it can. Then it is skipped, saying so.
    """

    key: str
    title: str
    deadline_s: float
    play: Callable[[Stage], Sequence[Row]]
    why_not: Callable[[], str] = str


@dataclass(frozen=True)
class Outcome:
    """What came of a scene; `failure` names the missed deadline or the false claim, empty if all is well;
    `skipped` why it was not played."""

    scene: Scene
    took_s: float
    rows: tuple[Row, ...] = ()
    failure: str = ""
    skipped: str = ""


def ms(seconds: float) -> str:
    """`207 ms`, or `1.25 s` from a second on."""
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.2f} s"


def play(scene: Scene, stage: Stage) -> Outcome:
    """Plays one scene to its end or its failure."""
    stage.screen.title(f"{scene.key}: {scene.title}")
    if reason := scene.why_not():
        stage.screen.line(f"skipped: {reason}", "33")
        return Outcome(scene, 0.0, skipped=reason)
    begin_s = time.monotonic()
    rows: tuple[Row, ...] = ()
    failure = ""
    try:
        rows = tuple(scene.play(stage))
    except SceneError as error:
        failure = str(error)
    except LabError as error:
        failure = f"{error} {error.detail}".strip()
    took_s = time.monotonic() - begin_s
    if not failure and not stage.soon(took_s, scene.deadline_s):
        failure = f"took {took_s:.1f} s, its deadline is {scene.deadline_s:g} s"
    if failure:
        stage.show_news()
        stage.screen.failed(failure)
    return Outcome(scene, took_s, rows, failure)


def summary(outcomes: Iterable[Outcome], screen: Screen) -> None:
    """The last screen: a row per thing that happened, in the order of the scenes."""
    rows: list[tuple[str, ...]] = []
    for outcome in outcomes:
        name = outcome.scene.key
        if outcome.failure:
            rows.append((name, outcome.scene.title, "", "", f"FAILED: {outcome.failure}"))
            continue
        if outcome.skipped:
            rows.append((name, outcome.scene.title, "", "", f"skipped: {outcome.skipped}"))
        for row in outcome.rows:
            rows.append((name, row.happened, row.noticed, row.down, row.concluded))
            name = ""
    screen.table(HEAD, rows)
