"""The conformance case format (spec 10.1) read into inputs. Only `inputs` of a case is looked at."""

import re
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import Any, TypeVar

from haven.core.load import GuestFigures, Load
from haven.core.records import (
    ClusterOptions,
    Disarm,
    Group,
    ManagerRecord,
    NodeAffinityRule,
    PendingCommand,
    Record,
    ResourceAffinityRule,
    Rule,
    ServiceConfig,
    ServiceStatus,
)
from haven.core.words import (
    Affinity,
    CrmState,
    DisarmMode,
    DisarmState,
    NodeState,
    RebalanceMethod,
    SchedulerMode,
    ServiceState,
    ShutdownPolicy,
    Verb,
    Wanted,
)
from haven.sim.errors import CaseError
from haven.sim.fields import MOST, short
from haven.sim.files import line_of, read_json
from haven.sim.inputs import DEFAULT_CONFIGURED, DEFAULT_MEASURED, DEFAULT_VERSION, Inputs, NodeInput

E = TypeVar("E", bound=StrEnum)
T = TypeVar("T")
Entry = Mapping[str, Any]

KNOWN = frozenset(
    {
        "hardware_status",
        "manager_status",
        "service_config",
        "rules_config",
        "groups",
        "datacenter_cfg",
        "static_service_stats",
        "dynamic_service_stats",
        "cmdlist",
        "service_status",
    }
)


def read_case(text: str) -> Inputs:
    """The inputs of a case file. Raises CaseError, with the line where it can be told."""
    whole = read_json(text)
    try:
        inputs = _mapping(_mapping(whole, "the file").get("inputs"), "inputs")
        return _inputs(inputs)
    except _WrongError as wrong:
        raise CaseError(wrong.what, line=line_of(text, wrong.names)) from wrong
    except KeyError as error:
        raise CaseError(f"not a complete case: {error} is missing or unknown") from error
    except (ValueError, TypeError, AttributeError) as error:
        raise CaseError(f"not a valid case: {error}") from error


class _WrongError(Exception):
    """`names` are the words to look for in the text, the nearest last."""

    def __init__(self, what: str, *names: str) -> None:
        super().__init__(what)
        self.what, self.names = what, names


def _inputs(inputs: Entry) -> Inputs:
    for key in inputs:
        if key not in KNOWN:
            raise _WrongError(f"unknown input {key!r}; known: {', '.join(sorted(KNOWN))}", key)
    nodes = {name: _node(name, entry) for name, entry in _part(inputs, "hardware_status").items()}
    if not nodes:
        raise _WrongError("hardware_status names no node: a cluster needs at least one", "hardware_status")
    configs = {sid: _config(sid, entry, nodes) for sid, entry in _part(inputs, "service_config").items()}
    static, dynamic = _part(inputs, "static_service_stats"), _part(inputs, "dynamic_service_stats")
    records: dict[str, Record] = {f"config/{sid}": config for sid, config in configs.items()}
    command_lists = _command_lists(inputs.get("cmdlist", []))
    known = configs.keys() | _added(command_lists)
    for rule in _rules(inputs, nodes):
        if unknown := [sid for sid in rule.resources if sid not in known]:
            raise _WrongError(f"rule {rule.id}: service {unknown[0]} does not exist", "rules_config", unknown[0])
        _put(records, "rule", rule)
    for group in _groups(inputs, nodes):
        _put(records, "group", group)
    records["options"] = _options(_part(inputs, "datacenter_cfg"))
    records |= _manager(_part(inputs, "manager_status"))
    return Inputs(
        nodes=nodes,
        records=records,
        guests={sid: _figures(sid, static.get(sid), dynamic.get(sid)) for sid in configs},
        running=_running(_part(inputs, "service_status"), nodes),
        command_lists=command_lists,
    )


def _put(records: dict[str, Record], what: str, record: Rule | Group) -> None:
    if not record.id:
        raise _WrongError(f"a {what} has no id", "rules_config" if what == "rule" else "groups")
    if f"{what}/{record.id}" in records:
        raise _WrongError(f"{what} {record.id} is there twice", record.id)
    records[f"{what}/{record.id}"] = record


def _added(command_lists: Iterable[Iterable[str]]) -> frozenset[str]:
    """Services that come later: `service SID add NODE`."""
    words = (line.split() for lines in command_lists for line in lines)
    return frozenset(found[1] for found in words if found[:1] == ["service"] and found[2:3] == ["add"])


# Parts


def _mapping(value: object, name: str) -> Entry:
    if not isinstance(value, dict):
        raise _WrongError(f"{name}: expected an object, got {short(value)}", name)
    return value


def _part(inputs: Entry, name: str) -> Entry:
    return _mapping(inputs.get(name) or {}, name)


