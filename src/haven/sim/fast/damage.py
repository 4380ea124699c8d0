"""Records that are there and cannot be read for a while: a flipped bit, a disk that lies."""

from collections.abc import Callable

from haven.sim.fast.world import World

BY_SID, BY_UUID, BY_NODE = ("config", "service"), ("run", "journal"), ("lrm", "agent")


def _damage(world: World, words: list[str]) -> None:
    """`damage SID|NODE KIND SECONDS`."""
    whose, kind, seconds = words
    if kind in BY_UUID:
        key = f"{kind}/{next(guest.uuid for guest in world.guests.values() if guest.sid == whose)}"
    elif kind in (*BY_SID, *BY_NODE):
        key = f"{kind}/{whose}"
    else:
        raise ValueError(f"no record {kind!r} can be damaged here")
    world.store.damage(key)
    world.agenda.after(float(seconds), world.store.mend, key)


def mend_all(world: World) -> None:
    for key in sorted(world.store.damaged):
        world.store.mend(key)


DAMAGE: dict[str, Callable[[World, list[str]], None]] = {"damage": _damage}
