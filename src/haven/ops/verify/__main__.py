"""The checks from outside, when the API does not answer: `python -m haven.ops.verify WHY`, as JSON on stdout.

It reads the store, the history and libvirt itself, and changes nothing: no store is made, mended or migrated.
"""

import fcntl
import json
import os
import sqlite3
import sys
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from haven.core.settings import Settings, SettingsError
from haven.core.view import View
from haven.daemons.machine import load_settings
from haven.history.history import HISTORY_FILE, History
from haven.history.model import HistoryError
from haven.hypervisor.inventory import LibvirtInventory
from haven.ops.verify.checks import as_data, verify
from haven.ops.verify.gather import Sources, gather
from haven.store import locks, schema
from haven.store.connection import connect, in_words
from haven.store.doorbell import Ringer
from haven.store.protocol import StoreError
from haven.store.sqlite import STORE_FILE, SqliteStore


@dataclass(slots=True)
class Outside:
    """The store and the history as they lie on disk."""

    settings: Settings
    damaged: dict[str, str] = field(default_factory=dict)

    def read(self) -> View:
        """Raises StoreError."""
        path = Path(self.settings.state_dir) / STORE_FILE
        try:
            if not path.exists():
                raise StoreError(f"there is no store at {path}: haven has not run here yet, start it: haven up")
            with closing(connect(path)) as connection:
                version = schema.schema_of(connection)
            if version != len(schema.STEPS):
                raise StoreError(f"{path} has schema {version}, this haven knows {len(schema.STEPS)}")
            return self._read(path)
        except (sqlite3.Error, OSError) as error:
            raise StoreError(f"cannot read {path}: {in_words(error)}") from error

    def _read(self, path: Path) -> View:
        lock = locks.open_private(path.with_name("store.lock"))
        if not locks.lock_within(lock, fcntl.LOCK_SH, 0.0):
            os.close(lock)
            raise StoreError(f"{path} is locked{locks.lock_holders(path.with_name('store.lock'))}")
        with closing(SqliteStore(path, Ringer(Path(self.settings.run_dir), "verify"), lock, ())) as store:
            view = store.read()
            self.damaged = store.damaged
            return view

    def book(self) -> History:
        """Raises HistoryError."""
        path = Path(self.settings.state_dir) / HISTORY_FILE
        if not path.exists():
            raise HistoryError(f"there is no {path} yet")
        return History(path)


def main(why: str) -> int:
    """Look, and print what was found; exit status 0, however bad it is."""
    try:
        settings = load_settings()
    except SettingsError:
        settings = Settings(node=os.uname().nodename.partition(".")[0])  # the check of the settings names it
    outside = Outside(settings)
    with closing(LibvirtInventory(settings)) as inventory:
        sources = Sources(
            settings,
            settings.node,
            outside.read,
            lambda: outside.damaged,
            outside.book,
            inventory.survey,
            api_trouble=why or "haven's API does not answer",
        )
        facts = gather(sources)
    print(json.dumps(as_data(facts, verify(facts))))
    return 0


if __name__ == "__main__":
    sys.exit(main(" ".join(sys.argv[1:])))
