"""`/haven/observe`, `/haven/locks`, `/haven/maintenance`, `/haven/drills`: when haven keeps its hands off, and
when it is put to the test."""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import replace

from haven.api.changes import Change, make_change
from haven.api.errors import failed
from haven.api.ha_resources import SID
from haven.api.ha_words import STALE_S
from haven.api.let_go import stays_down
from haven.api.params import Parameter, one_line
from haven.api.routes import Call, Route
from haven.api.state import State
from haven.api.vms import known_sid, machines
from haven.core import drills
from haven.core.care import DRILL_EVERY_DAYS
from haven.core.clock import LATE_TICKS, Now
from haven.core.hands_off import windows_in_force
from haven.core.records import DrillPlan, Origin, ServiceConfig
from haven.core.view import View
from haven.core.words import Wanted
from haven.daemons import machine as host
from haven.history.model import HistoryError, Incident
from haven.hypervisor.protocol import Guest, HypervisorError
from haven.ops import drilling, locking, maintenance, observing
from haven.ops.deeds import Deed, OpsError

Entry = dict[str, object]

MAX_TEXT = 200
ALL = "all"
MAX_LENGTH_S = 30 * 86400


def now_of(state: State) -> Now:
    return replace(host.now(), wall_s=state.wall_s())


def observe(call: Call) -> object:
    answer = _for_config(call, observing.observe)
    more = stays_down(call.state, call.state.view().configs().get(_sid(call)))
    return answer | {"sentence": f"{answer['sentence']}{more}"}


def protect(call: Call) -> object:
    return _for_config(call, observing.protect)


def lock(call: Call) -> object:
    sid, origin = _sid(call), _origin(call)
    _guest(call.state, sid)
    length_s, reason = call.params.number("seconds"), call.params.text("reason", "locked")
    return _do(call, lambda view: locking.lock(view, sid, length_s, reason, origin, now_of(call.state)))


def unlock(call: Call) -> object:
    """One that is not locked has to exist at least: a mistyped name is told."""
    sid, origin = _sid(call), _origin(call)
    if sid not in call.state.view().vm_locks():
        _guest(call.state, sid)
    return _do(call, lambda view: locking.unlock(view, sid, origin))


def windows(call: Call) -> object:
    """Maintenance windows, and locks that people hold."""
    view, now = call.state.view(), now_of(call.state)
    found: list[Entry] = [
        {
            "id": window.id,
            "sids": list(window.sids),
            "reason": window.reason,
            "since": window.since_wall_s,
            "until": now.wall_s + window.until.remaining_s(now),
            "who": window.origin.who,
            "via": window.origin.via,
        }
        for window in windows_in_force(view, now)
    ]
    return found


def begin(call: Call) -> object:
    state, origin = call.state, _origin(call)
    names = call.params.words("sids")
    length_s, reason = call.params.number("seconds"), call.params.text("reason", "maintenance")
    sids = () if ALL in names else tuple(dict.fromkeys(known_sid(state, name) for name in names))
    return _do(
        call,
        lambda view: maintenance.begin(
            view, sids or _protected(view, state.node), length_s, reason, origin, now_of(state)
        ),
    )


def end(call: Call) -> object:
    name, origin = _window(call), _origin(call)
    return _do(call, lambda view: maintenance.end(view, name, origin, now_of(call.state)))


def extend(call: Call) -> object:
    name, origin, length_s = _window(call), _origin(call), call.params.number("seconds")
    return _do(call, lambda view: maintenance.extend(view, name, length_s, origin, now_of(call.state)))


def drill(call: Call) -> object:
    sid, origin, uid = _sid(call), _origin(call), secrets.token_hex(8)
    guest = _guest(call.state, sid)
    late_s = max(STALE_S, LATE_TICKS * call.state.settings.tick_s)
    return _do(call, lambda view: drilling.ask(view, sid, uid, guest.job, origin, now_of(call.state), late_s))


def drill_list(call: Call) -> object:
    """Of each protected VM: the last drill, and the next scheduled one."""
    view, last, now_s = call.state.view(), last_drills(call.state), call.state.wall_s()
    return [{"sid": sid} | drill_entry(view, sid, last, now_s) for sid in view.configs()]


def drill_entry(view: View, sid: str, drilled: Mapping[str, Incident], now_s: float) -> Entry:
    """The drills of one VM: its schedule, the next and the last one; null without."""
    config, plan = view.configs().get(sid), view.care(sid).drill
    journal = view.journals().get(config.uuid) if config else None
    next_s = None
    if plan:
        last_s = journal.drilled_wall_s if journal else None
        next_s = drills.next_s(plan, last_s, now_s, host.utc_offset_s())
    last = drilled.get(sid)
    return {
        "schedule": drilling.words(plan) if plan else None,
        "next_drill": next_s,
        "last_drill": _last(last) if last else None,
    }


def last_drills(state: State) -> dict[str, Incident]:
    try:
        return state.chronicle.book().last_drills()
    except HistoryError:
        return {}


