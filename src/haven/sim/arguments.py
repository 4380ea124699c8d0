"""Words of the command line that several commands take."""

import argparse
from pathlib import Path

from haven.sim.errors import WordsError


def named(text: str) -> str:
    """The name of a file as it was given. An empty one would be the folder that one is in."""
    if not text:
        raise argparse.ArgumentTypeError("the name of a file is missing")
    return text


def file_named(text: str) -> Path:
    """As `named`, as a path."""
    return Path(named(text))


def check_target(option: str, target: Path, source: Path) -> None:
    """That what is written there is not what is read, by whatever name. Raises WordsError."""
    try:
        same = target.samefile(source)
    except OSError:  # one of them is not there yet
        return
    if same:
        raise WordsError(
            f"{option} {target}: that is the file that is read, and it would be lost; name another one"
        )
