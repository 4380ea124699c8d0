"""Maintenance windows: begun, looked at, made longer, ended."""

from dataclasses import replace

from haven.core.clock import Now, deadline_after
from haven.core.event import Event
from haven.core.hands_off import windows_in_force
from haven.core.node.windows import begun, ended, then
from haven.core.records import Maintenance, Origin
from haven.core.sentences import by, duration
from haven.core.transaction import Put
from haven.core.view import View
from haven.core.words import Kind, Level
from haven.ops.deeds import Deed, OpsError


def begin(view: View, sids: tuple[str, ...], length_s: float, reason: str, origin: Origin, now: Now) -> Deed:
    """Raises OpsError."""
    if not sids:
        raise OpsError("no VM is protected: there is nothing to keep hands off")
    if strange := [sid for sid in sids if sid not in view.configs()]:
        raise OpsError(f"{strange[0]} is not protected: haven leaves it alone anyway")
    window = Maintenance(_free_id(view), sids, reason, deadline_after(now, length_s), now.wall_s, origin)
    sentence = begun(window, tuple(sid for sid in sids if _is_off(view, sid)))
    event = _event(Kind.MAINTENANCE_BEGUN, sentence, window)
    return Deed((Put(f"maintenance/{window.id}", window),), (event,), sentence, window.id)


def end(view: View, name: str, origin: Origin, now: Now) -> Deed:
    """Of the window with that id, or of all windows of that VM; with an empty name, the only one there is. It is
    deleted by the node, once that has found what happened until now."""
    found, at = _named(view, name, now), deadline_after(now, 0.0)
    vms = ", ".join(dict.fromkeys(sid for window in found for sid in window.sids))
    sentence = f"maintenance of {vms} ended{by(origin)}: {then(found, view, now.wall_s)}"
    writes = tuple(Put(f"maintenance/{window.id}", ended(window, at)) for window in found)
    events = tuple(_event(Kind.MAINTENANCE_ENDED, sentence, window) for window in found)
    return Deed(writes, events, sentence)


def extend(view: View, name: str, length_s: float, origin: Origin, now: Now) -> Deed:
    """From now on; it is reminded of again."""
    found = _named(view, name, now)
    longer = [replace(window, until=deadline_after(now, length_s), reminded=False) for window in found]
    vms = ", ".join(dict.fromkeys(sid for window in found for sid in window.sids))
    sentence = f"maintenance of {vms} goes on for {duration(length_s)} from now{by(origin)}"
    writes = tuple(Put(f"maintenance/{window.id}", window) for window in longer)
    events = tuple(_event(Kind.MAINTENANCE_BEGUN, sentence, window) for window in longer)
    return Deed(writes, events, sentence)


def _named(view: View, name: str, now: Now) -> list[Maintenance]:
    windows = windows_in_force(view, now)
    found = [window for window in windows if name in ("", window.id) or name in window.sids]
    known = ", ".join(f"{window.id} ({', '.join(window.sids)})" for window in windows)
    if not found or (not name and len(found) > 1):
        which = f"no maintenance of '{name}'" if name else "say which maintenance" if found else "no maintenance"
        raise OpsError(f"{which}; there is: {known}" if known else f"{which}: nothing is in maintenance now")
    return found


def _free_id(view: View) -> str:
    """Short, to be typed; not that of one that is over and still kept."""
    taken = view.maintenances()
    return next(name for number in range(1, len(taken) + 2) if (name := f"m{number}") not in taken)


def _is_off(view: View, sid: str) -> bool:
    journal = view.journals().get(view.configs()[sid].uuid)
    return journal is not None and not journal.running


def _event(kind: Kind, sentence: str, window: Maintenance) -> Event:
    sid = window.sids[0] if len(window.sids) == 1 else None
    return Event(kind, sentence, sid, "maintenance", Level.INFO, {"id": window.id, "sids": window.sids})
