"""The edge to the terminal: complaints on stderr, closed pipes, full disks, characters it cannot show."""

import io
import os
import sys
from collections.abc import Callable
from contextlib import suppress

from haven.cli.text import LINE_CHARS, shortened

EXIT_TROUBLE = 1
EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141  # what a shell reports for a program that died of SIGPIPE, as others do


def complain(*lines: str) -> None:
    """Say what is wrong on stderr, one line each."""
    for line in lines:
        print(shortened(line, LINE_CHARS), file=sys.stderr)


def at_the_edge(program: str, run: Callable[[], int], trouble: int = EXIT_TROUBLE) -> int:
    """The exit status of `run`; `trouble` when its answer finds no room, which is said in one line."""
    _open_what_is_closed()
    tolerate_any_text()
    try:
        status = run()
        sys.stdout.flush()
    except BrokenPipeError:
        abandon_stdout()
        return EXIT_BROKEN_PIPE
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except OSError as error:
        abandon_stdout()
        where = f"{error.filename}" if error.filename else "the answer cannot be written"
        complain(f"{program}: {where}: {error.strerror or error}")
        return trouble
    return status


def _open_what_is_closed() -> None:
    """A program started with `>&-` has no stream at all: what it says goes nowhere then."""
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w")  # noqa: PTH123, SIM115 - for as long as this process lives
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w")  # noqa: PTH123, SIM115


def tolerate_any_text() -> None:
    """Show a question mark, rather than fail, for what the terminal's character set does not have."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def abandon_stdout() -> None:
    """Nobody reads us any more (`| head`): keep the interpreter's last flush from complaining."""
    with suppress(OSError, ValueError):  # a stream that is no file has nothing to be kept from
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)
