"""The files that an installed version puts on the host: units, programs, man pages, completions."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from haven.bootstrap.errors import SetupError
from haven.setup.places import MARK, MARK_WITHIN_BYTES, Places
from haven.setup.versions import Version


def of(version: Version) -> list[Path]:
    """A version's files, relative to /."""
    return sorted(path.relative_to(version.files) for path in version.files.rglob("*") if path.is_file())


def refuse_foreign(places: Places, version: Version) -> None:
    """SetupError when a file that this version brings is there already, and somebody else's."""
    for path in of(version):
        if (places.root / path).exists() and not _ours(places.root / path):
            raise SetupError(f"/{path} is there already and is not haven's: move it away, then run this again")


def differing(places: Places, version: Version) -> list[Path]:
    """Those of this version's files that the host does not have as they are."""
    return [path for path in of(version) if _differs(version.files / path, places.root / path)]


def put(places: Places, version: Version) -> None:
    """Brings the host's files to those of this version."""
    for path in differing(places, version):
        _copy(version.files / path, places.root / path)


def take_away(places: Places, paths: Iterable[Path]) -> int:
    """Removes those of the files that are haven's; how many there were."""
    there = [places.root / path for path in paths if _ours(places.root / path)]
    for path in there:
        path.unlink()
    return len(there)


def _ours(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return MARK.encode() in file.read(MARK_WITHIN_BYTES)
    except OSError:
        return False


def _differs(source: Path, target: Path) -> bool:
    try:
        return source.read_bytes() != target.read_bytes()
    except OSError:
        return True


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    write(target, source.read_bytes(), source.stat().st_mode & 0o777)


def write(target: Path, content: bytes, mode: int) -> None:
    """A whole file or none, even across a power cut: an empty unit would start no haven at the next boot."""
    staged = target.with_name(f".{target.name}.haven")
    staged.unlink(missing_ok=True)
    with open(os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode), "wb") as file:  # noqa: PTH123
        os.fchmod(file.fileno(), mode)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    staged.replace(target)
