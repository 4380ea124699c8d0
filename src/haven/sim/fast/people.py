"""What people write: wanted states, commands, rules, options. Only where the store can be reached; guarded."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from haven.core.load import GuestFigures, Load
from haven.core.records import ClusterOptions, Command, Origin, Rule, ServiceConfig
from haven.core.transaction import Delete, Guard, Put, Transaction
from haven.core.view import View
from haven.core.words import DisarmMode, Verb, Wanted
from haven.sim.fast.guests import Guest
from haven.sim.fast.machine import WALL_S
from haven.sim.fast.world import World
from haven.sim.inputs import DEFAULT_CONFIGURED, DEFAULT_MEASURED, MIB
from haven.sim.scenario.options import checked_option

PERSON = "root"
Writes = Iterator[Put | Delete]


class LineError(Exception):
    """The line is nothing that can happen; the text says what is wrong with it."""


def write(world: World, *writes: Put | Delete) -> None:
    """Nobody is told when it does not work: people try again, or not."""
    if not world.store_is_up or world.calls.full or not any(map(world.reaches_store, world.hosts.values())):
        return
    view = world.store.view
    guards = tuple(Guard(one.key, view.revision_of(one.key)) for one in writes)
    world.store.commit(Transaction(view.incarnation, guards, writes), PERSON)


def origin(world: World, via: str) -> Origin:
    return Origin(PERSON, via, WALL_S + world.agenda.now_s)


def _command(world: World, verb: Verb, **fields: Any) -> Command:
    number = f"{world.store.view.revision:08x}"
    given: dict[str, Any] = {"sid": "", "timeout_s": 0, "origin": origin(world, str(verb))}
    return Command(number, verb, **(given | fields))


def _queue(world: World, command: Command, *more: Put | Delete) -> None:
    write(world, Put(f"command/{command.id}", command), *more)


# Services


def _service(world: World, words: list[str]) -> None:
    sid, what, *rest = words
    config = world.store.view.configs().get(sid)
    if what == "add":
        _add(world, sid, rest[0], Wanted(rest[1]) if len(rest) > 1 else Wanted.STARTED)
    elif what in FIGURES:
        _figures(world, sid, what, rest)
    elif config is None:
        return
    elif what == "delete":
        write(world, Delete(f"config/{sid}"))
    elif what in (Verb.MIGRATE, Verb.RELOCATE):
        _queue(world, _command(world, Verb(what), sid=sid, node=rest[0]))
    elif what == Verb.STOP:
        command = _command(world, Verb.STOP, sid=sid, timeout_s=int(rest[0]))
        stopped = replace(config, state=Wanted.STOPPED, origin=command.origin)
        _queue(world, command, Put(f"config/{sid}", stopped))
    else:
        _want(world, config, Wanted(what))


def _want(world: World, config: ServiceConfig, wanted: Wanted) -> None:
    """What is said last holds: stops that wait in the queue do not."""
    view, sid = world.store.view, config.sid
    stops = [f"command/{command.id}" for command in view.commands().values() if command.sid == sid]
    new = replace(config, state=wanted, origin=origin(world, "ha-manager set"))
    write(world, Put(f"config/{sid}", new), *(Delete(key) for key in stops))


def _add(world: World, sid: str, node: str, wanted: Wanted) -> None:
    """Where it is, if it is anywhere; one that nobody knows yet is made."""
    if sid in world.store.view.configs():
        return
    uuid = next((guest.uuid for guest in world.guests.values() if guest.sid == sid), sid)
    world.guests.setdefault(uuid, Guest(sid, uuid))
    keys = world.store.view.runs()
    node = keys[uuid].node or node if uuid in keys else node
    where = next(iter(world.truth.runs_on.get(uuid, ())), node)
    _measure(world, sid, world.figures.guests.get(sid, GuestFigures(DEFAULT_CONFIGURED, DEFAULT_MEASURED)))
    config = ServiceConfig(sid, uuid, where, wanted, origin=origin(world, "ha-manager add"))
    write(world, Put(f"config/{sid}", config))


FIGURES = {
    "set-static-stats": ("configured", "maxcpu", "maxmem"),
    "set-dynamic-stats": ("measured", "cpu", "mem"),
}


def _figures(world: World, sid: str, what: str, words: list[str]) -> None:
    field, cpus, memory = FIGURES[what]
    given = dict(zip(words[::2], words[1::2], strict=True))
    figures = world.figures.guests.get(sid, GuestFigures(Load()))
    old: Load = getattr(figures, field)
    new = Load(
        float(given[cpus]) if cpus in given else old.cpus,
        float(given[memory]) * MIB if memory in given else old.memory_bytes,
    )
    changes: dict[str, Any] = {field: new}
    _measure(world, sid, replace(figures, **changes))


def _measure(world: World, sid: str, figures: GuestFigures) -> None:
    world.figures = replace(world.figures, guests={**world.figures.guests, sid: figures})


def _fence_confirm(world: World, words: list[str]) -> None:
    """Its epoch is retired, as the expiry of a lock with a watchdog behind it would retire it."""
    view, key = world.store.view, f"agent/{words[0]}"
    agent = view.agents().get(words[0])
    if agent is None or f"lock/{key}" in view.entries:
        return
    write(world, Put(key, replace(agent, released=False, retired=True, running=())))


def _config(world: World, words: list[str]) -> None:
    sid, key, value = words
    read: dict[str, Callable[[str], int | bool]] = {
        "max_restart": int,
        "max_relocate": int,
        "failback": lambda text: text == "on",
    }
    config = world.store.view.configs().get(sid)
    if config:
        changes: dict[str, Any] = {key: read[key](value)}
        write(world, Put(f"config/{sid}", replace(config, **changes)))


# Nodes, rules, options


def _crm(world: World, words: list[str]) -> None:
    host, what = world.hosts[words[0]], words[1]
    match what:
        case "stop":
            if host.crm:
                host.crm.shutdown = True
                host.crm.into(host.crm.wake)
        case "start":
            world.start_crm(host)
        case "disarm-ha":
            _queue(world, _command(world, Verb.DISARM, mode=DisarmMode(words[2])))
        case "arm-ha":
            _queue(world, _command(world, Verb.ARM))
        case _:
            _queue(world, _command(world, Verb(what), node=host.name))


def _rule(world: World, words: list[str]) -> None:
    rule = _rule_named(world.store.view, words[0])
    if rule is None:
        return
    if words[1] == "remove":
        write(world, Delete(f"rule/{rule.id}"))
    else:
        write(world, Put(f"rule/{rule.id}", replace(rule, disabled=words[1] == "disable")))


def _rule_named(view: View, name: str) -> Rule | None:
    return next((rule for rule in view.rules() if rule.id == name), None)


def _options(world: World, words: list[str]) -> None:
    write(world, Put("options", option_set(world.store.view.options(), words[0], words[1])))


def option_set(options: ClusterOptions, name: str, value: str) -> ClusterOptions:
    field, read = checked_option(name, value)
    changes: dict[str, Any] = {field: read}
    return replace(options, **changes)


PEOPLE: dict[str, Callable[[World, list[str]], None]] = {
    "service": _service,
    "config": _config,
    "crm": _crm,
    "rule": _rule,
    "options": _options,
    "fence-confirm": _fence_confirm,
}
