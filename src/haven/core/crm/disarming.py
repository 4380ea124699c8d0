"""Disarm and arm: HA switched off for a while, for all services at once (spec 7.5)."""

from dataclasses import replace

from haven.core.crm.desk import Desk
from haven.core.crm.lasting import owed_stop
from haven.core.crm.passes import run_passes
from haven.core.records import Command, Disarm, ServiceStatus
from haven.core.words import DisarmMode, DisarmState, Kind, Level, LrmMode, NodeState, ServiceState

DEFERRING = {
    ServiceState.FENCE: Level.WARN,
    ServiceState.RECOVERY: Level.WARN,
    ServiceState.MIGRATE: Level.INFO,
    ServiceState.RELOCATE: Level.INFO,
}

FROZEN_BY_DISARM = frozenset(
    {
        ServiceState.STARTED,
        ServiceState.STOPPED,
        ServiceState.REQUEST_STOP,
        ServiceState.REQUEST_START,
        ServiceState.REQUEST_START_BALANCE,
    }
)


def disarm(desk: Desk, command: Command) -> None:
    """R-7.20."""
    if desk.disarm:
        sentence = f"disarm-ha ignored: HA is {desk.disarm.state} already"
        fields = {"reason": "already", "state": desk.disarm.state}
        desk.tell(Kind.DISARM_IGNORED, sentence, "R-7.20", Level.NOTICE, **fields)
        return
    mode = command.mode or DisarmMode.FREEZE
    sentence = f"HA is to be disarmed: services are {'frozen' if mode is DisarmMode.FREEZE else 'ignored'}"
    desk.tell(Kind.CRM_COMMAND, sentence, "R-7.20", command=command.verb, mode=mode)
    if mode is DisarmMode.IGNORE:
        for sid in sorted(desk.services):
            desk.say(Kind.DISARM_SUSPEND, sid, "not taken care of until HA is armed again", "R-7.20")
    desk.disarm = Disarm(mode, DisarmState.DISARMING)


def arm(desk: Desk) -> None:
    """R-7.26."""
    if desk.disarm is None:
        sentence = "arm-ha ignored: HA is not disarmed"
        desk.tell(Kind.ARM_IGNORED, sentence, "R-7.26", Level.NOTICE, reason="not_disarmed")
        return
    desk.tell(Kind.CRM_COMMAND, "HA is armed again", "R-7.26", command="arm-ha")
    if desk.disarm.mode is DisarmMode.IGNORE:
        for sid in sorted(desk.services):
            _take_new_node(desk, desk.services[sid])
    desk.disarm = None


def _take_new_node(desk: Desk, service: ServiceStatus) -> None:
    config = desk.configs.get(service.sid)
    if config is None or config.node == service.node:
        return
    sentence = f"was moved by hand from {service.node} to {config.node} meanwhile"
    fields = {"from": service.node, "to": config.node}
    desk.say(Kind.SERVICE_NODE_UPDATED, service.sid, sentence, "R-7.26", **fields)
    desk.put(replace(service, node=config.node))


def while_disarmed(desk: Desk) -> None:
    """Step 10 while disarming is asked for or done: the rest of the round is this."""
    deferred = [sid for sid in sorted(desk.services) if desk.services[sid].state in DEFERRING]
    for sid in deferred if desk.pve or _is_asked_now(desk) else ():
        state = desk.services[sid].state
        sentence = f"disarming waits for it: {state}"
        desk.say(Kind.DISARM_DEFERRED, sid, sentence, "R-7.21", DEFERRING[state], state=state)
    if deferred:
        run_passes(desk, deferred)
        return
    if desk.view.damaged_of("service"):
        return  # it may be moving, or being recovered
    _let_go(desk)
    _complete(desk)


def _is_asked_now(desk: Desk) -> bool:
    """Only then `haven`, which looks at every event, tells what disarming waits for."""
    record = desk.view.manager()
    return record is None or record.disarm is None


def _let_go(desk: Desk) -> None:
    """R-7.22, R-7.23."""
    assert desk.disarm is not None
    freeze = desk.disarm.mode is DisarmMode.FREEZE
    # What was frozen is stopped anew: in `haven` policy not what is off, which a person may start meanwhile.
    frozen_states = FROZEN_BY_DISARM if desk.pve else FROZEN_BY_DISARM - {ServiceState.STOPPED}
    for sid in sorted(desk.services):
        service = desk.services[sid]
        if not freeze:
            desk.put(_pruned(desk, service))
        elif service.state in frozen_states:
            sentence = "left as it is until HA is armed again"
            desk.say(Kind.DISARM_FREEZE, sid, sentence, "R-7.22", was=service.state)
            frozen = replace(_pruned(desk, service), state=ServiceState.FREEZE, uid=desk.new_uid())
            desk.put(replace(frozen, rule="R-7.22", reason=sentence, since_wall_s=desk.now.wall_s))


def _pruned(desk: Desk, service: ServiceStatus) -> ServiceStatus:
    """R-7.23: only state, node, uid and maintenance_node are kept; what tells people why; a hold, without which
    nothing would end an error; and, in `haven` policy, a stop that was asked for."""
    bare = ServiceStatus(
        service.sid,
        service.state,
        service.node,
        service.uid,
        cmd=None if desk.pve else owed_stop(service),
        maintenance_node=service.maintenance_node,
        held=service.held,
        hold_tries=service.hold_tries,
        rule=service.rule,
        reason=service.reason,
        since_wall_s=service.since_wall_s,
    )
    # C-24: a start that was to be balanced loses its target, so it is an ordinary start again.
    if bare.state is ServiceState.REQUEST_START_BALANCE:
        return replace(bare, state=ServiceState.REQUEST_START)
    return service if bare == service else bare


def _complete(desk: Desk) -> None:
    """R-7.24: once every node that is online has let go."""
    assert desk.disarm is not None
    waiting = [
        node
        for node, state in desk.nodes.items()
        if state is NodeState.ONLINE and desk.modes.get(node) is not LrmMode.DISARM
    ]
    if desk.disarm.state is DisarmState.DISARMED or waiting:
        return
    desk.tell(Kind.DISARM_COMPLETE, "HA is disarmed: nothing is started, stopped or moved", "R-7.24")
    desk.disarm = replace(desk.disarm, state=DisarmState.DISARMED)