def _node(name: str, entry: object) -> NodeInput:
    given = _mapping(entry, name)
    if not re.fullmatch(r"\S+", name):
        raise _WrongError(f"{name!r} is no name for a node", name)
    on = {key: _one_of(given.get(key, "off"), ("on", "off"), key, name) == "on" for key in ("power", "network")}
    capacity = None
    if "maxcpu" in given or "maxmem" in given:
        capacity = Load(_number(given.get("maxcpu"), "maxcpu", name), _number(given.get("maxmem"), "maxmem", name))
    return NodeInput(on["power"], on["network"], capacity, str(given.get("pve-manager-version", DEFAULT_VERSION)))


def _config(sid: str, entry: object, nodes: Mapping[str, NodeInput]) -> ServiceConfig:
    given = _mapping(entry, sid)
    if not re.fullmatch("(vm|ct|fa):[0-9]{1,9}", sid):
        raise _WrongError(f"service {sid!r}: expected vm:NUMBER, ct:NUMBER or fa:NUMBER", sid)
    node = given.get("node")
    if node not in nodes:
        raise _WrongError(f"service {sid}: node {node!r} is not in hardware_status", "service_config", sid)
    return ServiceConfig(
        sid=sid,
        uuid=sid,
        node=str(node),
        state=wanted(given.get("state", "disabled"), sid),
        max_restart=_optional(given, "max_restart", sid, _count),
        max_relocate=_optional(given, "max_relocate", sid, _count),
        failback=_optional(given, "failback", sid, _flag),
        group=given.get("group"),
        comment=given.get("comment"),
    )


def wanted(word: object, sid: str) -> Wanted:
    """The configured state; `enabled` is the old word for started (1.6)."""
    return _enum(Wanted, "started" if word == "enabled" else word, "state", sid)


def _flag(value: object) -> bool:
    return str(value) not in ("0", "False", "")


def _count(value: object) -> int:
    number = int(value)  # type: ignore[call-overload]
    if not 0 <= number <= MOST:
        raise ValueError(value)
    return int(number)


def _optional(given: Entry, key: str, where: str, read: Callable[[Any], T]) -> T | None:
    if given.get(key) is None:
        return None
    try:
        return read(given[key])
    except (TypeError, ValueError) as error:
        raise _WrongError(f"{where}: {key} = {short(given[key])}: expected a number", where, key) from error


def _number(value: object, key: str, where: str) -> float:
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise _WrongError(f"{where}: {key} = {short(value)}: expected a number", where, key) from error
    if not 0 <= number <= MOST:
        raise _WrongError(f"{where}: {key} = {short(value)}: expected a number from 0 to {MOST:g}", where, key)
    return number


def _one_of(value: object, known: tuple[str, ...], key: str, where: str) -> str:
    if value not in known:
        raise _WrongError(f"{where}: {key} = {short(value)}: expected {' or '.join(known)}", where, key)
    return str(value)


def _enum(kind: type[E], value: object, key: str, where: str) -> E:
    return kind(_one_of(value, tuple(kind), key, where))


# Rules, groups, options


def _rules(inputs: Entry, nodes: Mapping[str, NodeInput]) -> Iterable[Rule]:
    for order, entry in enumerate(_list(inputs, "rules_config"), start=1):
        given = _mapping(entry, "rules_config")
        name = str(given.get("id") or "")
        yield _rule(given, name, order, nodes)


def _rule(given: Entry, name: str, order: int, nodes: Mapping[str, NodeInput]) -> Rule:
    kind = _one_of(given.get("type"), ("node-affinity", "resource-affinity"), "type", name)
    resources = tuple(given.get("resources") or ())
    if not resources:
        raise _WrongError(f"rule {name}: names no resources", name)
    if strange := [one for one in resources if not isinstance(one, str)]:
        raise _WrongError(f"rule {name}: {short(strange[0])}: expected a service", name)
    disabled = "disable" in given  # whatever its value (1.6)
    if kind == "node-affinity":
        priorities = _priorities(given, name, nodes)
        strict = _flag(given.get("strict", 0))
        return NodeAffinityRule(name, order, resources, priorities, strict, disabled, given.get("comment"))
    affinity = _enum(Affinity, given.get("affinity"), "affinity", name)
    return ResourceAffinityRule(name, order, resources, affinity, disabled, given.get("comment"))


def _priorities(given: Entry, name: str, nodes: Mapping[str, NodeInput]) -> dict[str, int]:
    named = _mapping(given.get("nodes") or {}, name)
    if not named:
        raise _WrongError(f"{name}: names no nodes", name)
    for node in named:
        if node not in nodes:
            raise _WrongError(f"{name}: node {node!r} is not in hardware_status", name, node)
    return {node: _optional(named, node, name, _count) or 0 for node in named}


def _groups(inputs: Entry, nodes: Mapping[str, NodeInput]) -> Iterable[Group]:
    for entry in _list(inputs, "groups"):
        given = _mapping(entry, "groups")
        name = str(given.get("id") or "")
        restricted, nofailback = _flag(given.get("restricted", 0)), _flag(given.get("nofailback", 0))
        yield Group(name, _priorities(given, name, nodes), restricted, nofailback, given.get("comment"))


def _list(inputs: Entry, name: str) -> list[Any]:
    value = inputs.get(name) or []
    if not isinstance(value, list):
        raise _WrongError(f"{name}: expected a list, got {short(value)}", name)
    return value


