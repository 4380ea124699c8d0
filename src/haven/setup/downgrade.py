"""An older haven cannot read a newer store. The way back is the copy made before the store was changed."""

from __future__ import annotations

import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path

from haven.bootstrap.errors import SetupError
from haven.setup.versions import Version
from haven.store import opening
from haven.store.protocol import StoreError

STORE_FILE = "haven.db"
_KNOWS = "from haven.store.schema import STEPS; print(len(STEPS))"


@dataclass(frozen=True)
class WayBack:
    """The store is of `schema`; a version that knows `known` needs `copy`, if it is there."""

    schema: int
    known: int
    copy: Path

    @property
    def sentence(self) -> str:
        """What using the copy means."""
        made = time.strftime("%Y-%m-%d %H:%M", time.localtime(self.copy.stat().st_mtime))
        return (
            f"the store is of schema {self.schema}, that version knows {self.known}: it would run with"
            f" {self.copy}, the store as it was on {made}; VMs added and settings changed since then are not in it"
        )


def way_back(state_dir: Path, version: Version) -> WayBack | None:
    """What is needed before this version can open the store; None: nothing. SetupError when there is no way."""
    store = state_dir / STORE_FILE
    try:
        schema = opening.schema_at(store)
    except (StoreError, sqlite3.Error) as error:
        raise SetupError(f"{store} cannot be read: {error}") from error
    known = int(version.ask(_KNOWS))
    if schema <= known:
        return None
    way = WayBack(schema, known, opening.before(store, known))
    if not way.copy.exists():
        raise SetupError(
            f"{store} is of schema {schema}, haven {version.name} knows {known}, and there is no {way.copy.name}:"
            " it cannot run with this store"
        )
    return way


def take(state_dir: Path, way: WayBack) -> Path:
    """Puts the copy in the store's place; where the newer store is kept. Nothing of haven may run. SetupError."""
    try:
        return opening.go_back(state_dir / STORE_FILE, way.known)
    except (StoreError, OSError, sqlite3.Error) as error:
        raise SetupError(f"the store stays as it is: {error}") from error
