"""The manager's records in Proxmox VE's words: raw states, verbose states, the age of a record."""

import time

from haven.core.active import active_services
from haven.core.records import AgentEpoch, ClusterOptions, Disarm, LrmRecord, ManagerRecord, ServiceStatus
from haven.core.view import View
from haven.core.words import DisarmMode, DisarmState, LrmMode, LrmState, SchedulerMode, ServiceState, Wanted

STALE_S = 30.0
DRIFT_S = 2.0
DEAD = "old timestamp - dead?"
DRIFT = "detected time drift!"


def ctime(wall_s: float) -> str:
    """`Www Mmm dd hh:mm:ss yyyy`, local time, in English whatever the locale."""
    return time.asctime(time.localtime(wall_s))


def age_word(timestamp_wall_s: float, now_wall_s: float) -> str | None:
    """What is wrong with a record of this age; None when it is fresh."""
    age_s = now_wall_s - timestamp_wall_s
    if age_s > STALE_S:
        return DEAD
    return DRIFT if age_s < -DRIFT_S else None


def master_word(record: ManagerRecord, view: View, now_wall_s: float) -> str:
    word = age_word(record.timestamp_wall_s, now_wall_s)
    if word == DEAD and not view.configs():
        return "idle"
    return word or "active"


def lrm_word(record: LrmRecord, view: View, now_wall_s: float) -> str:
    """The state of a node daemon (R-7.6)."""
    word = age_word(record.timestamp_wall_s, now_wall_s)
    if word:
        return word
    if (mode := record.mode.value) != "active":
        return f"{mode} mode"
    waits = record.state is LrmState.WAIT_FOR_AGENT_LOCK
    idle = waits and not active_services(record.node, view.services().values())
    return "idle" if idle else record.state.value


def lrm_watchdog_word(record: LrmRecord, agent: AgentEpoch | None) -> str:
    """`released`: this node's part of disarming is done."""
    if agent and is_armed(agent):
        return "active"
    let_go = record.mode is LrmMode.DISARM and record.state is LrmState.WAIT_FOR_AGENT_LOCK
    return "released" if let_go else "standby"


def is_armed(agent: AgentEpoch) -> bool:
    """A watchdog stands behind the node's right to run VMs."""
    return agent.armed and not agent.released


def disarm_words(disarm: Disarm) -> str:
    return f"{disarm.state}, resource mode: {disarm.mode}"


def crs_words(options: ClusterOptions) -> str:
    """What hangs on the master's line when services are not placed by their number alone."""
    return "" if options.scheduler is SchedulerMode.BASIC else f" - {options.scheduler} load CRS"


def ignores_all(view: View) -> bool:
    """HA is disarmed, in the mode that leaves everything to people (R-7.32)."""
    record = view.manager()
    return record is not None and record.disarm == Disarm(DisarmMode.IGNORE, DisarmState.DISARMED)


def hastate(view: View, sid: str) -> str | None:
    """The manager's raw state, before it saw the resource the requested one; None: not managed."""
    config = view.configs().get(sid)
    if config is None:
        return None
    service = view.services().get(sid)
    return service.state.value if service else config.wanted.value


def verbose_state(view: View, sid: str, *, exists: bool = True) -> str:
    """What users see (R-7.6). `exists` is false when libvirt no longer has the VM."""
    config, service = view.configs().get(sid), view.services().get(sid)
    if config is None:
        return "deleting"
    if config.wanted is Wanted.IGNORED:
        return "ignored"
    if not exists:
        return "not found"
    if service is None:
        return "queued"
    if ignores_all(view):
        return "ignore"
    return _verbose(service, config.wanted)


def _verbose(service: ServiceStatus, wanted: Wanted) -> str:
    state, off = service.state, wanted in (Wanted.STOPPED, Wanted.DISABLED)
    if state is ServiceState.STOPPED and not off:
        return "starting"
    if state is ServiceState.STARTED and not service.running:
        return "starting"
    if state is ServiceState.STARTED and off:
        return "stopping"
    if state is ServiceState.STOPPED and wanted is Wanted.DISABLED:
        return "disabled"
    if state is ServiceState.ERROR and wanted is Wanted.DISABLED:
        return "clearing error flag"
    return state.value
