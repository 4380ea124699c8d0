"""What can happen in haven's own scenarios beyond the commands of spec 10.3. One line each, as there:

| line | meaning |
|---|---|
| `guest SID crash` | its process dies where it runs |
| `guest SID fail start\\|move\\|stop TIMES [NODE]` | the next TIMES attempts fail (`always`: all); 0: mended |
| `guest SID carry NODE` | moved by hand, running as it was; only while HA does not take care of it |
| `config SID KEY VALUE` | max_restart, max_relocate, failback |
| `rule ID remove\\|disable\\|enable` | |
| `options KEY VALUE` | see scenario/options.py |
"""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from haven.core.records import Rule
from haven.core.words import DisarmMode, Kind, Wanted
from haven.sim.cluster import Cluster
from haven.sim.commands import CommandError
from haven.sim.guests import Trouble
from haven.sim.scenario.options import checked_option


def knows(line: str) -> bool:
    return line.partition(" ")[0] in _TABLE


def execute(cluster: Cluster, line: str) -> None:
    """Tell of it and carry it out. Raises CommandError."""
    word, *rest = line.split()
    cluster.tell_of("cmdlist", Kind.CMD, line, cmd=line)
    try:
        _TABLE[word](cluster, rest)
    except (KeyError, IndexError, ValueError) as error:
        raise CommandError(f"{line!r}: {error}") from error


def _guest(cluster: Cluster, words: list[str]) -> None:
    sid, verb, *rest = words
    match verb:
        case "crash":
            running = cluster.guests.running
            running.difference_update([pair for pair in running if pair[1] == sid])
        case "fail":
            left = math.inf if rest[1] == "always" else int(rest[1])
            cluster.guests.troubles[sid, rest[0]] = Trouble(left, rest[2] if len(rest) > 2 else None)
        case "carry":
            _carry(cluster, sid, rest[0])
        case _:
            raise ValueError(f"unknown {verb!r}")


def _carry(cluster: Cluster, sid: str, node: str) -> None:
    """By hand, so HA is not asked: only where it does not take care (7.3)."""
    view = cluster.store.read(cluster.now_s)
    config, record = view.configs()[sid], view.manager()
    disarm = record.disarm if record else None
    let_go = config.wanted is Wanted.IGNORED or (disarm is not None and disarm.mode is DisarmMode.IGNORE)
    if not let_go:
        raise ValueError("HA takes care of it: migrate it, or set it to ignored first")
    running = cluster.guests.running
    runs = any(pair[1] == sid for pair in running)
    running.difference_update([pair for pair in running if pair[1] == sid])
    if runs:
        running.add((node, sid))
    cluster.store.put(f"config/{sid}", replace(config, node=node))


def _config(cluster: Cluster, words: list[str]) -> None:
    sid, key, value = words
    read: dict[str, Callable[[str], int | bool]] = {
        "max_restart": int,
        "max_relocate": int,
        "failback": lambda text: text == "on",
    }
    config = cluster.store.read(cluster.now_s).configs()[sid]
    changes: dict[str, Any] = {key: read[key](value)}
    cluster.store.put(f"config/{sid}", replace(config, **changes))


def _rule(cluster: Cluster, words: list[str]) -> None:
    name, verb = words
    if verb == "remove":
        cluster.store.delete(f"rule/{name}")
        return
    rule: Rule = next(rule for rule in cluster.store.read(cluster.now_s).rules() if rule.id == name)
    cluster.store.put(f"rule/{name}", replace(rule, disabled=verb == "disable"))


def _options(cluster: Cluster, words: list[str]) -> None:
    name, value = checked_option(*words)
    changes: dict[str, Any] = {name: value}
    cluster.store.put("options", replace(cluster.store.read(cluster.now_s).options(), **changes))


_TABLE: dict[str, Callable[[Cluster, list[str]], None]] = {
    "guest": _guest,
    "config": _config,
    "rule": _rule,
    "options": _options,
}