def _options(given: Entry) -> ClusterOptions:
    crs, ha = _mapping(given.get("crs") or {}, "crs"), _mapping(given.get("ha") or {}, "ha")
    default = ClusterOptions()
    return ClusterOptions(
        shutdown_policy=_enum(
            ShutdownPolicy, ha.get("shutdown_policy", "conditional"), "shutdown_policy", "datacenter_cfg"
        ),
        max_workers=1,  # a simulated LRM does one thing after the other
        scheduler=_enum(SchedulerMode, crs.get("ha", "basic"), "ha", "datacenter_cfg"),
        rebalance_on_start=_flag(crs.get("ha-rebalance-on-start", 0)),
        auto_rebalance=_flag(crs.get("ha-auto-rebalance", 0)),
        threshold=_number(crs.get("ha-auto-rebalance-threshold", default.threshold), "threshold", "crs"),
        method=_enum(
            RebalanceMethod, crs.get("ha-auto-rebalance-method", "bruteforce"), "method", "datacenter_cfg"
        ),
        hold_rounds=int(
            _number(crs.get("ha-auto-rebalance-hold-duration", default.hold_rounds), "hold-duration", "crs")
        ),
        margin=_number(crs.get("ha-auto-rebalance-margin", default.margin), "margin", "crs"),
    )


# Figures and running guests


def _figures(sid: str, static: object, dynamic: object) -> GuestFigures:
    return GuestFigures(
        configured=_load(sid, static, "maxcpu", "maxmem", DEFAULT_CONFIGURED),
        measured=_load(sid, dynamic, "cpu", "mem", DEFAULT_MEASURED),
    )


def _load(sid: str, entry: object, cpus: str, memory: str, default: Load) -> Load:
    given = _mapping(entry or {}, sid)
    return Load(
        _number(given.get(cpus, default.cpus), cpus, sid),
        _number(given.get(memory, default.memory_bytes), memory, sid),
    )


def _running(status: Entry, nodes: Mapping[str, NodeInput]) -> frozenset[tuple[str, str]]:
    if strange := [node for node in status if node not in nodes]:
        raise _WrongError(f"node {strange[0]!r} is not in hardware_status", "service_status", strange[0])
    parts = {node: _mapping(flags, node) for node, flags in status.items()}
    return frozenset((node, sid) for node, flags in parts.items() for sid, flag in flags.items() if _flag(flag))


def _command_lists(lists: object) -> tuple[tuple[str, ...], ...]:
    if not isinstance(lists, list) or not all(isinstance(one, list) for one in lists):
        raise _WrongError("cmdlist: expected a list of lists of commands", "cmdlist")
    return tuple(tuple(str(command) for command in one) for one in lists)


# The manager record


def _manager(status: Entry) -> dict[str, Record]:
    """Fields that the spec does not know (1.4) are left out: they were of an older manager."""
    if not status:
        return {}
    services = _mapping(status.get("service_status") or {}, "service_status")
    nodes = _mapping(status.get("node_status") or {}, "node_status")
    requests = _mapping(status.get("node_request") or {}, "node_request")
    disarm = _mapping(status.get("disarm") or {}, "disarm")
    record = ManagerRecord(
        master_node=str(status.get("master_node", "")),
        timestamp_wall_s=_number(status.get("timestamp", 0), "timestamp", "manager_status"),
        state=CrmState.MASTER,
        node_status={node: _enum(NodeState, state, node, "node_status") for node, state in nodes.items()},
        maintenance=frozenset(node for node, what in requests.items() if _mapping(what, node).get("maintenance")),
        disarm=_disarm(disarm) if disarm else None,
    )
    records: dict[str, Record] = {f"service/{sid}": _service(sid, entry) for sid, entry in services.items()}
    return records | {"manager": record}


def _disarm(given: Entry) -> Disarm:
    return Disarm(
        _enum(DisarmMode, given.get("mode"), "mode", "disarm"),
        _enum(DisarmState, given.get("state"), "state", "disarm"),
    )


def _service(sid: str, entry: object) -> ServiceStatus:
    given = _mapping(entry, sid)
    return ServiceStatus(
        sid=sid,
        state=_enum(ServiceState, given.get("state"), "state", sid),
        node=str(given.get("node", "")),
        uid=str(given.get("uid", f"given-{sid}")),
        timeout_s=_optional(given, "timeout", sid, int),
        running=_flag(given.get("running", 0)),
        failed_nodes=tuple(_list(given, "failed_nodes")),
        target=given.get("target"),
        maintenance_node=given.get("maintenance_node"),
        cmd=_pending(given.get("cmd")),
    )


def _pending(cmd: object) -> PendingCommand | None:
    if not isinstance(cmd, list) or len(cmd) != 2:
        return None
    verb, argument = cmd
    if verb == Verb.STOP:
        return PendingCommand(Verb.STOP, timeout_s=int(argument))
    return PendingCommand(Verb(verb), target=str(argument))
