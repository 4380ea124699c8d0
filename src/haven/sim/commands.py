"""What happens to a simulated cluster, as lines of text (spec 10.3)."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from haven.core.load import GuestFigures, Load
from haven.core.records import Command, Origin, ServiceConfig
from haven.core.words import DisarmMode, DisarmState, Kind, ShutdownKind, Verb, Wanted
from haven.sim.cluster import Cluster, Host, Role
from haven.sim.daemons import start_crm, start_lrm, stop_crm, stop_lrm
from haven.sim.inputs import DEFAULT_CONFIGURED, DEFAULT_MEASURED, MIB


class CommandError(Exception):
    """The line is no command of chapter 10.3; the text says what is wrong with it. `command` is the line, when it
    is one of a case."""

    def __init__(self, text: str, command: str | None = None) -> None:
        super().__init__(text)
        self.command = command


@dataclass(frozen=True, slots=True)
class Delay:
    """No further command lists for so long."""

    seconds: int


@dataclass(frozen=True, slots=True)
class SkipRounds:
    """All daemons of this kind skip so many rounds."""

    role: Role
    rounds: int


Wish = Delay | SkipRounds | None
"""What the run itself has to do about a command."""


def execute(cluster: Cluster, line: str, source: str) -> Wish:
    """Tell of the command and carry it out, useful or not. Raises CommandError."""
    words = line.split()
    cluster.tell_of(source, Kind.CMD, line, cmd=line)
    try:
        return _TABLE[words[0]](cluster, words[1:])
    except KeyError as error:
        what = "command" if words[0] not in _TABLE else error
        raise CommandError(f"{line!r}: unknown {what}", line) from error
    except (IndexError, ValueError) as error:
        raise CommandError(f"{line!r}: {error}", line) from error


def check(line: str, nodes: set[str]) -> None:
    """Whether the line is a command as it is written, for a node that exists. Raises CommandError."""
    words = line.split()
    if not words or words[0] not in _TABLE:
        raise CommandError(f"{line!r}: unknown command; known: {', '.join(sorted(_TABLE))}", line)
    if words[0] in _NODE_FIRST and (len(words) < 2 or words[1] not in nodes):
        there = ", ".join(sorted(nodes))
        raise CommandError(f"{line!r}: {words[0]} needs a node that exists; there are {there}", line)
    usage, pattern = FORMS[words[0]]
    if not re.fullmatch(pattern, " ".join(words[1:])):
        raise CommandError(f"{line!r}: expected {words[0]} {usage}", line)


# Hardware


def _power(cluster: Cluster, words: list[str]) -> None:
    host = cluster.hosts[words[0]]
    if words[1] == "on":
        _power_on(cluster, host)
    else:
        _power_off(cluster, host)
    host.going_down = None
    host.network = host.power


def _power_on(cluster: Cluster, host: Host) -> None:
    if host.power:
        return
    host.power = True
    host.store_broken = host.view_broken = False
    start_crm(cluster, host)
    start_lrm(cluster, host)


def _power_off(cluster: Cluster, host: Host) -> None:
    if not host.power:
        return
    for role, process in ((Role.CRM, host.crm), (Role.LRM, host.lrm)):
        if process is not None:
            cluster.say_daemon(host, role, Kind.DAEMON_KILLED, f"the {role} went down with its host")
    host.crm = host.lrm = None
    host.watchdogs.clear()
    host.restart_lrm = False
    cluster.guests.forget_node(host.name)
    host.power = False


def _network(cluster: Cluster, words: list[str]) -> None:
    cluster.hosts[words[0]].network = words[1] == "on"


def _delay(_cluster: Cluster, words: list[str]) -> Wish:
    return Delay(int(words[0]))


def _skip_round(_cluster: Cluster, words: list[str]) -> Wish:
    return SkipRounds(Role(words[0]), int(words[1]) if len(words) > 1 else 1)


def _cfs(cluster: Cluster, words: list[str]) -> None:
    host, broken = cluster.hosts[words[0]], words[2] == "fail"
    if words[1] == "rw":
        host.store_broken = broken
    else:
        host.view_broken = broken


def _go_down(kind: ShutdownKind) -> "_Handler":
    def go_down(cluster: Cluster, words: list[str]) -> None:
        host = cluster.hosts[words[0]]
        host.going_down = kind
        _ask_lrm(cluster, host, kind)

    return go_down


def _restart_lrm(cluster: Cluster, words: list[str]) -> None:
    host = cluster.hosts[words[0]]
    host.restart_lrm = host.lrm is not None
    _ask_lrm(cluster, host, ShutdownKind.RESTART)


def _ask_lrm(cluster: Cluster, host: Host, kind: ShutdownKind) -> None:
    if host.lrm is not None:
        host.lrm_stopping = host.lrm_stopping or kind
        stop_lrm(cluster, host)


def _version(cluster: Cluster, words: list[str]) -> None:
    cluster.hosts[words[0]].version = words[2]


# The manager's queue


def _crm(cluster: Cluster, words: list[str]) -> None:
    host, verb = cluster.hosts[words[0]], words[1]
    match verb:
        case "stop":
            stop_crm(cluster, host)
        case "start":
            if host.crm is None:
                start_crm(cluster, host)
        case "disarm-ha":
            _queue(cluster, Verb.DISARM, mode=DisarmMode(words[2]))
        case "arm-ha":
            _queue(cluster, Verb.ARM)
        case _:
            _queue(cluster, Verb(verb), node=host.name)


def _queue(
    cluster: Cluster,
    verb: Verb,
    *,
    sid: str = "",
    node: str = "",
    timeout_s: int = 0,
    mode: DisarmMode | None = None,
) -> None:
    number = f"{cluster.store.revision:012d}"
    origin = Origin("root", verb, float(cluster.now_s))
    cluster.store.put(f"command/{number}", Command(number, verb, sid, timeout_s, origin, node, mode))


# Services


def _service(cluster: Cluster, words: list[str]) -> None:
    sid, verb, rest = words[0], words[1], words[2:]
    if verb in ("started", "stopped", "disabled", "ignored", "enabled"):
        _change(cluster, sid, state=_wanted(verb))
    elif verb in (Verb.MIGRATE, Verb.RELOCATE):
        _queue(cluster, Verb(verb), sid=sid, node=rest[0])
    elif verb == Verb.STOP:
        _queue(cluster, Verb.STOP, sid=sid, timeout_s=int(rest[0]))
    else:
        _SERVICE[verb](cluster, sid, rest)


def _wanted(word: str) -> Wanted:
    """`enabled` is the old word for started (1.6)."""
    return Wanted.STARTED if word == "enabled" else Wanted(word)


def _config(cluster: Cluster, sid: str) -> ServiceConfig | None:
    return cluster.store.read(cluster.now_s).configs().get(sid)


def _change(cluster: Cluster, sid: str, **changes: object) -> None:
    config = _config(cluster, sid)
    if config is None:
        raise ValueError(f"service {sid} does not exist")
    cluster.store.put(f"config/{sid}", replace(config, **changes))  # type: ignore[arg-type]


def _add(cluster: Cluster, sid: str, words: list[str]) -> None:
    node = cluster.hosts[words[0]].name
    state = _wanted(words[1]) if len(words) > 1 else Wanted.STARTED
    if len(words) > 2 and words[2] != "0":
        cluster.guests.running.add((node, sid))
    cluster.figures[sid] = GuestFigures(DEFAULT_CONFIGURED, DEFAULT_MEASURED)
    cluster.store.put(f"config/{sid}", ServiceConfig(sid, sid, node, state))


def _delete(cluster: Cluster, sid: str, _words: list[str]) -> None:
    cluster.store.delete(f"config/{sid}")
    if sid in cluster.figures:
        measured = cluster.figures[sid].measured
        cluster.figures[sid] = GuestFigures(DEFAULT_CONFIGURED, measured)


def _lock(cluster: Cluster, sid: str, words: list[str]) -> None:
    cluster.guests.locks[sid] = words[0] if words else "backup"


def _unlock(cluster: Cluster, sid: str, _words: list[str]) -> None:
    cluster.guests.locks.pop(sid, None)


def _manual_migrate(cluster: Cluster, sid: str, words: list[str]) -> None:
    """Only what HA does not take care of can be moved by hand (7.3)."""
    config = _config(cluster, sid)
    record = cluster.store.read(cluster.now_s).manager()
    disarm = record.disarm if record else None
    suspended = disarm == replace(disarm, mode=DisarmMode.IGNORE, state=DisarmState.DISARMED) if disarm else False
    if config and (config.wanted is Wanted.IGNORED or suspended):
        _change(cluster, sid, node=cluster.hosts[words[0]].name)


def _static_stats(cluster: Cluster, sid: str, words: list[str]) -> None:
    figures = cluster.figures[sid]
    cluster.figures[sid] = replace(figures, configured=_load(figures.configured, words, "maxcpu", "maxmem"))


def _dynamic_stats(cluster: Cluster, sid: str, words: list[str]) -> None:
    figures = cluster.figures[sid]
    cluster.figures[sid] = replace(figures, measured=_load(figures.measured, words, "cpu", "mem"))


def _load(load: Load, words: list[str], cpus: str, memory: str) -> Load:
    given = dict(zip(words[::2], words[1::2], strict=True))
    return Load(
        float(given[cpus]) if cpus in given else load.cpus,
        float(given[memory]) * MIB if memory in given else load.memory_bytes,
    )


_Handler = Callable[[Cluster, list[str]], Wish]
_TABLE: dict[str, Callable[[Cluster, list[str]], Wish]] = {
    "power": _power,
    "network": _network,
    "delay": _delay,
    "skip-round": _skip_round,
    "cfs": _cfs,
    "reboot": _go_down(ShutdownKind.REBOOT),
    "shutdown": _go_down(ShutdownKind.SHUTDOWN),
    "restart-lrm": _restart_lrm,
    "crm": _crm,
    "pve-manager-version": _version,
    "service": _service,
}
KNOWN = frozenset(_TABLE)
_NODE_FIRST = frozenset(
    {"power", "network", "cfs", "reboot", "shutdown", "restart-lrm", "crm", "pve-manager-version"}
)
_SERVICE: dict[str, Callable[[Cluster, str, list[str]], None]] = {
    "add": _add,
    "delete": _delete,
    "lock": _lock,
    "unlock": _unlock,
    "manual-migrate": _manual_migrate,
    "set-static-stats": _static_stats,
    "set-dynamic-stats": _dynamic_stats,
}
VERSION = r"[0-9]{1,9}\.[0-9]{1,9}"
"""How a version begins at least; what follows is for R-6.13 to read."""

_STATES = "started|stopped|disabled|ignored"
_CRM = "stop|start|enable-node-maintenance|disable-node-maintenance|arm-ha"
_N, _X = r"[0-9]{1,9}", r"[0-9]{1,15}(\.[0-9]{1,15})?"
_SERVICE_FORMS = {
    _STATES: f"{_STATES}|enabled",
    "migrate|relocate|manual-migrate NODE": r"(migrate|relocate|manual-migrate) \S+",
    "stop SECONDS": f"stop {_N}",
    "add NODE [STATE [0|1]]": rf"add \S+( ({_STATES}|enabled)( [01])?)?",
    "delete": "delete",
    "lock|unlock [NAME]": r"(lock|unlock)( \S+)?",
    "set-static-stats [maxcpu X] [maxmem MIB]": rf"set-static-stats( (maxcpu|maxmem) {_X})*",
    "set-dynamic-stats [cpu X] [mem MIB]": rf"set-dynamic-stats( (cpu|mem) {_X})*",
}
FORMS = {
    "power": ("NODE on|off", r"\S+ (on|off)"),
    "network": ("NODE on|off", r"\S+ (on|off)"),
    "delay": ("SECONDS, at most 9999", "[0-9]{1,4}"),
    "skip-round": ("crm|lrm [ROUNDS]", f"(crm|lrm)( {_N})?"),
    "cfs": ("NODE rw|update work|fail", r"\S+ (rw|update) (work|fail)"),
    "reboot": ("NODE", r"\S+"),
    "shutdown": ("NODE", r"\S+"),
    "restart-lrm": ("NODE", r"\S+"),
    "crm": (f"NODE {_CRM}|disarm-ha freeze|ignore", rf"\S+ ({_CRM}|disarm-ha (freeze|ignore))"),
    "pve-manager-version": ("NODE set VERSION (for example 9.0.0)", rf"\S+ set {VERSION}\S*"),
    "service": (f"SID and one of {', '.join(_SERVICE_FORMS)}", rf"\S+ ({'|'.join(_SERVICE_FORMS.values())})"),
}
"""How each command is written (10.3), for people and as a pattern."""
