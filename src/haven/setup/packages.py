"""Python packages from an environment that was made from the same locks: no network, no compiler, two seconds."""

from __future__ import annotations

import base64
import hashlib
import re
import shutil
from collections.abc import Iterable
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


def _inside(dist: metadata.Distribution) -> Iterable[metadata.PackagePath]:
    """Its files in site-packages; programs name the interpreter of their environment, and nobody runs them."""
    return (path for path in dist.files or () if ".." not in path.parts)


def _whole(dist: metadata.Distribution) -> bool:
    for path in _inside(dist):
        if path.hash is None:  # compiled files, and the record itself
            continue
        try:
            data = Path(str(path.locate())).read_bytes()
        except OSError:
            return False
        digest = base64.urlsafe_b64encode(hashlib.new(path.hash.mode, data).digest()).rstrip(b"=").decode()
        if digest != path.hash.value:
            return False
    return True


def copy(dists: Iterable[metadata.Distribution], site: Path) -> None:
    """Copies them into another site-packages; times are kept, so that what is compiled stays valid."""
    for dist in dists:
        for path in _inside(dist):
            source, target = Path(str(path.locate())), site / path
            if source.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target)
