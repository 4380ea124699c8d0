"""`haven sim what-if`: which cluster is asked about, and the answer on the screen or as JSON."""

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.text import Text

from haven.core.codec import encode
from haven.core.snapshot import Snapshot
from haven.core.words import Pacing
from haven.sim.arguments import check_target
from haven.sim.errors import CaseError, LiveError, WordsError
from haven.sim.notes import tell_doubts
from haven.sim.records_file import read_snapshot
from haven.sim.rounds import RunError
from haven.sim.running import run_file
from haven.sim.screen import open_screen, say
from haven.sim.what_if import Burden, Fate, Outcome, each_node, what_if

EXIT_TROUBLE = 1
AT_S = 60.0
_GIB = 1024**3


def run(options: argparse.Namespace, read: Callable[[Path], str]) -> int:
    """Raises LiveError, WordsError and CaseError."""
    if options.save and (source := options.case or options.records):
        check_target("--save", options.save, source)
    snapshot, pacing = _asked_about(options, read)
    if options.save:
        _save(options.save, snapshot)
    lost = options.node
    try:
        outcomes = (what_if(snapshot, lost, pacing),) if lost else each_node(snapshot, pacing)
    except RunError as error:
        raise WordsError(f"this cluster cannot be simulated: {error}") from error
    if options.json:
        print(json.dumps([as_dict(outcome, snapshot) for outcome in outcomes], indent=2, ensure_ascii=False))
    else:
        _show(outcomes, snapshot, in_full=bool(options.node))
    return 0 if all(outcome.survived for outcome in outcomes) else EXIT_TROUBLE


def _asked_about(options: argparse.Namespace, read: Callable[[Path], str]) -> tuple[Snapshot, Pacing]:
    """The cluster, and how it is run on: a scenario as `haven sim run` runs it, records as haven does."""
    pacing = Pacing(options.pacing) if options.pacing else None
    if options.case:
        ran = run_file(read(options.case), pacing, until_s=AT_S if options.at is None else options.at)
        tell_doubts(ran.inputs, options.case)
        return ran.snapshot(), ran.pacing
    if options.at is not None:
        raise WordsError("--at is a moment of a scenario (--case); records are of the moment they were read")
    return _records(options, read), pacing or Pacing.FAST


def _records(options: argparse.Namespace, read: Callable[[Path], str]) -> Snapshot:
    if options.records:
        options.case = options.records  # what a complaint is about
        return read_snapshot(read(options.records))
    if options.read_live is None:
        raise LiveError("there is no live cluster to ask; name a file with --records or --case")
    try:
        return read_snapshot(options.read_live())
    except CaseError as error:
        raise LiveError(f"the live cluster: {error.what}; are haven and its API of one version?") from error


