"""`/haven/explain/SID`: wanted, seen, decided, what happens next, and what would change it."""

from haven.api import phrases
from haven.api.boot_story import boot_lines
from haven.api.errors import failed
from haven.api.ha_resources import SID
from haven.api.haven_status import hands_entry, hold_entry
from haven.api.haven_story import entry_of, incident_of
from haven.api.outlook import VmOutlook, look
from haven.api.params import shown
from haven.api.routes import Call, Route
from haven.api.rule_story import binding_rules
from haven.api.vms import known_sid
from haven.core.hands_off import Reserve
from haven.core.records import ServiceConfig, ServiceStatus
from haven.core.sentences import duration
from haven.core.words import DisarmState, HandsOff, ServiceState, Verb, Wanted

Entry = dict[str, object]

RECENT = 10
DEFAULT_STOP_S = 60


def explain(call: Call) -> object:
    sid = known_sid(call.state, call.params.text("sid"))
    vmid = phrases.number(sid)
    seen = look(call.state)
    vm = seen.vm(int(vmid)) if vmid.isdecimal() else None
    if vm is None or (vm.config is None and vm.guest is None):
        raise failed(f"no VM '{shown(sid)}' on this host; see them with: qm list")
    history = call.state.chronicle.book()
    incidents = history.incidents(sid, 1)
    recent = history.entries(sid, 0, RECENT, newest_first=True)
    return {
        "sid": sid,
        "name": vm.name,
        "wanted": _wanted(vm),
        "seen": _seen(vm),
        "decision": _decision(vm),
        "rules": binding_rules(call.state.node, seen.view, sid) if vm.protected else [],
        "next": _next(vm),
        "would_change": _would_change(vm),
        "hold": hold_entry(vm.hold, sid) if vm.hold else None,
        "hands_off": hands_entry(vm) if vm.protected else None,
        "incident": incident_of(incidents[0]) if incidents else None,
        "recent": [entry_of(entry) for entry in reversed(recent)],
    }


def _wanted(vm: VmOutlook) -> Entry:
    if vm.config is None:
        nobody = {"state": None, "who": None, "via": None, "at": None}
        damaged = "that cannot be read: its configuration is damaged in the store"
        return nobody | {"sentence": damaged if vm.unreadable else "nothing: it is not protected by haven"}
    origin = vm.config.origin
    entry: Entry = {"state": vm.config.wanted.value, "sentence": phrases.wanted(vm.config)}
    if origin is None:
        return entry | {"who": None, "via": None, "at": None}
    return entry | {"who": origin.who, "via": origin.via, "at": origin.at_wall_s}


def _seen(vm: VmOutlook) -> Entry:
    fresh_s = vm.checked_s if vm.protected else 0.0 if vm.guest else None
    return {
        "power": vm.power,
        "since": vm.since_wall_s,
        "checked": None if fresh_s is None else vm.all.now_s - fresh_s,
        "fresh_s": fresh_s,
        "sentence": _seen_sentence(vm),
    }


def _seen_sentence(vm: VmOutlook) -> str:
    if vm.missing:
        return "libvirt has no such VM any more"
    if vm.guest is None:
        last = " when it was last seen, it ran" if vm.runs else ""
        return f"libvirt does not answer;{last or ' it is not known whether it runs'}"
    if vm.io_error and vm.waiting:
        return vm.waiting
    word = f"running (QEMU's pid {vm.guest.pid})" if vm.power == "running" else vm.power
    word = "; ".join([word, *(["no sign of life"] if vm.hung else []), *vm.signs])
    known = vm.journal
    if vm.protected and known and known.running != vm.runs:
        return f"{word}, by libvirt's word just now; haven's node daemon has not noted it yet"
    return word


def _decision(vm: VmOutlook) -> Entry:
    if vm.service is None:
        why = "none yet: the manager has not seen it" if vm.protected else "none: haven leaves it alone"
        return {"rule": "", "sentence": why, "at": None}
    return {"rule": vm.service.rule, "sentence": vm.service.reason, "at": vm.service.since_wall_s}


def _next(vm: VmOutlook) -> Entry:
    if vm.protected and vm.hold:
        again = "stopped" if vm.hold.cause.value == "stop_failed" else "started"
        return {"sentence": f"it is held, then {again} again", "at": vm.hold.until.wall_s}
    if vm.protected and vm.pending:
        return {"sentence": vm.pending.what, "at": vm.pending.at_wall_s}
    return {"sentence": _next_sentence(vm), "at": None}


