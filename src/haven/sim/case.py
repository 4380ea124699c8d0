"""The conformance case format (spec 10.1) read into inputs. Only `inputs` of a case is looked at."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

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
from haven.sim.case_doubts import doubts
from haven.sim.case_values import (
    Entry,
    WrongError,
    check_harmless,
    count,
    enum,
    is_on,
    items,
    mapping,
    number,
    one_of,
    optional,
    part,
    switch,
)
from haven.sim.commands import VERSION
from haven.sim.errors import CaseError
from haven.sim.fields import short
from haven.sim.files import line_of, read_json
from haven.sim.inputs import DEFAULT_CONFIGURED, DEFAULT_MEASURED, DEFAULT_VERSION, Inputs, NodeInput

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
        inputs = mapping(mapping(whole, "the file").get("inputs"), "inputs")
        read = _inputs(inputs)
        return replace(read, doubts=tuple((line_of(text, one.names), one.what) for one in doubts(inputs)))
    except WrongError as wrong:
        raise CaseError(wrong.what, line=line_of(text, wrong.names)) from wrong
    except KeyError as error:
        raise CaseError(f"not a complete case: {error} is missing or unknown") from error
    except (ValueError, TypeError, AttributeError) as error:
        raise CaseError(f"not a valid case: {error}") from error


def _inputs(inputs: Entry) -> Inputs:
    check_harmless(inputs)
    for key in inputs:
        if key not in KNOWN:
            raise WrongError(f"unknown input {key!r}; known: {', '.join(sorted(KNOWN))}", key)
    nodes = {name: _node(name, entry) for name, entry in part(inputs, "hardware_status").items()}
    if not nodes:
        raise WrongError("hardware_status names no node: a cluster needs at least one", "hardware_status")
    configs = {sid: _config(sid, entry, nodes) for sid, entry in part(inputs, "service_config").items()}
    static, dynamic = part(inputs, "static_service_stats"), part(inputs, "dynamic_service_stats")
    records: dict[str, Record] = {f"config/{sid}": config for sid, config in configs.items()}
    command_lists = _command_lists(inputs.get("cmdlist", []))
    known = configs.keys() | _added(command_lists)
    for rule in _rules(inputs, nodes):
        if unknown := [sid for sid in rule.resources if sid not in known]:
            raise WrongError(f"rule {rule.id}: service {unknown[0]} does not exist", "rules_config", unknown[0])
        _put(records, "rule", rule)
    for group in _groups(inputs, nodes):
        _put(records, "group", group)
    records["options"] = _options(part(inputs, "datacenter_cfg"))
    records |= _manager(part(inputs, "manager_status"))
    return Inputs(
        nodes=nodes,
        records=records,
        guests={sid: _figures(sid, static.get(sid), dynamic.get(sid)) for sid in configs},
        running=_running(part(inputs, "service_status"), nodes),
        command_lists=command_lists,
    )


def _put(records: dict[str, Record], what: str, record: Rule | Group) -> None:
    if not record.id:
        raise WrongError(f"a {what} has no id", "rules_config" if what == "rule" else "groups")
    if f"{what}/{record.id}" in records:
        raise WrongError(f"{what} {record.id} is there twice", record.id)
    records[f"{what}/{record.id}"] = record


def _added(command_lists: Iterable[Iterable[str]]) -> frozenset[str]:
    """Services that come later: `service SID add NODE`."""
    words = (line.split() for lines in command_lists for line in lines)
    return frozenset(found[1] for found in words if found[:1] == ["service"] and found[2:3] == ["add"])


# Parts


def _node(name: str, entry: object) -> NodeInput:
    given = mapping(entry, name)
    if not re.fullmatch(r"\S+", name):
        raise WrongError(f"{name!r} is no name for a node", name)
    on = {key: one_of(given.get(key, "off"), ("on", "off"), key, name) == "on" for key in ("power", "network")}
    capacity = None
    if "maxcpu" in given or "maxmem" in given:
        capacity = Load(number(given.get("maxcpu"), "maxcpu", name), number(given.get("maxmem"), "maxmem", name))
    return NodeInput(on["power"], on["network"], capacity, _version(given.get("pve-manager-version"), name))


def _version(value: object, name: str) -> str:
    version = DEFAULT_VERSION if value is None else str(value)
    if not re.match(VERSION, version):
        key = "pve-manager-version"
        raise WrongError(f"{name}: {key} = {short(value)}: expected for example {DEFAULT_VERSION}", name, key)
    return version


def _config(sid: str, entry: object, nodes: Mapping[str, NodeInput]) -> ServiceConfig:
    given = mapping(entry, sid)
    if not re.fullmatch("(vm|ct|fa):[0-9]{1,9}", sid):
        raise WrongError(f"service {sid!r}: expected vm:NUMBER, ct:NUMBER or fa:NUMBER", sid)
    node = given.get("node")
    if node not in nodes:
        raise WrongError(f"service {sid}: node {node!r} is not in hardware_status", "service_config", sid)
    return ServiceConfig(
        sid=sid,
        uuid=sid,
        node=str(node),
        state=wanted(given.get("state", "disabled"), sid),
        max_restart=optional(given, "max_restart", sid, count),
        max_relocate=optional(given, "max_relocate", sid, count),
        failback=optional(given, "failback", sid, switch),
        group=optional(given, "group", sid, _text),
        comment=given.get("comment"),
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("a text")
    return value


def wanted(word: object, sid: str) -> Wanted:
    """The configured state; `enabled` is the old word for started (1.6)."""
    return enum(Wanted, "started" if word == "enabled" else word, "state", sid)


# Rules, groups, options


def _rules(inputs: Entry, nodes: Mapping[str, NodeInput]) -> Iterable[Rule]:
    for order, entry in enumerate(items(inputs, "rules_config"), start=1):
        given = mapping(entry, "rules_config")
        name = str(given.get("id") or "")
        yield _rule(given, name, order, nodes)


def _rule(given: Entry, name: str, order: int, nodes: Mapping[str, NodeInput]) -> Rule:
    kind = one_of(given.get("type"), ("node-affinity", "resource-affinity"), "type", name)
    resources = tuple(given.get("resources") or ())
    if not resources:
        raise WrongError(f"rule {name}: names no resources", name)
    if strange := [one for one in resources if not isinstance(one, str)]:
        raise WrongError(f"rule {name}: {short(strange[0])}: expected a service", name)
    disabled = "disable" in given  # whatever its value (1.6)
    if kind == "node-affinity":
        priorities = _priorities(given, name, nodes)
        strict = is_on(given, "strict", name)
        return NodeAffinityRule(name, order, resources, priorities, strict, disabled, given.get("comment"))
    affinity = enum(Affinity, given.get("affinity"), "affinity", name)
    return ResourceAffinityRule(name, order, resources, affinity, disabled, given.get("comment"))


def _priorities(given: Entry, name: str, nodes: Mapping[str, NodeInput]) -> dict[str, int]:
    named = mapping(given.get("nodes") or {}, name)
    if not named:
        raise WrongError(f"{name}: names no nodes", name)
    for node in named:
        if node not in nodes:
            raise WrongError(f"{name}: node {node!r} is not in hardware_status", name, node)
    return {node: optional(named, node, name, count) or 0 for node in named}


def _groups(inputs: Entry, nodes: Mapping[str, NodeInput]) -> Iterable[Group]:
    for entry in items(inputs, "groups"):
        given = mapping(entry, "groups")
        name = str(given.get("id") or "")
        restricted, nofailback = is_on(given, "restricted", name), is_on(given, "nofailback", name)
        yield Group(name, _priorities(given, name, nodes), restricted, nofailback, given.get("comment"))


def _options(given: Entry) -> ClusterOptions:
    crs, ha = mapping(given.get("crs") or {}, "crs"), mapping(given.get("ha") or {}, "ha")
    default = ClusterOptions()
    hold_rounds = optional(crs, "ha-auto-rebalance-hold-duration", "crs", count)
    return ClusterOptions(
        shutdown_policy=enum(
            ShutdownPolicy, ha.get("shutdown_policy", "conditional"), "shutdown_policy", "datacenter_cfg"
        ),
        max_workers=1,  # a simulated LRM does one thing after the other
        scheduler=enum(SchedulerMode, crs.get("ha", "basic"), "ha", "datacenter_cfg"),
        rebalance_on_start=is_on(crs, "ha-rebalance-on-start", "crs"),
        auto_rebalance=is_on(crs, "ha-auto-rebalance", "crs"),
        threshold=number(crs.get("ha-auto-rebalance-threshold", default.threshold), "threshold", "crs"),
        method=enum(
            RebalanceMethod, crs.get("ha-auto-rebalance-method", "bruteforce"), "method", "datacenter_cfg"
        ),
        hold_rounds=default.hold_rounds if hold_rounds is None else hold_rounds,
        margin=number(crs.get("ha-auto-rebalance-margin", default.margin), "margin", "crs"),
    )


# Figures and running guests


def _figures(sid: str, static: object, dynamic: object) -> GuestFigures:
    return GuestFigures(
        configured=_load(sid, static, "maxcpu", "maxmem", DEFAULT_CONFIGURED),
        measured=_load(sid, dynamic, "cpu", "mem", DEFAULT_MEASURED),
    )


def _load(sid: str, entry: object, cpus: str, memory: str, default: Load) -> Load:
    given = mapping(entry or {}, sid)
    return Load(
        number(given.get(cpus, default.cpus), cpus, sid),
        number(given.get(memory, default.memory_bytes), memory, sid),
    )


def _running(status: Entry, nodes: Mapping[str, NodeInput]) -> frozenset[tuple[str, str]]:
    if strange := [node for node in status if node not in nodes]:
        raise WrongError(f"node {strange[0]!r} is not in hardware_status", "service_status", strange[0])
    parts = {node: mapping(flags, node) for node, flags in status.items()}
    return frozenset((node, sid) for node, flags in parts.items() for sid in flags if is_on(flags, sid, node))


def _command_lists(lists: object) -> tuple[tuple[str, ...], ...]:
    if not isinstance(lists, list) or not all(isinstance(one, list) for one in lists):
        raise WrongError("cmdlist: expected a list of lists of commands", "cmdlist")
    return tuple(tuple(str(command) for command in one) for one in lists)


# The manager record


def _manager(status: Entry) -> dict[str, Record]:
    """Fields that the spec does not know (1.4) are left out: they were of an older manager."""
    if not status:
        return {}
    services = mapping(status.get("service_status") or {}, "service_status")
    nodes = mapping(status.get("node_status") or {}, "node_status")
    requests = mapping(status.get("node_request") or {}, "node_request")
    disarm = mapping(status.get("disarm") or {}, "disarm")
    record = ManagerRecord(
        master_node=str(status.get("master_node", "")),
        timestamp_wall_s=number(status.get("timestamp", 0), "timestamp", "manager_status"),
        state=CrmState.MASTER,
        node_status={node: enum(NodeState, state, node, "node_status") for node, state in nodes.items()},
        maintenance=frozenset(node for node, what in requests.items() if mapping(what, node).get("maintenance")),
        disarm=_disarm(disarm) if disarm else None,
    )
    records: dict[str, Record] = {f"service/{sid}": _service(sid, entry) for sid, entry in services.items()}
    return records | {"manager": record}


def _disarm(given: Entry) -> Disarm:
    return Disarm(
        enum(DisarmMode, given.get("mode"), "mode", "disarm"),
        enum(DisarmState, given.get("state"), "state", "disarm"),
    )


def _service(sid: str, entry: object) -> ServiceStatus:
    given = mapping(entry, sid)
    return ServiceStatus(
        sid=sid,
        state=enum(ServiceState, given.get("state"), "state", sid),
        node=str(given.get("node", "")),
        uid=str(given.get("uid", f"given-{sid}")),
        timeout_s=optional(given, "timeout", sid, count),
        running=is_on(given, "running", sid),
        failed_nodes=tuple(items(given, "failed_nodes")),
        target=given.get("target"),
        maintenance_node=given.get("maintenance_node"),
        cmd=_pending(sid, given.get("cmd")),
    )


def _pending(sid: str, cmd: object) -> PendingCommand | None:
    if not isinstance(cmd, list) or len(cmd) != 2:
        return None
    verb = enum(Verb, cmd[0], "cmd", sid)
    if verb is Verb.STOP:
        return PendingCommand(verb, timeout_s=optional({"cmd": cmd[1]}, "cmd", sid, count) or 0)
    return PendingCommand(verb, target=str(cmd[1]))
