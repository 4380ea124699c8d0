"""A cluster at work, of any size, in a store: what the engine's figures are measured with. Pure.

A tenth of the services is bound by rules: by strict and by other node affinity (ten to a rule), by positive and by
negative pairs. All run where they belong, so that nothing is to be done until something changes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from sys import intern

from haven.core.load import Figures, GuestFigures, Load, NodeFigures
from haven.core.records import (
    AgentEpoch,
    ClusterOptions,
    Lock,
    LrmRecord,
    ManagerRecord,
    NodeAffinityRule,
    Record,
    ResourceAffinityRule,
    Result,
    RunKey,
    ServiceConfig,
    ServiceStatus,
    VmIdentity,
    VmJournal,
)
from haven.core.words import (
    Affinity,
    CrmState,
    ExitCode,
    LrmMode,
    LrmState,
    NodeState,
    SchedulerMode,
    ServiceState,
    Wanted,
)

Records = dict[str, Record]

_FIRST_VMID = 100
_BLOCK = 1000
_BOUND_PER_RULE = 10
_GIB = 2**30
_NODE = Load(512.0, 4096.0 * _GIB)


@dataclass(frozen=True, slots=True)
class Size:
    services: int
    nodes: int

    def __str__(self) -> str:
        return f"{self.services}x{self.nodes}"


@dataclass(frozen=True, slots=True)
class Guest:
    """A VM that runs on `node`, with the names that it has in the records: each is one object in all of them, as
    in records that were read from a store."""

    number: int
    node: str

    @property
    def vmid(self) -> int:
        return _FIRST_VMID + self.number

    @property
    def sid(self) -> str:
        return intern(f"vm:{self.vmid}")

    @property
    def uuid(self) -> str:
        return intern(f"6a1e0000-0000-4000-8000-{self.number:012x}")

    @property
    def uid(self) -> str:
        return intern(f"uid-{self.number:x}")


def node_names(size: Size) -> list[str]:
    return [f"node{number:03}" for number in range(1, size.nodes + 1)]


def records(size: Size, scheduler: SchedulerMode) -> Records:
    """All that the store of such a cluster holds, the manager's lock with its first node."""
    nodes = node_names(size)
    guests = [Guest(number, nodes[_home(number, size)]) for number in range(size.services)]
    found: Records = {
        "options": ClusterOptions(scheduler=scheduler),
        "manager": ManagerRecord(nodes[0], 0.0, CrmState.MASTER, dict.fromkeys(nodes, NodeState.ONLINE)),
        "lock/manager": Lock(nodes[0], f"crm-{nodes[0]}"),
    }
    for node in nodes:
        found |= _of_node(node, [guest for guest in guests if guest.node == node])
    by_sid = sorted(guests, key=lambda guest: guest.sid)
    for make in (_config, _service, _journal, _run_key, _identity, _number):
        found |= [make(guest) for guest in by_sid]
    found |= {f"rule/{rule.id}": rule for rule in _rules(guests, nodes)}
    return found


def figures(size: Size) -> Figures:
    """What the static scheduler needs to know: equal nodes, guests of several sizes."""
    return Figures(
        {node: NodeFigures(_NODE) for node in node_names(size)},
        {
            Guest(number, "").sid: GuestFigures(Load(1.0 + number % 4, (1 + number % 7) * _GIB))
            for number in range(size.services)
        },
    )


def _of_node(node: str, guests: list[Guest]) -> Records:
    started = ServiceState.STARTED
    results = {guest.uid: Result(guest.sid, started, ExitCode.SUCCESS) for guest in guests}
    running = tuple(guest.uuid for guest in guests)
    return {
        f"lrm/{node}": LrmRecord(node, LrmState.ACTIVE, LrmMode.ACTIVE, 0.0, results=results),
        f"agent/{node}": AgentEpoch(node, _epoch(node), "boot", f"lrm-{node}", armed=True, running=running),
        f"lock/agent/{node}": Lock(node, f"lrm-{node}"),
    }


# What is kept of a VM which runs, each kind made in one go, by key, as a store is read.


def _config(guest: Guest) -> tuple[str, Record]:
    return f"config/{guest.sid}", ServiceConfig(guest.sid, guest.uuid, guest.node, Wanted.STARTED)


def _service(guest: Guest) -> tuple[str, Record]:
    started, reason = ServiceState.STARTED, f"runs on {guest.node}"
    status = ServiceStatus(guest.sid, started, guest.node, guest.uid, running=True, rule="R-4.13", reason=reason)
    return f"service/{guest.sid}", status


def _journal(guest: Guest) -> tuple[str, Record]:
    return f"journal/{guest.uuid}", VmJournal(guest.uuid, running=True, since_wall_s=0.0, boot_id="boot")


def _run_key(guest: Guest) -> tuple[str, Record]:
    return f"run/{guest.uuid}", RunKey(guest.uuid, guest.node, _epoch(guest.node), guest.uid)


def _identity(guest: Guest) -> tuple[str, Record]:
    return f"vm/{guest.uuid}", VmIdentity(guest.uuid, guest.vmid, f"guest-{guest.number}")


def _number(guest: Guest) -> tuple[str, Record]:
    return f"vmid/{guest.vmid}", VmIdentity(guest.uuid, guest.vmid, f"guest-{guest.number}")


def _epoch(node: str) -> str:
    return f"epoch-{node}"


# Rules, by a service's place in its block of a thousand: 0 to 29 strict, 30 to 59 not, 60 to 79 positive
# pairs, 80 to 99 negative ones.

_STRICT = range(30)
_PREFERRED = range(30, 60)
_POSITIVE = range(60, 80)
_NEGATIVE = range(80, 100)
_RULE_NODES = 4


def _home(number: int, size: Size) -> int:
    """The node that a service is on, evenly, and where its rule wants it."""
    place = number % _BLOCK
    if place in _STRICT or place in _PREFERRED:
        rule, member = divmod(number, _BOUND_PER_RULE)
        return (rule + member % _RULE_NODES) % size.nodes
    return (number - number % 2 if place in _POSITIVE else number) % size.nodes


def _rules(guests: list[Guest], nodes: list[str]) -> Iterator[NodeAffinityRule | ResourceAffinityRule]:
    order = 0
    for guest in guests:
        number, place = guest.number, guest.number % _BLOCK
        bound = place in _STRICT or place in _PREFERRED
        size = _BOUND_PER_RULE if bound else 2
        members = tuple(other.sid for other in guests[number : number + size])
        if number % size or place > _NEGATIVE[-1] or len(members) < size:
            continue
        order += 1
        if bound:
            wanted = {nodes[(number // size + step) % len(nodes)]: 1 for step in range(_RULE_NODES)}
            yield NodeAffinityRule(f"on-{number}", order, members, wanted, strict=place in _STRICT)
        else:
            kind = Affinity.POSITIVE if place in _POSITIVE else Affinity.NEGATIVE
            yield ResourceAffinityRule(f"pair-{number}", order, members, kind)