def _next_sentence(vm: VmOutlook) -> str:
    if not vm.protected or vm.config is None:
        return "nothing: if it stops, it stays off"
    if vm.missing:
        return "nothing, until it is defined in libvirt again"
    if asked := _asked(vm):
        return asked
    if waits := vm.waiting or _hands_off(vm.hands, runs=vm.runs):
        return waits
    if vm.service and vm.service.state is ServiceState.REQUEST_STOP:
        given_s = DEFAULT_STOP_S if vm.service.timeout_s is None else vm.service.timeout_s
        return f"it is being stopped; the guest is given {duration(given_s)}" if given_s else "it is being stopped"
    if vm.service and (sentence := _UNDER_WAY.get(vm.service.state)):
        return sentence.format(node=vm.service.node, target=vm.service.target)
    if vm.config.wanted is Wanted.STARTED and vm.io_error:
        return "haven looks at its storage, and resumes it when that answers"
    if vm.config.wanted is Wanted.STARTED and vm.power == "paused":
        return "nothing: haven leaves a paused VM as it is"
    if vm.config.wanted is Wanted.STARTED:
        return _while_it_runs(vm.service, vm.config) if vm.runs else "it is about to be started"
    return "it is about to be stopped" if vm.runs else "nothing: it stays off, also after a boot of the host"


def _while_it_runs(service: ServiceStatus | None, config: ServiceConfig) -> str:
    home = service.maintenance_node if service and service.maintenance_node != service.node else None
    back = f"; it returns to {home} when the maintenance there is over" if home and config.returns else ""
    return f"nothing while it runs; if it dies, it is started again{back}"


def _hands_off(hands: Reserve | None, *, runs: bool) -> str:
    """What haven does not do; empty when it does all."""
    if hands is None:
        return ""
    until = f" (for {duration(hands.remaining_s)} more)" if hands.remaining_s is not None else ""
    left = {
        HandsOff.OBSERVE: "nothing, whatever happens to it; what haven would have done is told",
        HandsOff.MAINTENANCE: f"nothing while it is in maintenance{until}; then it is started, should it be off",
        HandsOff.LOCKED: f"nothing while it runs; if it dies, it is started when the lock ends{until}",
    }
    return f"{left[hands.why]}: {hands.sentence}" if runs else f"nothing now: {hands.sentence}{until}"


def _asked(vm: VmOutlook) -> str | None:
    """What a person asked for that is still to be done; nothing is, while HA is disarmed."""
    manager = vm.all.view.manager()
    if manager and manager.disarm and manager.disarm.state is DisarmState.DISARMED:
        return "nothing until HA is armed again: ha-manager crm-command arm-ha"
    queued = [command for command in vm.all.view.commands().values() if command.sid == vm.sid]
    if queued:
        return _ORDERED[queued[-1].verb].format(target=queued[-1].node)
    if vm.service and (pending := vm.service.cmd):
        return _ORDERED[pending.verb].format(target=pending.target)
    return None


_ORDERED = {
    Verb.STOP: "it is about to be stopped, as ordered",
    Verb.MIGRATE: "it is about to be moved to {target} while it runs, as ordered",
    Verb.RELOCATE: "it is about to be stopped here and started on {target}, as ordered",
}
_UNDER_WAY = {
    ServiceState.MIGRATE: "it is being moved to {target} while it runs; if that fails, it stays on {node}",
    ServiceState.RELOCATE: "it is being moved: stopped on {node}, then started on {target}",
    ServiceState.REQUEST_START_BALANCE: "it is started on {target}, where it fits best",
    ServiceState.FENCE: "it is started elsewhere as soon as it is certain that {node} cannot run it any more",
    ServiceState.RECOVERY: "it is started on another node as soon as one may take it",
    ServiceState.FREEZE: "nothing until the node daemon of {node} is back: VMs go on as they are meanwhile",
}


def _would_change(vm: VmOutlook) -> list[str]:
    if vm.config is None:
        return [f"ha-manager add {vm.sid} --state started protects it"]
    if vm.config.wanted is Wanted.IGNORED:
        return [f"ha-manager set {vm.sid} --state started protects it again"]
    boot = boot_lines(vm.all.view, vm.all.node, vm.sid) if vm.config.wanted is Wanted.STARTED else []
    hands = hands_entry(vm)
    ends = [f"{hands['ends']} gives it back into haven's hands at once"] if hands and hands["ends"] else []
    return [*ends, *phrases.would_change(vm.config, vm.hold), *boot]


ROUTES = (Route("GET", "/haven/explain/{sid}", "Sys.Audit", explain, {"sid": SID}),)
