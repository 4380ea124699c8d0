"""What a guest waits for: what stands in the way of everything first, then of its host, then its own state."""

from haven.core import locks
from haven.core.records import ServiceConfig, ServiceStatus
from haven.core.sentences import ends
from haven.core.words import LrmMode, NodeState, ServiceState, Wanted
from haven.sim.explain_moment import Moment

WAITS = "waits: "
"""So begin the reasons that say what a service waits for."""

_S = ServiceState
_GOES_DOWN = (LrmMode.SHUTDOWN, LrmMode.RESTART)
_MANAGER_DECIDES = (_S.REQUEST_START, _S.STOPPED, _S.FENCE, _S.RECOVERY)
_PRESENT = (NodeState.ONLINE, NodeState.MAINTENANCE)
_HOST_ACTS = (
    _S.STARTED,
    _S.REQUEST_STOP,
    _S.REQUEST_START_BALANCE,
    _S.MIGRATE,
    _S.RELOCATE,
    _S.STOPPED,
    _S.ERROR,
)
"""States in which a lost host is what matters: R-4.10."""


def waits_for(service: ServiceStatus | None, config: ServiceConfig | None, moment: Moment) -> str:
    """The one thing without which nothing goes on."""
    if service is None:
        return "nothing: HA leaves it alone"
    return (
        _for_people(service, config, moment)
        or _for_everything(service, moment)
        or _for_its_host(service, moment)
        or _for_the_manager(service, moment)
        or _for_its_state(service, config, moment)
    )


def _for_people(service: ServiceStatus, config: ServiceConfig | None, moment: Moment) -> str:
    """What nobody does by itself, quorum or not."""
    record = moment.now.view.manager()
    if service.state is _S.FREEZE and record and record.disarm:
        return f"a person: HA is {record.disarm.state}; arm-ha ends it"
    if service.cmd or service.held:
        return ""
    if service.state is _S.STOPPED and config and config.wanted is not Wanted.STARTED:
        return f"nothing: it is wanted {config.wanted}"
    return ""


# The cluster


def _for_everything(service: ServiceStatus, moment: Moment) -> str:
    """Without quorum and store nobody decides, and no lock is renewed. A single host's guest runs on."""
    runs = moment.now.runs(service.sid)
    if moment.reach.at_store or (runs and not moment.is_cluster):
        return ""
    if not moment.now.powered and not moment.is_cluster:
        return f"{service.node}, which is off"
    what = "the store, which is away" if moment.reach.quorate else f"quorum, {_without_quorum(moment)}"
    return f"{what}: {_gives_up(service)}" if runs else f"{what}: until then nobody may start it anywhere"


def _without_quorum(moment: Moment) -> str:
    """Which part of the cluster is missing, as far as hosts are off; the others do not see each other."""
    off = sorted(moment.nodes - moment.now.powered)
    on = len(moment.nodes) - len(off)
    parted = [] if off and 2 * on <= len(moment.nodes) else ["the hosts that have power do not see each other"]
    words = [f"{_listed(off)} {'is' if len(off) == 1 else 'are'} off"] if off else []
    return f"which no part of the cluster has ({'; '.join(words + parted)})"


