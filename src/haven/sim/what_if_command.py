"""`haven sim what-if`: which cluster is asked about, and the answer on the screen or as JSON."""

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.text import Text

from haven.core.codec import encode
from haven.core.snapshot import Snapshot
from haven.sim.arguments import check_target
from haven.sim.errors import CaseError, LiveError, WordsError
from haven.sim.notes import tell_doubts
from haven.sim.records_file import read_snapshot
from haven.sim.rounds import RunError
from haven.sim.running import run_file
from haven.sim.screen import open_screen, say
from haven.sim.what_if import Burden, Fate, Outcome, each_node, what_if

EXIT_TROUBLE = 1
_GIB = 1024**3


def run(options: argparse.Namespace, read: Callable[[Path], str]) -> int:
    """Raises LiveError, WordsError and CaseError."""
    if options.save and (source := options.case or options.records):
        check_target("--save", options.save, source)
    snapshot = _snapshot(options, read)
    if options.save:
        _save(options.save, snapshot)
    try:
        outcomes = (what_if(snapshot, options.node),) if options.node else each_node(snapshot)
    except RunError as error:
        raise WordsError(f"this cluster cannot be simulated: {error}") from error
    if options.json:
        print(json.dumps([as_dict(outcome, snapshot) for outcome in outcomes], indent=2, ensure_ascii=False))
    else:
        _show(outcomes, snapshot, in_full=bool(options.node))
    return 0 if all(outcome.survived for outcome in outcomes) else EXIT_TROUBLE


def _snapshot(options: argparse.Namespace, read: Callable[[Path], str]) -> Snapshot:
    if options.case:
        ran = run_file(read(options.case), until_s=options.at)
        tell_doubts(ran.inputs, options.case)
        return ran.snapshot()
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
        "waits_for_confirmation": list(outcome.unarmed) if outcome.waiting else [],
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
        elif fate.moved or (in_full and fate.after):
            yield Text(f"  {_label(fate, snapshot)} {_move(fate)}")
    for burden in outcome.burdens:
        if in_full or burden.memory_over_bytes:
            yield Text(f"  {_burden(burden)}", "red" if burden.memory_over_bytes else "")


def _verdict(outcome: Outcome) -> str:
    dies = " and ".join(outcome.lost)
    head = f"{dies} {'die' if len(outcome.lost) > 1 else 'dies'}"
    if outcome.trouble:
        return f"{head}: {outcome.trouble}"
    moved, homeless = sum(1 for fate in outcome.fates if fate.moved), len(outcome.homeless)
    parts = [f"{_guests(moved)} {'runs' if moved == 1 else 'run'} elsewhere then"] if moved else []
    parts += [f"{_guests(homeless)} {'finds' if homeless == 1 else 'find'} no home"] if homeless else []
    parts += [
        f"{node} has no watchdog, so they wait for: haven fence confirm {node}"
        for node in dict.fromkeys(fate.before for fate in outcome.waiting)
    ]
    parts += [f"{burden.node} is given more memory than it has" for burden in outcome.overcommitted]
    return f"{head}: {'; '.join(parts) or 'no guest has to move'}"


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
