"""What the kernel is asked after everything else, and what it answered: a restart never waits for it."""

from dataclasses import replace
from typing import TYPE_CHECKING

from haven.core import oom_note
from haven.core.contract import NodeObservation
from haven.core.node_book import Book
from haven.core.node_memory import VmMemory, own_configs
from haven.core.oom import OomKill, judge
from haven.core.order import CollectEvidence, Favour, OrderResult
from haven.core.words import Cause, Kind, Level

if TYPE_CHECKING:
    from haven.core.node_plan import Plan

UNEXPLAINED = (Cause.CRASH, Cause.UNKNOWN)
"""Causes that say how it ended, and not why: evidence may."""


def collect(plan: "Plan", seen: NodeObservation) -> None:
    """For each end that was told and not looked into yet, also of a VM that stays down."""
    for config in own_configs(seen).values():
        known = plan.vms.get(config.uuid)
        if known and known.unexplained:
            order = CollectEvidence(config.uuid, config.sid, known.unexplained, known.instance)
            plan.orders.append(order)
            plan.vms[config.uuid] = replace(known, unexplained="")


def kernel_answered(book: Book, order: CollectEvidence | Favour, vm: VmMemory, result: OrderResult) -> None:
    """Take in what came of such an order."""
    if isinstance(order, Favour):
        _favoured(book, order, result)
    else:
        _evidence_came(book, order, vm, result)


def _evidence_came(book: Book, order: CollectEvidence, vm: VmMemory, result: OrderResult) -> None:
    if result.lines:
        sentence = "QEMU's log: " + result.lines[-1]
        book.say(Kind.VM_EVIDENCE, order.sid, sentence, "cause", incident=order.incident, lines=result.lines)
    if result.traces and vm.last_cause in UNEXPLAINED and (kill := judge(result.traces)):
        _killed_for_memory(book, order, vm, kill)


def _killed_for_memory(book: Book, order: CollectEvidence, vm: VmMemory, kill: OomKill) -> None:
    """The incident gets its cause; what is known of the VM, unless it has ended anew meanwhile."""
    book.say(
        Kind.VM_EVIDENCE,
        order.sid,
        oom_note.sentence(kill, oom_note.overcommit(book.seen)),
        "cause",
        Level.ERR,
        incident=order.incident,
        cause=Cause.OOM_KILL,
        lines=oom_note.lines(kill, book.seen, vm, order.uuid),
    )
    if vm.incident in (None, order.incident):
        book.vms[order.uuid] = replace(vm, last_cause=Cause.OOM_KILL)


def _favoured(book: Book, order: Favour, result: OrderResult) -> None:
    """A refusal is told once: it will be the same for every VM."""
    if result.obstacle and not book.favour_refused:
        book.favour_refused = True
        sentence = f"its priority is not applied: {result.obstacle.detail} (haven needs CAP_SYS_RESOURCE)"
        book.say(Kind.VM_NOTE, order.sid, sentence, "memory", Level.WARN)
