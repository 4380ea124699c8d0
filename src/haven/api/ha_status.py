"""`/cluster/ha/status`: what the manager and the node daemon recorded, in PVE's forms (api-surface 5)."""

from collections.abc import Mapping

from haven.api import ha_words as words
from haven.api.haven_hands import now_of
from haven.api.routes import Call, Route
from haven.api.state import State
from haven.api.vms import jobs_present
from haven.core.hands_off import judge
from haven.core.records import LrmRecord, PendingCommand, ServiceStatus
from haven.core.rules.groups import with_group_failback
from haven.core.view import View
from haven.core.words import DisarmState, Verb

Entry = dict[str, object]


def ha_index(_call: Call) -> object:
    return [{"id": name} for name in ("status", "resources", "groups", "rules")]


def index(_call: Call) -> object:
    return [{"name": name} for name in ("current", "manager_status", "disarm-ha", "arm-ha")]


def current(call: Call) -> object:
    view, node, now_s = call.state.view(), call.state.node, call.state.wall_s()
    entries: list[Entry] = [{"id": "quorum", "type": "quorum", "node": node, "status": "OK", "quorate": 1}]
    entries += _master(view, now_s)
    entries.append(_fencing(view, node))
    entries += [_lrm(record, view, now_s) for record in view.lrms().values()]
    jobs = jobs_present(call.state)
    present = None if jobs is None else frozenset(jobs)
    sids = sorted(view.services()) + sorted(sid for sid in view.configs() if sid not in view.services())
    return entries + [_service(view, sid, present) | _hands(view, sid, jobs or {}, call.state) for sid in sids]


def _hands(view: View, sid: str, jobs: Mapping[str, str], state: State) -> Entry:
    """Haven's own: the line of a VM that is left alone says so."""
    config = view.configs().get(sid)
    found = judge(view, sid, jobs.get(config.uuid, ""), now_of(state)) if config else None
    return {"hands_off": found.sentence} if found else {}


def manager_status(call: Call) -> object:
    view, node = call.state.view(), call.state.node
    return {
        "manager_status": _manager_record(view),
        "quorum": {"node": node, "quorate": "1"},
        "lrm_status": {record.node: _lrm_record(record) for record in view.lrms().values()},
    }


def _master(view: View, now_s: float) -> list[Entry]:
    """Absent until a manager was there once."""
    record = view.manager()
    if record is None:
        return []
    timestamp = int(record.timestamp_wall_s)
    status = f"{record.master_node} ({words.master_word(record, view, now_s)}, {words.ctime(timestamp)})"
    status += f" - {words.disarm_words(record.disarm)}" if record.disarm else ""
    status += words.crs_words(view.options())
    entry: Entry = {"id": "master", "type": "master", "node": record.master_node, "status": status}
    return [entry | {"timestamp": timestamp}]


def _fencing(view: View, node: str) -> Entry:
    """One host has nobody to be fenced by: its watchdog stands by."""
    entry: Entry = {"id": "fencing", "type": "fencing", "node": node}
    record = view.manager()
    if record and (disarm := record.disarm):
        watchdog = "released" if disarm.state is DisarmState.DISARMED else "active"
        entry["status"] = f"{words.disarm_words(disarm)} (CRM watchdog {watchdog})"
        return entry | {"armed-state": disarm.state.value, "resource_mode": disarm.mode.value}
    armed = any(words.is_armed(agent) for agent in view.agents().values())
    state, watchdog = ("armed", "active") if armed else ("standby", "standby")
    return entry | {"status": f"{state} (CRM watchdog {watchdog})", "armed-state": state}


def _lrm(record: LrmRecord, view: View, now_s: float) -> Entry:
    watchdog = words.lrm_watchdog_word(record, view.agents().get(record.node))
    timestamp = int(record.timestamp_wall_s)
    text = f"{words.lrm_word(record, view, now_s)}, watchdog {watchdog}, {words.ctime(timestamp)}"
    entry: Entry = {"id": f"lrm:{record.node}", "type": "lrm", "node": record.node}
    return entry | {"status": f"{record.node} ({text})", "timestamp": timestamp}


def _service(view: View, sid: str, present: frozenset[str] | None) -> Entry:
    config, service = view.configs().get(sid), view.services().get(sid)
    node = service.node if service else config.node if config else "---"
    exists = config is None or present is None or config.uuid in present
    state = words.verbose_state(view, sid, exists=exists)
    entry: Entry = {"id": f"service:{sid}", "type": "service", "sid": sid, "node": node, "state": state}
    entry["status"] = f"{sid} ({node}, {state})"
    if service:
        entry["crm_state"] = service.state.value
    if config:
        failback = int(with_group_failback(config, view.groups()).returns)
        entry |= {"request_state": config.wanted.value, "max_restart": config.restarts}
        entry |= {"max_relocate": config.relocates, "failback": failback}
        entry |= {} if config.comment is None else {"comment": config.comment}
        entry |= {"group": config.group} if config.group is not None and view.groups() else {}
    return entry


def _manager_record(view: View) -> Entry:
    record = view.manager()
    if record is None:
        return {}
    entry: Entry = {
        "master_node": record.master_node,
        "timestamp": int(record.timestamp_wall_s),
        "node_status": {node: state.value for node, state in record.node_status.items()},
        "service_status": {sid: _service_record(service) for sid, service in view.services().items()},
    }
    if record.maintenance:
        entry["node_request"] = {node: {"maintenance": 1} for node in sorted(record.maintenance)}
    if record.disarm:
        entry["disarm"] = {"mode": record.disarm.mode.value, "state": record.disarm.state.value}
    return entry


def _service_record(service: ServiceStatus) -> Entry:
    entry: Entry = {"state": service.state.value, "node": service.node, "uid": service.uid}
    optional: Entry = {
        "running": int(service.running) or None,
        "target": service.target,
        "timeout": service.timeout_s,
        "failed_nodes": list(service.failed_nodes) or None,
        "maintenance_node": service.maintenance_node,
        "cmd": _command(service.cmd) if service.cmd else None,
    }
    return entry | {name: value for name, value in optional.items() if value is not None}


def _command(pending: PendingCommand) -> list[object]:
    argument = pending.timeout_s if pending.verb is Verb.STOP else pending.target
    return [pending.verb.value, argument]


def _lrm_record(record: LrmRecord) -> Entry:
    results = {
        uid: {"sid": result.sid, "state": result.state.value, "exit_code": int(result.exit_code)}
        for uid, result in record.results.items()
    }
    timestamp = int(record.timestamp_wall_s)
    return {"state": record.state.value, "mode": record.mode.value, "timestamp": timestamp, "results": results}


ROUTES = (
    Route("GET", "/cluster/ha", "Sys.Audit", ha_index),
    Route("GET", "/cluster/ha/status", "Sys.Audit", index),
    Route("GET", "/cluster/ha/status/current", "Sys.Audit", current),
    Route("GET", "/cluster/ha/status/manager_status", "Sys.Audit", manager_status),
)
