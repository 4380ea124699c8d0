"""A saved decision in words: what was known, what was decided, and why."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from haven.core.contract import Asked, Decision, NodeObservation
from haven.core.order import CollectEvidence, Inspect, Move, Probe, Resume, Settle, Start, Stop
from haven.core.sentences import duration
from haven.core.transaction import Delete, Put, Transaction
from haven.ops.saved import Saved

_DAEMONS = {"lrm": "the node daemon (lrm)", "crm": "the manager (crm)"}


def situation(saved: Saved) -> Iterator[str]:
    """Who was asked, when, by which version, and what it had just heard."""
    asked = saved.asked
    when = datetime.fromtimestamp(asked.now.wall_s).astimezone()
    who = _DAEMONS.get(saved.source, saved.source or "a daemon")
    by = f", haven {saved.written_by}" if saved.written_by else ""
    yield f"Asked     {when:%Y-%m-%d %H:%M:%S}, {who} on {asked.observation.node}{by}"
    yield f"Knew      {'; '.join(_known(asked))}"


def _known(asked: Asked) -> Iterator[str]:
    observation = asked.observation
    yield f"the store at revision {observation.view.revision}, protected VMs: {len(observation.view.configs())}"
    if not isinstance(observation, NodeObservation):
        return
    vms = observation.vms
    yield "libvirt did not answer" if vms is None else f"VMs in libvirt: {len(vms)}"
    names = {uuid: vm.name for uuid, vm in (vms or {}).items()}
    for happening in observation.happenings:
        yield f"libvirt's event {happening.moment} of {names.get(happening.uuid, happening.uuid)}"
    for result in observation.results:
        yield f"{order_words(result.order)}: {'done' if result.ok else 'failed'}"


def decision_lines(decision: Decision[Any]) -> Iterator[str]:
    """What a step decided, a line each."""
    lines = [
        *(f"{order_words(order)}, before anything is written" for order in decision.performed_first),
        *(order_words(order) for order in decision.orders),
        *(f"{type(duty).__name__}" for duty in decision.duties),
        *(f"write {_written(each)}" for each in decision.transactions),
    ]
    told = [
        f"{f'{event.sid} ' if event.sid else ''}{event.sentence}{f' ({event.rule})' if event.rule else ''}"
        for event in decision.events
    ]
    yield from _listed("Decided", lines or ["nothing to do"])
    if told:
        yield from _listed("Told", told)


def _listed(head: str, lines: list[str]) -> Iterator[str]:
    for number, line in enumerate(lines):
        yield f"{'' if number else head:<10}{line}"


def order_words(order: object) -> str:
    """An order as people say it."""
    match order:
        case Start():
            return f"start {order.sid}: {order.why}"
        case Stop():
            how = f"giving it {duration(order.timeout_s)}" if order.timeout_s else "at once"
            return f"stop {order.sid} {how}: {order.why}"
        case Move():
            return f"move {order.sid} to {order.target}{' while it runs' if order.live else ''}: {order.why}"
        case Probe():
            return f"look whether what keeps {order.sid} from starting is gone"
        case Settle():
            return f"set {order.sid} to start {'' if order.autostart else 'not '}at host boot, in libvirt"
        case Inspect():
            return f"find out which disks of {order.sid} fail, and what is free below them"
        case Resume():
            return f"let {order.sid} go on, which QEMU paused for a disk error"
        case CollectEvidence():
            return f"collect evidence about {order.sid}"
        case _:
            return f"{type(order).__name__} {getattr(order, 'sid', '')}".strip()


def _written(transaction: Transaction) -> str:
    names = [
        f"{write.key}{' (deleted)' if isinstance(write, Delete) else ''}"
        for write in transaction.writes
        if isinstance(write, Put | Delete)
    ]
    return ", ".join(names) or "nothing"