def _listed(names: list[str]) -> str:
    """`node1, node2 and node3`."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _gives_up(service: ServiceStatus) -> str:
    return f"it runs; if this lasts, {service.node} gives it up, as its agent lock cannot be renewed"


# Its host


def _for_its_host(service: ServiceStatus, moment: Moment) -> str:
    """A host that cannot take part; but first what the manager says that a person has to do about it."""
    node = service.node
    if service.reason.startswith(WAITS) and not service.held:
        return service.reason.removeprefix(WAITS)
    trouble = moment.trouble_of(node)
    if service.state is _S.FREEZE:
        return f"{node}, which {trouble}: it is left as it is until its node daemon is back" if trouble else ""
    if service.state not in _HOST_ACTS or (not trouble and moment.now.node_state(node) in _PRESENT):
        return ""
    meanwhile = f"{_gives_up(service)}; " if trouble and moment.now.runs(service.sid) else ""
    return f"{node}, which {trouble or moment.state_of(node)}: {meanwhile}{_fenced_when(node, moment)}"


def _fenced_when(node: str, moment: Moment) -> str:
    """An agent lock that is held protects its host from being fenced; how long it still does is known or not."""
    name = locks.agent(node)
    ends_s = moment.reach.lock_ends_s.get(name)
    if ends_s is None or locks.is_free(moment.now.view, name):
        return "it is fenced if it gives no sign of life (R-4.10)"
    agent = moment.now.view.agents().get(node)
    then = ", and it is fenced"
    if agent and not agent.armed:
        then = f"; as it has no watchdog, a person then has to say that it is off: haven fence confirm {node}"
    return f"unless it is back before, its agent lock runs out at {round(ends_s, 1):g} s{then}"


# The manager


def _for_the_manager(service: ServiceStatus, moment: Moment) -> str:
    """Somebody else decides as soon as the lock of a manager that cannot any more has run out."""
    lock = moment.now.view.manager_lock()
    needed = service.state in _MANAGER_DECIDES or service.held or service.cmd
    trouble = moment.trouble_of(lock.node) if lock and needed else ""
    if lock is None or not trouble:
        return ""
    ends_s = moment.reach.lock_ends_s.get(locks.MANAGER)
    when = f" at {round(ends_s, 1):g} s" if ends_s is not None else ""
    return f"another manager: {lock.node}, which decided, {trouble}; its manager lock has to run out{when}"


# Its own state


def _for_its_state(service: ServiceStatus, config: ServiceConfig | None, moment: Moment) -> str:
    if service.held:
        return f"the end of its hold: it is tried again {ends(service.held)}"
    if service.cmd and service.state in (_S.STARTED, _S.STOPPED):
        where = f" to {service.cmd.target}" if service.cmd.target else ""
        return f"the manager's next round: {service.cmd.verb}{where} was asked for"
    if service.state is not _S.STARTED:
        return _WAITS[service.state].format(node=service.node, target=service.target)
    lrm = moment.now.view.lrms().get(service.node)
    if lrm and lrm.mode in _GOES_DOWN:
        return f"{service.node}, which goes down: the shutdown policy says what becomes of it then (8.1)"
    if moment.now.runs(service.sid):
        return _while_it_runs(service, config, moment)
    why = lrm.waiting.get(service.sid, "") if lrm else ""
    return f"the node daemon of {service.node}, which {why or 'has to start it'}"


def _while_it_runs(service: ServiceStatus, config: ServiceConfig | None, moment: Moment) -> str:
    home = service.maintenance_node
    if moment.now.node_state(service.node) is NodeState.MAINTENANCE:
        return "another node that may take it: its own is in maintenance"
    if home is None or home == service.node:
        return "nothing: it runs"
    if config and not config.returns:
        return f"nothing: it runs, and does not return to {home} after its maintenance, as its failback is off"
    trouble, state = moment.trouble_of(home), moment.now.node_state(home)
    if state is NodeState.MAINTENANCE:
        off = f", which {trouble}" if trouble else ""
        return f"the end of the maintenance of {home}{off}: it runs here, and returns there then"
    if trouble or state is not NodeState.ONLINE:
        return f"{home}, which {trouble or moment.state_of(home)}: it runs here, and returns there after that"
    return f"its return to {home}, whose maintenance is over; see below whether it may"


_WAITS = {
    _S.REQUEST_START: "the manager's next look",
    _S.REQUEST_START_BALANCE: "the node daemon of {node}, which has to hand it over to {target}",
    _S.REQUEST_STOP: "the node daemon of {node}, which has to stop it",
    _S.STOPPED: "the manager's next round",
    _S.MIGRATE: "the node daemon of {node}, which moves it to {target} while it runs",
    _S.RELOCATE: "the node daemon of {node}, which stops it and moves it to {target}",
    _S.FENCE: "certainty that {node} runs nothing: its agent lock is not renewed, and has to run out",
    _S.RECOVERY: "a node that may take it; see below why none can",
    _S.FREEZE: "the node daemon of {node} to be active again",
    _S.ERROR: "a person: set it to disabled, mend the cause, set it to started",
}
