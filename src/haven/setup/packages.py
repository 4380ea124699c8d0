"""Python packages from an environment that was made from the same locks: no network, no compiler, two seconds."""

from __future__ import annotations

import base64
import csv
import hashlib
import re
import shutil
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path

_PINNED = re.compile(r"^([A-Za-z0-9._-]+)==([^ \\;]+)([^\\]*)", re.MULTILINE)


def pinned(lock: str) -> dict[str, str]:
    """Names and versions in the text of a lock, without those for Windows."""
    return {_plain(name): version for name, version, rest in _PINNED.findall(lock) if "win32" not in rest}


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def site_packages(environment: Path) -> Path | None:
    """The folder of an environment's packages; None if it has none."""
    return next(iter(environment.glob("lib/python3.*/site-packages")), None)


def found_in(site: Path, wanted: dict[str, str]) -> list[metadata.Distribution] | None:
    """The distributions in that folder that the locks name; None unless all are there in those very versions, each
    file as it was installed."""
    there = {_plain(dist.metadata["Name"]): dist for dist in metadata.distributions(path=[str(site)])}
    if any(name not in there or there[name].version != version for name, version in wanted.items()):
        return None
    chosen = [there[name] for name in wanted]
    return chosen if all(_whole(dist) for dist in chosen) else None


def _inside(dist: metadata.Distribution) -> Iterator[tuple[str, str]]:
    """Its files in site-packages, each with its hash (`sha256=...`, or none). By its own record: since Python 3.12
    `dist.files` leaves out what is missing. Programs name the interpreter of their environment, and
    nobody runs them."""
    for name, digest, _size in csv.reader((dist.read_text("RECORD") or "").splitlines()):
        if ".." not in Path(name).parts and not Path(name).is_absolute():
            yield name, digest


def _whole(dist: metadata.Distribution) -> bool:
    """Whether each file is as it was installed. Compiled files, and the record itself, have no hash."""
    hashed = [(name, digest) for name, digest in _inside(dist) if digest]
    return bool(hashed) and all(
        _is_as_installed(Path(str(dist.locate_file(name))), digest) for name, digest in hashed
    )


def _is_as_installed(path: Path, digest: str) -> bool:
    kind, _, wanted = digest.partition("=")
    try:
        data = path.read_bytes()
    except OSError:
        return False
    return base64.urlsafe_b64encode(hashlib.new(kind, data).digest()).rstrip(b"=").decode() == wanted


def copy(dists: Iterable[metadata.Distribution], site: Path) -> None:
    """Copies them into another site-packages; times are kept, so that what is compiled stays valid."""
    for dist in dists:
        for name, _digest in _inside(dist):
            source, target = Path(str(dist.locate_file(name))), site / name
            if source.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target)
