"""Signs of life: writes that say that somebody still is there, and nothing else."""

from collections.abc import Iterable
from dataclasses import replace

from haven.core.records import LrmRecord, ManagerRecord, Record
from haven.core.transaction import Put, Transaction, Write
from haven.core.view import View


def only_signs(view: View, transactions: Iterable[Transaction], fresh_s: float) -> bool:
    """Whether nothing becomes new by these but the time of signs that were fresh anyway, at most `fresh_s` old.
    Nobody decides by them: who reads them does it by the clock."""
    return all(_is_sign(view, write, fresh_s) for one in transactions for write in one.writes)


def _is_sign(view: View, write: Write, fresh_s: float) -> bool:
    known = view.entries.get(write.key)
    if known is None or not isinstance(write, Put):
        return False
    return _same(known.record, write.record, fresh_s)


def _same(old: Record, new: Record, fresh_s: float) -> bool:
    if isinstance(old, LrmRecord) and isinstance(new, LrmRecord):
        aged: Record = replace(old, timestamp_wall_s=new.timestamp_wall_s, looked_wall_s=new.looked_wall_s)
    elif isinstance(old, ManagerRecord) and isinstance(new, ManagerRecord):
        aged = replace(old, timestamp_wall_s=new.timestamp_wall_s)
    else:
        return False
    return aged == new and 0 <= new.timestamp_wall_s - old.timestamp_wall_s <= fresh_s
