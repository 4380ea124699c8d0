"""A changed haven.toml is told once, by whoever starts first; a store in trouble costs the line only."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from haven.core.settings import Settings
from haven.core.transaction import Outcome, Refused, Transaction
from haven.core.view import View
from haven.daemons.in_force import keep_settings
from haven.store.protocol import StoreError
from haven.store.sqlite import SqliteStore, open_store

SETTINGS = Settings(node="alpha")
FASTER = replace(SETTINGS, tick_s=5.0)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    store = open_store(tmp_path, tmp_path, "test")
    yield store
    store.close()


def test_the_first_start_changes_nothing_and_the_next_ones_neither(store: SqliteStore) -> None:
    assert keep_settings(store, SETTINGS, "lrm", 1.0) == ""
    revision = store.read().revision
    assert keep_settings(store, SETTINGS, "lrm", 2.0) == ""
    assert store.read().revision == revision, "what is kept already is not written again"
    assert keep_settings(store, SETTINGS, "crm", 2.0) == ""


def test_a_change_is_told_by_the_first_that_finds_it(store: SqliteStore) -> None:
    for daemon in ("lrm", "crm"):
        keep_settings(store, SETTINGS, daemon, 1.0)
    assert keep_settings(store, FASTER, "crm", 2.0) == (
        "haven.toml: tick_s from 10 to 5 (found at the start of haven crm)"
    )
    assert keep_settings(store, FASTER, "lrm", 2.0) == ""
    assert {name: one.values["tick_s"] for name, one in store.read().settings_in_force("alpha").items()} == {
        "crm": "5", "lrm": "5", "newest": "5",
    }  # fmt: skip
    assert store.read().settings_in_force("beta") == {}


def test_no_secret_is_kept(store: SqliteStore) -> None:
    keep_settings(store, replace(SETTINGS, heartbeat_url="https://kuma/push/s3cret"), "api", 1.0)
    [kept] = [one for one in store.read().settings_in_force("alpha").values() if one.daemon == "api"]
    assert kept.values["heartbeat_url"].startswith("https://kuma/*** (")


class Racing:
    """A store in which somebody else is faster, once."""

    def __init__(self, store: SqliteStore) -> None:
        self._store, self._raced = store, False
        self.damaged: dict[str, str] = {}

    def read(self) -> View:
        return self._store.read()

    def commit(self, transaction: Transaction, *, quiet: bool = False) -> Outcome:
        if not self._raced:
            self._raced = True
            keep_settings(self._store, FASTER, "crm", 2.0)
        return self._store.commit(transaction, quiet=quiet)

    def close(self) -> None: ...


def test_of_two_that_start_together_one_tells(store: SqliteStore) -> None:
    keep_settings(store, SETTINGS, "lrm", 1.0)
    assert keep_settings(Racing(store), FASTER, "lrm", 2.0) == ""
    assert store.read().settings_in_force("alpha")["lrm"].values["tick_s"] == "5"


class Broken(Racing):
    def read(self) -> View:
        raise StoreError("damaged")


class Refusing(Racing):
    def commit(self, transaction: Transaction, *, quiet: bool = False) -> Outcome:
        return Refused("incarnation")


def test_a_store_in_trouble_costs_the_line_only(store: SqliteStore) -> None:
    assert keep_settings(Broken(store), FASTER, "lrm", 1.0) == ""
    assert keep_settings(Refusing(store), FASTER, "lrm", 1.0) == ""
