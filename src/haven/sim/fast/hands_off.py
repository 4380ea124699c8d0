"""What people keep haven off a VM by: maintenance windows and locks. Each ends by itself if nobody ends it."""

from collections.abc import Callable

from haven.core.clock import Now, deadline_after
from haven.core.node.windows import ended
from haven.core.records import Maintenance, VmLock
from haven.core.transaction import Delete, Put
from haven.sim.fast.people import origin, write
from haven.sim.fast.world import World


def _maintain(world: World, words: list[str]) -> None:
    """`maintain SID SECONDS`, `maintain SID end`."""
    sid, length = words[0], words[1]
    view, now = world.store.view, _now_of_a_person(world)
    if now is None:
        return
    if length == "end":
        for one in view.maintenances().values():
            if sid in one.sids and not one.ended:
                write(world, Put(f"maintenance/{one.id}", ended(one, deadline_after(now, 0.0))))
    elif sid in view.configs():
        name, until = f"m{view.revision:x}", deadline_after(now, float(length))
        window = Maintenance(name, (sid,), "work", until, now.wall_s, origin(world, "haven maintenance"))
        write(world, Put(f"maintenance/{name}", window))


def _lock(world: World, words: list[str]) -> None:
    """`lock SID SECONDS`, `lock SID end`."""
    sid, length = words[0], words[1]
    now = _now_of_a_person(world)
    if length == "end":
        write(world, Delete(f"vmlock/{sid}"))
    elif now and sid in world.store.view.configs():
        record = VmLock(sid, "backup", deadline_after(now, float(length)), now.wall_s, origin(world, "haven lock"))
        write(world, Put(f"vmlock/{sid}", record))


def _now_of_a_person(world: World) -> Now | None:
    """By the clock of the first host from which something can be written."""
    host = next(filter(world.reaches_store, world.hosts.values()), None)
    return host.now(world.agenda.now_s) if host else None


HANDS_OFF: dict[str, Callable[[World, list[str]], None]] = {"maintain": _maintain, "lock": _lock}