def _save(path: Path, snapshot: Snapshot) -> None:
    try:
        path.write_text(json.dumps(encode(snapshot), indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise WordsError(f"--save {path}: cannot be written: {error.strerror}") from error


# As JSON


def as_dict(outcome: Outcome, snapshot: Snapshot) -> dict[str, Any]:
    """One answer: names and numbers as they are, bytes as bytes."""
    return {
        "lost": list(outcome.lost),
        "survived": outcome.survived,
        "trouble": outcome.trouble or None,
        "notes": list(outcome.notes),
        "waits_for_confirmation": sorted({str(fate.waits_for) for fate in outcome.waiting}),
        "already_off": list(outcome.already_off),
        "guests": [_fate_dict(fate, snapshot) for fate in outcome.fates],
        "nodes": [_burden_dict(burden) for burden in outcome.burdens],
    }


def _fate_dict(fate: Fate, snapshot: Snapshot) -> dict[str, Any]:
    return {
        "sid": fate.sid,
        "name": snapshot.titles.get(fate.sid) or None,
        "wanted": fate.wanted.value,
        "before": fate.before,
        "after": fate.after,
        "homeless": fate.homeless,
        "waits_for": fate.waits_for,
        "why": list(fate.why),
    }


def _burden_dict(burden: Burden) -> dict[str, Any]:
    return {
        "node": burden.node,
        "guests": list(burden.guests),
        "cpus": burden.load.cpus,
        "memory_bytes": int(burden.load.memory_bytes),
        "has_cpus": burden.capacity.cpus if burden.capacity else None,
        "has_memory_bytes": int(burden.capacity.memory_bytes) if burden.capacity else None,
        "memory_over_bytes": int(burden.memory_over_bytes),
        "cpus_over": burden.cpus_over,
    }


# On the screen


def _show(outcomes: Sequence[Outcome], snapshot: Snapshot, *, in_full: bool) -> None:
    screen = open_screen()
    for number, outcome in enumerate(outcomes):
        if number:
            screen.print()
        say(screen, _lines(outcome, snapshot, in_full=in_full))
    notes = dict.fromkeys(note for outcome in outcomes for note in outcome.notes)
    say(screen, (Text(f"Note: {note}", "dim") for note in notes))


def _lines(outcome: Outcome, snapshot: Snapshot, *, in_full: bool) -> Iterator[Text]:
    yield Text(_verdict(outcome), "bold green" if outcome.survived else "bold red")
    for fate in outcome.fates:
        if fate.homeless:
            yield Text(f"  {_label(fate, snapshot)} finds no home" + _from(fate), "red")
            yield from (Text(f"      {why}") for why in fate.why)
        elif fate.waits_for:
            yield Text(f"  {_label(fate, snapshot)} {_move(fate)}, once a person says so", "red")
            yield from (Text(f"      {why}") for why in fate.why)
        elif fate.moved or (in_full and fate.after):
            yield Text(f"  {_label(fate, snapshot)} {_move(fate)}")
    for burden in outcome.burdens:
        if in_full or burden.memory_over_bytes:
            yield Text(f"  {_burden(burden)}", "red" if burden.memory_over_bytes else "")


def _verdict(outcome: Outcome) -> str:
    head = _head(outcome)
    if outcome.trouble:
        return f"{head}: {outcome.trouble}"
    waiting, homeless = len(outcome.waiting), len(outcome.homeless)
    moved = sum(fate.moved for fate in outcome.fates if not fate.waits_for)
    off = sorted({str(fate.waits_for) for fate in outcome.waiting})
    confirmed = f"a person confirms that {_are(off)} off"
    parts = [f"{_guests(moved)} {'runs' if moved == 1 else 'run'} elsewhere then"] if moved else []
    parts += [f"{_guests(waiting)} {'waits' if waiting == 1 else 'wait'} until {confirmed}"] if waiting else []
    parts += [f"{_guests(homeless)} {'finds' if homeless == 1 else 'find'} no home"] if homeless else []
    parts += [f"{burden.node} is given more memory than it has" for burden in outcome.overcommitted]
    return f"{head}: {'; '.join(parts) or 'no guest has to move'}"


def _head(outcome: Outcome) -> str:
    """What is asked about: a node that is off already cannot die."""
    dying = [node for node in outcome.lost if node not in outcome.already_off]
    off = f"{_are(outcome.already_off)} off already"
    if not dying:
        return off if outcome.lost else "every node is off already"
    dies = f"{' and '.join(dying)} {'dies' if len(dying) == 1 else 'die'}"
    return f"{dies} ({off})" if outcome.already_off else dies


def _are(nodes: Sequence[str]) -> str:
    return f"{' and '.join(nodes)} {'is' if len(nodes) == 1 else 'are'}"


def _guests(number: int) -> str:
    return f"{number} guest" if number == 1 else f"{number} guests"


def _label(fate: Fate, snapshot: Snapshot) -> str:
    return f"{fate.sid:<8} {snapshot.titles.get(fate.sid, ''):<12}".rstrip().ljust(21)


def _from(fate: Fate) -> str:
    return f" (it ran on {fate.before})" if fate.before else ""


def _move(fate: Fate) -> str:
    if not fate.moved:
        return f"stays on {fate.after}"
    return f"{fate.before or 'nowhere'} -> {fate.after}"


def _burden(burden: Burden) -> str:
    memory, cpus = burden.load.memory_bytes / _GIB, burden.load.cpus
    text = f"{burden.node}: {_guests(len(burden.guests))}, {memory:.1f} GiB"
    if burden.capacity is None:
        return f"{text}, {cpus:g} cpus; what it has is not known"
    over = f": {burden.memory_over_bytes / _GIB:.1f} GiB too much" if burden.memory_over_bytes else ""
    return f"{text} of {burden.capacity.memory_bytes / _GIB:.1f}, {cpus:g} cpus of {burden.capacity.cpus:g}{over}"
