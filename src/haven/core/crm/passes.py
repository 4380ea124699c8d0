"""Passes over the services until nothing moves any more (spec 4.1, step 11)."""

from collections.abc import Collection, Iterable

from haven.core.crm.desk import Desk, missing
from haven.core.crm.fencing import fence_lost_nodes
from haven.core.crm.locating import left_behind
from haven.core.crm.moving import moving
from haven.core.crm.recovering import recovery
from haven.core.crm.resting import error, freeze
from haven.core.crm.settled import Basis, Settled, Settling
from haven.core.crm.started import started
from haven.core.crm.starting import request_start
from haven.core.crm.stopping import request_stop, stopped
from haven.core.records import ServiceConfig, ServiceStatus
from haven.core.service import Trigger
from haven.core.words import Kind, Level, LrmMode, ServiceState

MAX_PASSES = 60
"""More than any chain of states is long; a loop in the table must not become a loop in the daemon."""

FREEZABLE = (ServiceState.STARTED, ServiceState.STOPPED, ServiceState.REQUEST_STOP)


def run_passes(desk: Desk, only: Collection[str] | None = None) -> None:
    """`only`: the deferred services, while disarming waits for them (R-7.21); nothing is remembered then."""
    settings, online = desk.seen.settings, desk.placement.online
    basis = Basis(online, desk.modes, desk.rules, desk.view.groups(), desk.options, settings)
    before = desk.settled if only is None else Settled()
    settling = Settling(before, basis, desk.view, desk.services)
    settling.changed(desk.changed())
    for _ in range(MAX_PASSES):
        sids = [sid for sid in settling.in_turn() if only is None or sid in only]
        again = _pass(desk, settling, sids)
        settling.passed(desk.changed())
        if not again:
            break
    else:
        sentence = f"services still change after {MAX_PASSES} passes: the next round goes on"
        desk.tell(Kind.DAEMON_ERROR, sentence, "4.1", Level.ERR)
    desk.settled = settling.settled() if only is None else Settled()


def _pass(desk: Desk, settling: Settling, sids: Iterable[str]) -> bool:
    """Look at each of the services once, then fence; True when another pass is needed."""
    again = False
    to_be_fenced = []
    for sid in sids:
        if not settling.is_due(sid):
            continue
        service = desk.services[sid]
        told = len(desk.events)
        look_at(desk, service)
        _freeze_with_its_lrm(desk, desk.services[sid])
        after = desk.services[sid]
        quiet = after is service and len(desk.events) == told and sid not in desk.undecided
        settling.looked_at(after, quiet=quiet)
        again = again or after.state is not service.state
        if after.state is ServiceState.FENCE:
            to_be_fenced.append(sid)
    return fence_lost_nodes(desk, to_be_fenced) or again


def _freeze_with_its_lrm(desk: Desk, service: ServiceStatus) -> None:
    """In `haven` policy not by the last word of a host that is lost: only who was frozen before waits for that."""
    if desk.modes.get(service.node) is not LrmMode.RESTART or service.state not in FREEZABLE:
        return
    if desk.pve or not desk.is_offline_for(service.node):
        desk.move(service, Trigger.FROZEN)


def look_at(desk: Desk, service: ServiceStatus) -> None:
    """By its configuration. What is wanted of it may be written, and be damaged: nothing is done by guesses."""
    config = desk.configs.get(service.sid)
    if config:
        at_home = service.node == config.node
        _by_state(desk, service if at_home else left_behind(desk, service, config), config)
    elif service.sid not in desk.view.damaged_of("config"):
        _by_state(desk, service, missing(service))


def _by_state(desk: Desk, service: ServiceStatus, config: ServiceConfig) -> None:
    """The rules of spec 4.4 for the state it is in."""
    match service.state:
        case ServiceState.REQUEST_START:
            request_start(desk, service)
        case ServiceState.STARTED:
            started(desk, service, config)
        case ServiceState.REQUEST_STOP:
            request_stop(desk, service)
        case ServiceState.STOPPED:
            stopped(desk, service, config)
        case ServiceState.MIGRATE | ServiceState.RELOCATE | ServiceState.REQUEST_START_BALANCE:
            moving(desk, service, config)
        case ServiceState.RECOVERY:
            recovery(desk, service, config)
        case ServiceState.FREEZE:
            freeze(desk, service)
        case ServiceState.ERROR:
            error(desk, service, config)
        case ServiceState.FENCE:
            pass  # it leaves when its node is fenced
