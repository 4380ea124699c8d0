"""The settings that a process runs with, kept beside what it decides; a changed haven.toml becomes a line of the
story, told by whichever process finds it first."""

from dataclasses import replace

from haven.core.records import SettingsInForce
from haven.core.settings import Settings
from haven.core.settings_change import as_texts, difference
from haven.core.transaction import Guard, Put, Refused, Transaction
from haven.core.view import View
from haven.store.protocol import Store, StoreError

NEWEST = "newest"
"""The record of what any of the node's processes was started with last."""
_TRIES = 3


def keep_settings(store: Store, settings: Settings, daemon: str, wall_s: float) -> str:
    """Write down what this process runs with; returns what changed, in words, if nobody has told it yet.

    A store in trouble costs the line, never the start.
    """
    own = SettingsInForce(settings.node, daemon, as_texts(settings), wall_s)
    for _ in range(_TRIES):
        try:
            view = store.read()
        except StoreError:
            return ""
        known = view.settings_in_force(settings.node)
        newest = replace(own, daemon=NEWEST)
        records = [one for one in (own, newest) if not _is_kept(one, known.get(one.daemon))]
        if not records:
            return ""
        if not isinstance(store.commit(_written(view, records)), Refused):
            before = known.get(NEWEST)
            changed = difference(before.values, newest.values) if before and newest in records else ""
            return f"haven.toml: {changed} (found at the start of haven {daemon})" if changed else ""
    return ""


def _is_kept(record: SettingsInForce, known: SettingsInForce | None) -> bool:
    return known is not None and known.values == record.values


def _written(view: View, records: list[SettingsInForce]) -> Transaction:
    keys = [f"settings/{record.place}" for record in records]
    guards = tuple(Guard(key, view.revision_of(key)) for key in keys)
    return Transaction(view.incarnation, guards, tuple(map(Put, keys, records)))
