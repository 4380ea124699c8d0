"""The edge to the terminal: complaints on stderr, closed pipes, characters it cannot show."""

import io
import os
import sys

from haven.cli.text import LINE_CHARS, shortened

EXIT_INTERRUPTED = 130
EXIT_BROKEN_PIPE = 141  # what a shell reports for a program that died of SIGPIPE, as others do


def complain(*lines: str) -> None:
    """Say what is wrong on stderr, one line each."""
    for line in lines:
        print(shortened(line, LINE_CHARS), file=sys.stderr)


def tolerate_any_text() -> None:
    """Show a question mark, rather than fail, for what the terminal's character set does not have."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def abandon_stdout() -> None:
    """Nobody reads us any more (`| head`): keep the interpreter's last flush from complaining."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)
