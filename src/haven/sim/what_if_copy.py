"""The copy of a cluster that what-if works on: what lasts as the records say, without what is of the moment."""

from collections.abc import Iterator
from dataclasses import replace

from haven.core.clock import Deadline, Now
from haven.core.hands_off import reserve
from haven.core.records import (
    AgentEpoch,
    ClusterOptions,
    Group,
    LrmRecord,
    Maintenance,
    ManagerRecord,
    NodeAffinityRule,
    Record,
    ResourceAffinityRule,
    RunKey,
    ServiceConfig,
    VmCare,
    VmLock,
)
from haven.core.snapshot import Snapshot
from haven.core.view import View
from haven.core.words import LrmMode, Pacing, SchedulerMode, ServiceState, Wanted
from haven.sim.fast.machine import WALL_S
from haven.sim.inputs import Inputs, NodeInput

_KEPT = (ServiceConfig, NodeAffinityRule, ResourceAffinityRule, Group, ClusterOptions, ManagerRecord)
_DOES_NOT_RUN = (ServiceState.STOPPED, ServiceState.RECOVERY, ServiceState.ERROR, ServiceState.REQUEST_START)

Records = dict[str, Record]


def copy_of(snapshot: Snapshot, pacing: Pacing, *, with_figures: bool) -> Inputs:
    """What a world of that pacing begins with: every node off, the guests as they run on it once it is on."""
    view, figures = snapshot.view, snapshot.figures
    running = dict(_running(view))
    records = _lasting(view) | (_of_pve(view) if pacing is Pacing.PVE else _of_fast(view))
    if not with_figures:
        records["options"] = replace(view.options(), scheduler=SchedulerMode.BASIC)
    agents = view.agents()
    nodes = {
        name: NodeInput(
            capacity=known.capacity if (known := figures.nodes.get(name)) else None,
            watchdog=name not in agents or agents[name].armed,
        )
        for name in snapshot.members
    }
    return Inputs(nodes, records, dict(figures.guests), frozenset((node, sid) for sid, node in running.items()))


def there(snapshot: Snapshot) -> list[str]:
    """The nodes that are on."""
    return sorted(name for name, member in snapshot.members.items() if member.online)


def hands_off(snapshot: Snapshot, sid: str) -> str:
    """Why haven does nothing to a guest: a person's window, lock or wish to observe only. Empty: none."""
    found = reserve(snapshot.view, sid, None, Now(0.0, _read_wall_s(snapshot.view), ""))
    return found.sentence if found else ""


def _lasting(view: View) -> Records:
    """Configuration and decisions as they are; what a guest is held for is not known to be true of the copy."""
    entries = view.entries.items()
    records: Records = {key: entry.record for key, entry in entries if isinstance(entry.record, _KEPT)}
    return records | {f"service/{sid}": replace(one, held=None) for sid, one in view.services().items()}


def _running(view: View) -> Iterator[tuple[str, str]]:
    """Which guest runs where: by what its node daemon last noted, else by what the manager decided."""
    journals, services = view.journals(), view.services()
    for sid, config in view.configs().items():
        journal, service = journals.get(config.uuid), services.get(sid)
        decided = service and service.state not in _DOES_NOT_RUN and config.wanted is Wanted.STARTED
        if journal.running if journal else decided:
            yield sid, (journal.node if journal else "") or (service.node if service else config.node)


# In pve pacing


def _of_pve(view: View) -> Records:
    """Its world knows a guest by its sid alone, and a maintenance by the node daemon's mode."""
    records: Records = {f"config/{sid}": replace(one, uuid=sid) for sid, one in view.configs().items()}
    modes = (one for one in view.lrms().values() if one.mode is LrmMode.MAINTENANCE)
    return records | {f"lrm/{one.node}": _without_work(one, one.timestamp_wall_s) for one in modes}


def _without_work(record: LrmRecord, at_wall_s: float) -> LrmRecord:
    """What it has said of itself; not the outcome of orders that nobody waits for here."""
    return LrmRecord(record.node, record.state, record.mode, at_wall_s, record.hypervisor_ok, at_wall_s)


# In fast pacing


def _of_fast(view: View) -> Records:
    """With all by which haven judges who may run what: epochs and run keys; and who keeps hands off what."""
    records: Records = {f"lrm/{node}": _without_work(one, WALL_S) for node, one in view.lrms().items()}
    ahead_s = WALL_S - _read_wall_s(view)
    for key, entry in view.entries.items():
        match entry.record:
            case AgentEpoch() | RunKey() as claim:
                records[key] = claim
            case VmCare() as care:
                records[key] = VmCare(care.sid, observe=care.observe)
            case Maintenance() | VmLock() as kept_off:
                records[key] = replace(kept_off, until=_shifted(kept_off.until, ahead_s))
    return records


def _read_wall_s(view: View) -> float:
    """About when the records were read: by the last sign of life in them."""
    record = view.manager()
    signs = [one.timestamp_wall_s for one in view.lrms().values()]
    return max([*signs, record.timestamp_wall_s if record else 0.0])


def _shifted(until: Deadline, ahead_s: float) -> Deadline:
    """The same time left, by the copy's wall clock; no boot there is the one that set it."""
    return Deadline("", 0.0, until.wall_s + ahead_s, until.length_s)