def _last(incident: Incident) -> Entry:
    passed = any(line.startswith("drill passed") for line in incident.evidence)
    outage_s = None if incident.outage_s is None else round(incident.outage_s, 3)
    said = [line for line in incident.evidence if line.startswith("drill ")]
    return {
        "at": incident.opened_wall_s,
        "passed": int(passed),
        "outage_s": outage_s,
        "sentence": "".join(said[-1:]),
    }


def drill_schedule(call: Call) -> object:
    """Of the VMs named, or of all protected ones."""
    params, origin = call.params, _origin(call)
    sids = tuple(known_sid(call.state, name) for name in params.words("sids"))
    every = params.text("every")
    hours = (params.number("from", 2), params.number("to", 5))
    plan = None if every == "off" else DrillPlan(DRILL_EVERY_DAYS[every], *hours)
    return _do(call, lambda view: drilling.schedule(view, sids or _protected(view, call.state.node), plan, origin))


def _do(call: Call, plan: Callable[[View], Deed]) -> Entry:
    """Plan, commit, tell; the answer's sentence. Raises RefusedError."""
    done: list[Deed] = []

    def change(view: View) -> Change:
        try:
            deed = plan(view)
        except OpsError as error:
            raise failed(str(error)) from error
        done.append(deed)
        return Change(deed.writes, deed.events, ("manager",) if "manager" in view.entries else ())

    make_change(call.state, change)
    return {"sentence": done[-1].sentence, "id": done[-1].id, "changed": int(bool(done[-1].writes))}


def _for_config(call: Call, deed: Callable[[View, ServiceConfig, Origin], Deed]) -> Entry:
    """A VM that is not protected yet is taken as it is found: wanted started if it runs."""
    state, sid, origin = call.state, _sid(call), _origin(call)
    guest = _guest(state, sid)
    wanted = Wanted.STARTED if guest.status != "stopped" else Wanted.STOPPED
    config = ServiceConfig(sid, guest.uuid, state.node, state=wanted, origin=origin)
    return _do(call, lambda view: deed(view, config, origin))


def _guest(state: State, sid: str) -> Guest:
    """Raises RefusedError when libvirt has no such VM."""
    try:
        found = {machine.sid: machine.guest for machine in machines(state).values()}
    except HypervisorError as error:
        raise failed(str(error)) from error
    if sid not in found:
        raise failed(f"no VM '{sid}' on this host; see them with: qm list")
    return found[sid]


def _protected(view: View, node: str) -> tuple[str, ...]:
    return tuple(
        sid
        for sid, config in view.configs().items()
        if config.node == node and config.wanted is not Wanted.IGNORED
    )


def _sid(call: Call) -> str:
    return known_sid(call.state, call.params.text("sid"))


def _window(call: Call) -> str:
    """An id as it is, and so is what names nothing; a VM by its sid."""
    name, known = call.params.text("id", ""), call.state.view().maintenances()
    if not name or name in known:
        return name
    sid = known_sid(call.state, name)
    return sid if any(sid in window.sids for window in known.values()) else name


def _origin(call: Call) -> Origin:
    return call.identity.origin(call.state.wall_s())


_LENGTH = Parameter(int, required=True, minimum=1, maximum=MAX_LENGTH_S)
_REASON = Parameter(max_length=MAX_TEXT, check=one_line)
_SIDS = Parameter(max_length=4096)
_ONE = {"sid": SID}
_EVERY = Parameter(required=True, words=(*DRILL_EVERY_DAYS, "off"))
_FROM = Parameter(int, minimum=0, maximum=23)
_TO = Parameter(int, minimum=0, maximum=24)
_NAME = Parameter(max_length=255, check=one_line)
_LOCK = "/haven/locks/{sid}"
_MAINTENANCE = "/haven/maintenance"
_POWER = "VM.PowerMgmt"

ROUTES = (
    Route("PUT", "/haven/observe/{sid}", "Sys.Console", observe, _ONE),
    Route("DELETE", "/haven/observe/{sid}", "Sys.Console", protect, _ONE),
    Route("PUT", _LOCK, _POWER, lock, _ONE | {"seconds": _LENGTH, "reason": _REASON}),
    Route("DELETE", _LOCK, _POWER, unlock, _ONE),
    Route("GET", _MAINTENANCE, "Sys.Audit", windows),
    Route("POST", _MAINTENANCE, _POWER, begin, {"sids": _SIDS, "seconds": _LENGTH, "reason": _REASON}),
    Route("PUT", _MAINTENANCE, _POWER, extend, {"id": _NAME, "seconds": _LENGTH}),
    Route("DELETE", _MAINTENANCE, _POWER, end, {"id": _NAME}),
    Route("GET", "/haven/drills", "Sys.Audit", drill_list),
    Route("POST", "/haven/drills", _POWER, drill, _ONE),
    Route(
        "PUT",
        "/haven/drills",
        _POWER,
        drill_schedule,
        {"sids": _SIDS, "every": _EVERY, "from": _FROM, "to": _TO},
    ),
)
