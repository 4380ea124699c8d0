"""`haven replay FILE`: a saved decision, decided again. It reads a file, asks the core, and touches nothing."""

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from haven.core import manager
from haven.core.codec import encode
from haven.core.contract import Asked, Decision, NodeObservation
from haven.core.node import step as node
from haven.ops.decision_words import decision_lines, situation
from haven.ops.saved import Saved, SavedFileError, read_saved

EXIT_DIFFERENT = 1
EXIT_UNUSABLE = 2
_SHOWN_CHARS = 160
_SHOWN_LINES = 20


class _UsageError(Exception):
    pass


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise _UsageError(f"{message} (see {self.prog} --help)")


def parser() -> argparse.ArgumentParser:
    """The command line, also for the man page and the completions."""
    words = _Parser(
        prog="haven replay",
        description="Decide a saved decision again (haven decisions --save ID > FILE). Nothing real is touched."
        " Exit status: 0 the same result, 1 another one, 2 the file cannot be used.",
    )
    words.add_argument("file", metavar="FILE", help="what haven decisions --save wrote; -: standard input")
    return words


def main(argv: Sequence[str]) -> int:
    """Run one command line: 0 the same result, 1 another one, 2 a file that cannot be used."""
    try:
        name: str = parser().parse_args(list(argv)).file
        return _replay(name)
    except _UsageError as error:
        print(f"haven replay: {error}", file=sys.stderr)
    except SavedFileError as error:
        print(f"haven replay: {name}: {error}", file=sys.stderr)
    except SystemExit as ended:  # --help
        return int(ended.code or 0)
    return EXIT_UNUSABLE


def _replay(name: str) -> int:
    saved = read_saved(_text(name))
    decided = again(saved.memory, saved.asked)
    for line in report(saved, decided):
        print(line)
    return 0 if decided == saved.decision else EXIT_DIFFERENT


def _text(name: str) -> str:
    try:
        return sys.stdin.read() if name == "-" else Path(name).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise SavedFileError(f"cannot be read: {getattr(error, 'strerror', None) or error}") from error


def again(memory: Any, asked: Asked) -> Decision[Any]:
    """What the core decides, asked the same. Raises SavedFileError when the memory is another daemon's."""
    its_own: tuple[Callable[..., Decision[Any]], str] = (
        (node.step, "NodeMemory")
        if isinstance(asked.observation, NodeObservation)
        else (manager.step, "ManagerMemory")
    )
    step, expected = its_own
    if type(memory).__name__ != expected:
        raise SavedFileError(f"memory is a {type(memory).__name__}: expected {expected}")
    return step(memory, asked.observation, asked.now)


def report(saved: Saved, decided: Decision[Any]) -> Iterator[str]:
    """The decision in words, and whether it came out the same."""
    yield from situation(saved)
    yield ""
    yield from decision_lines(decided)
    yield ""
    if saved.unknown:
        yield f"Fields that this haven does not know, ignored: {', '.join(saved.unknown)}"
    if saved.missing:
        yield f"Fields that the file does not have, taken as their defaults: {', '.join(saved.missing)}"
    if decided == saved.decision:
        yield "Same result."
        return
    found = list(differences(encode(saved.decision), encode(decided)))
    yield f"Another result: {len(found)} {'difference' if len(found) == 1 else 'differences'}."
    yield from found[:_SHOWN_LINES]
    if len(found) > _SHOWN_LINES:
        yield f"  ... and {len(found) - _SHOWN_LINES} more"


def differences(saved: Any, now: Any, path: str = "") -> Iterator[str]:
    """Where two decisions differ, in plain JSON: the path, then what was saved and what comes out now."""
    if isinstance(saved, Mapping) and isinstance(now, Mapping):
        for key in dict.fromkeys([*saved, *now]):
            yield from differences(saved.get(key), now.get(key), f"{path}.{key}".removeprefix("."))
    elif isinstance(saved, list) and isinstance(now, list) and len(saved) == len(now):
        for number, (one, other) in enumerate(zip(saved, now, strict=True)):
            yield from differences(one, other, f"{path}[{number}]")
    elif saved != now:
        yield f"  {path}: saved {_short(saved)}, now {_short(now)}"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}..."
