"""One line per step of a setup, with its elapsed seconds: redrawn in place on a terminal, plain otherwise."""

from __future__ import annotations

import selectors
import shutil
import subprocess
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from haven.bootstrap.errors import SetupError

_REDRAW_S = 0.2
_TAIL_LINES = 15
_COMMAND_CHARACTERS = 100
_READ_BYTES = 65536


class Step:
    """One step under way; `note` says what it found or does at the moment."""

    def __init__(self, title: str, output: TextIO) -> None:
        self._title = title
        self._output = output
        self._begin = time.monotonic()
        self._note = ""

    def note(self, text: str) -> None:
        """Replaces the words after the title."""
        self._note = text
        self.tick()

    def tick(self) -> None:
        """Redraws the line, on a terminal."""
        if self._output.isatty():
            width = shutil.get_terminal_size().columns - 1
            self._write("\r\033[K" + self._line("…")[:width], end="")

    def finish(self, mark: str) -> None:
        """Writes the line for good: with "ok", or what else became of it."""
        start = "\r\033[K" if self._output.isatty() else ""
        self._write(start + self._line(mark), end="\n")

    def _line(self, mark: str) -> str:
        elapsed_s = time.monotonic() - self._begin
        words = f"{self._title}: {self._note}" if self._note else self._title
        return f"{mark:>6}  {elapsed_s:6.1f} s  {words}"

    def _write(self, text: str, end: str) -> None:
        print(text, end=end, file=self._output, flush=True)


class Progress:
    """The steps of one setup, and the log that keeps the whole output of their commands."""

    def __init__(self, output: TextIO, log: Path) -> None:
        self._output = output
        self._log = log

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """A step from its begin to its end; it is marked as failed when the block raises."""
        step = Step(title, self._output)
        step.tick()
        try:
            yield step
        except BaseException:
            step.finish("FAILED")
            raise
        step.finish("ok")

    def run(
        self, step: Step, argv: Sequence[str], *, env: Mapping[str, str] | None = None, cwd: Path | None = None
    ) -> None:
        """Runs a command of a step, redrawing meanwhile; SetupError with its last lines if it fails."""
        tail: deque[str] = deque(maxlen=_TAIL_LINES)
        with self._log.open("a") as log, _started(argv, env, cwd) as process:
            log.write(f"$ {' '.join(argv)}\n")
            for line in _lines(process, step):
                log.write(line + "\n")
                tail.append(line)
        if process.returncode != 0:
            command = " ".join(argv)[:_COMMAND_CHARACTERS]
            message = f"`{command}` failed with status {process.returncode}; see {self._log}"
            raise SetupError(message, "\n".join(tail))


@contextmanager
def _started(
    argv: Sequence[str], env: Mapping[str, str] | None, cwd: Path | None
) -> Iterator[subprocess.Popen[bytes]]:
    """A command that ends with this block, whatever ends the block.

    Not with this process, though, should that one be killed: an apt-get cut short in the middle of dpkg's work
    leaves a machine that needs repair.
    """
    try:
        process = subprocess.Popen(
            list(argv),
            env=env,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
    except FileNotFoundError:
        raise SetupError(f"{argv[0]} is not on this machine") from None
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait()


def _lines(process: subprocess.Popen[bytes], step: Step) -> Iterator[str]:
    """The command's output line by line until it closes it, ticking the step in between."""
    assert process.stdout is not None
    rest = b""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            step.tick()
            if not selector.select(_REDRAW_S):
                continue
            data = process.stdout.read1(_READ_BYTES)  # type: ignore[attr-defined]
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                yield line.decode(errors="replace").rstrip()
            if not data:
                break
    if rest:
        yield rest.decode(errors="replace")
    process.wait()
