"""From the orders' results to memory: what came of each, and the restart policy (R-5.4)."""

from dataclasses import replace

from haven.core import oom_note
from haven.core.brake import retry_pause_s
from haven.core.io_pause import inspected, resume_ended
from haven.core.node.book import Book
from haven.core.node.drill import done_event
from haven.core.node.memory import MoveEnded, MoveOutcome, VmMemory, last_sequence
from haven.core.node.reset import reset_done
from haven.core.oom import OomKill, judge
from haven.core.order import (
    AwaitAgent,
    CollectEvidence,
    Favour,
    Inspect,
    Kill,
    Move,
    OrderResult,
    Probe,
    Reset,
    Resume,
    Settle,
    Start,
    Stop,
)
from haven.core.records import Result
from haven.core.sentences import duration
from haven.core.words import Cause, ExitCode, HoldCause, Kind, Level, ServiceState

UNEXPLAINED = (Cause.CRASH, Cause.UNKNOWN)
"""Causes that say how it ended, and not why: evidence may."""

STOP_AGAIN_S = 2.0
"""After a stop that failed, or met a job, whose end is told as well, and looked for at every tick."""


def order_done(book: Book, result: OrderResult) -> None:
    """Take one result in. One that an order given later has overtaken says nothing any more."""
    order = result.order
    vm = book.vms.get(order.uuid)
    if vm is None:
        return
    if isinstance(order, (Start, Stop, Move, Reset)):
        if vm.inflight == order:
            book.vms[order.uuid] = _acted(book, order, vm, result)
        return
    _helped(book, vm, result)


def _helped(book: Book, vm: VmMemory, result: OrderResult) -> None:
    """Of an order that may go on beside another one."""
    order = result.order
    match order:
        case Probe():
            _probe_done(book, order, vm, result)
        case Kill() | AwaitAgent():
            _drilled(book, order, vm, result)
        case Inspect():
            book.vms[order.uuid] = inspected(vm, result)
        case Resume():
            book.vms[order.uuid] = resume_ended(book, order, vm, result)
        case CollectEvidence():
            _evidence_came(book, order, vm, result)
        case Favour():
            _favoured(book, order, result)
        case Settle():
            _settled(book, order, vm, result)


def _acted(book: Book, order: Start | Stop | Move | Reset, vm: VmMemory, result: OrderResult) -> VmMemory:
    match order:
        case Start() | Move() if result.late:
            return _not_begun(book, order, vm)
        case Move():
            return _move_ended(book, order, vm, result)
        case Reset():
            return reset_done(book, order, vm, result)
        case Start() | Stop():
            vm = replace(vm, inflight=None, as_of_s=result.ended_boottime_s, unsure=result.unreachable)
            return vm if result.unreachable else _done(book, order, vm, result)


def _not_begun(book: Book, order: Start | Move, vm: VmMemory) -> VmMemory:
    """Nothing was done, so it is neither a try nor a failure: the plan is made anew from what is known now."""
    action = type(order).__name__.lower()
    sentence = f"its {action} was not begun in time; what to do is decided anew"
    book.say(Kind.EXEC, order.sid, sentence, "SAFETY 7", Level.WARN, action=action, phase="late")
    return replace(vm, inflight=None)


def _done(book: Book, order: Start | Stop, vm: VmMemory, result: OrderResult) -> VmMemory:
    if isinstance(order, Start):
        return (_started if result.ok else _start_failed)(book, order, vm, result)
    if result.outlived:
        return _outlived(book, order, vm)
    return (_stopped if result.ok else _stop_failed)(book, order, vm, result)


def _started(book: Book, order: Start, vm: VmMemory, result: OrderResult) -> VmMemory:
    book.say(Kind.EXEC, order.sid, "started", "5.2", action="start", phase="ok")
    if vm.incident:
        book.say_up(order.sid, vm, result.ended_wall_s, "runs again", called_wall_s=result.began_wall_s)
    after = last_sequence(vm.trail)
    return replace(
        vm,
        running=True,
        lifeless_wall_s=None,
        since_wall_s=result.ended_wall_s,
        started_after_wall_s=result.began_wall_s,
        boot_id=book.now.boot_id,
        instance=result.instance,
        trail=after if len(after) < len(vm.trail) else (),  # what followed its start, if that was seen
        incident=None,
        down_since_wall_s=None,
        ending=None,
        restart_at_s=None,
        tries=0,
        would="",
        would_wall_s=None,
        blocked="",
    )


def _start_failed(book: Book, order: Start, vm: VmMemory, result: OrderResult) -> VmMemory:
    """The restart policy: repeated here up to max_restart, then reported to the manager. The try that
    follows a hold is not repeated: the hold's own ladder counts it."""
    vm = replace(vm, claim_mib=0)
    detail = result.obstacle.detail if result.obstacle else "the start failed"
    book.say(Kind.EXEC, order.sid, f"start failed: {detail}", "5.2", Level.WARN, action="start", phase="fail")
    config, service = book.configs.get(order.uuid), book.services.get(order.sid)
    if config is None:
        return vm
    if vm.last_cause is Cause.HOST_BOOT and result.obstacle and result.obstacle.cause is HoldCause.DISK_MISSING:
        return _not_there_yet(book, order, vm, result.obstacle.detail)
    tries = (vm.tries if vm.tries_uid == order.uid else 0) + 1
    allowed = 0 if service and service.hold_tries else config.restarts
    if tries > allowed:
        return _exhausted(book, order, vm, result, tries)
    pause_s = retry_pause_s(tries, book.settings.start_retry_s)
    sentence = f"start tried again in {pause_s:g} s ({tries} of {allowed})"
    book.say(Kind.RESTART_POLICY_RETRY, order.sid, sentence, "R-5.4", Level.WARN, **{"try": tries})
    return replace(vm, tries=tries, tries_uid=order.uid, restart_at_s=book.now.boottime_s + pause_s)


def _not_there_yet(book: Book, order: Start, vm: VmMemory, detail: str) -> VmMemory:
    """Storage may come later than the host: held until it is there, and not counted against max_restart."""
    failed = Result(order.sid, ServiceState.STARTED, ExitCode.ERROR, HoldCause.DISK_MISSING, detail)
    book.results[order.uid] = failed
    return replace(vm, restart_at_s=None)


def _exhausted(book: Book, order: Start, vm: VmMemory, result: OrderResult, tries: int) -> VmMemory:
    cause = result.obstacle.cause if result.obstacle else HoldCause.START_FAILED
    detail = result.obstacle.detail if result.obstacle else "the start failed"
    book.results[order.uid] = Result(order.sid, ServiceState.STARTED, ExitCode.ERROR, cause, detail)
    times = "once" if tries == 1 else f"{tries} times"
    sentence = f"start failed {times}; given up for now"
    book.say(Kind.RESTART_POLICY_EXHAUSTED, order.sid, sentence, "R-5.4", Level.ERR, tries=tries - 1)
    return replace(vm, tries=0, tries_uid="", restart_at_s=None)


def _stopped(book: Book, order: Stop, vm: VmMemory, result: OrderResult) -> VmMemory:
    book.say(Kind.EXEC, order.sid, "stopped", "5.2", action="stop", phase="ok")
    if vm.incident:
        book.close_incident(order.sid, vm.incident, "stopped by order")
    return replace(
        vm,
        running=False,
        since_wall_s=result.ended_wall_s,
        boot_id=book.now.boot_id,
        instance=None,
        autostarted=False,
        outlived_uid=None,
        trail=(),
        incident=None,
        down_since_wall_s=None,
        ending=None,
        last_cause=Cause.STOPPED_BY_HAVEN,
        restart_at_s=None,
        claim_mib=0,
        pause=None,
    )


def _outlived(book: Book, order: Stop, vm: VmMemory) -> VmMemory:
    """Its guest did not go down. Whether its plug is pulled is decided with what is wanted now."""
    sentence = f"did not go down within {duration(order.timeout_s)} of being asked"
    book.say(Kind.EXEC, order.sid, sentence, "5.2", action="stop", phase="outlived")
    return replace(vm, outlived_uid=order.uid, outlived_by=vm.instance)


def _stop_failed(book: Book, order: Stop, vm: VmMemory, result: OrderResult) -> VmMemory:
    detail = result.obstacle.detail if result.obstacle else "the stop failed"
    later = replace(vm, stop_again_s=book.now.boottime_s + STOP_AGAIN_S)
    if result.obstacle and result.obstacle.locked:
        book.say(Kind.EXEC, order.sid, f"not stopped: {detail}", "10.4", action="stop", phase="blocked")
        return later
    book.say(Kind.EXEC, order.sid, f"stop failed: {detail}", "5.2", action="stop", phase="fail")
    failed = Result(order.sid, ServiceState.REQUEST_STOP, ExitCode.ERROR, HoldCause.STOP_FAILED, detail)
    book.results[order.uid] = failed
    return vm if order.uid else later  # while the host goes down no manager puts a hold on it


def _move_ended(book: Book, order: Move, vm: VmMemory, result: OrderResult) -> VmMemory:
    """What it means for the run key is planned from the records (SAFETY 6)."""
    detail = result.obstacle.detail if result.obstacle else ""
    if result.unreachable:
        outcome, sentence, level = MoveOutcome.UNKNOWN, "the move ended, nobody knows how", Level.WARN
    elif result.ok:
        outcome, sentence, level = MoveOutcome.MOVED, f"moved to {order.target}", Level.INFO
    else:
        words = f": {detail}" if detail else ""
        outcome, sentence, level = MoveOutcome.FAILED, f"the move to {order.target} failed{words}", Level.ERR
    phase = {MoveOutcome.MOVED: "ok", MoveOutcome.FAILED: "fail", MoveOutcome.UNKNOWN: "unknown"}[outcome]
    book.say(Kind.EXEC, order.sid, sentence, "5.2", level, action="move", phase=phase, target=order.target)
    return replace(
        vm,
        inflight=None,
        as_of_s=result.ended_boottime_s,
        running=vm.running and outcome is not MoveOutcome.MOVED,
        move_ended=MoveEnded(order.uid, outcome, order.live, detail),
    )


def _probe_done(book: Book, order: Probe, vm: VmMemory, result: OrderResult) -> None:
    """A probe that sees nothing in the way is believed when it saw the obstacle before; in the first hold at
    once. Else a disk that looks fine but cannot be opened would be tried without end."""
    blocked = result.ok and result.obstacle is not None
    book.vms[order.uuid] = replace(
        vm,
        probing=False,
        probed_at_s=book.now.boottime_s,
        blocked_uid=order.uid if blocked else vm.blocked_uid,
    )
    service = book.services.get(order.sid)
    first = service is not None and service.held is not None and service.held.tries == 1
    if result.ok and result.obstacle is None and (first or vm.blocked_uid == order.uid):
        book.ended.add(order.uid)


def _drilled(book: Book, order: Kill | AwaitAgent, vm: VmMemory, result: OrderResult) -> None:
    """The kill of a drill, or the answer that ends it."""
    drill = vm.drill
    if drill is None or drill.uid != order.uid:
        return
    vm = replace(vm, killing=vm.killing and not isinstance(order, Kill))
    if isinstance(order, AwaitAgent):
        book.vms[order.uuid] = replace(vm, drill=None)
        failed = "" if result.answered else _not_serving(order, result)
        serving_s = result.ended_wall_s if result.answered else None
        book.events.append(done_event(order.sid, drill, serving_s, "its agent answers", failed))
        return
    if result.ok:
        drill = replace(drill, killed_wall_s=result.ended_wall_s, asks_agent=result.answered)
        book.vms[order.uuid] = replace(vm, drill=drill)
        return
    if result.unreachable:  # whether it was killed is seen when libvirt is back
        book.vms[order.uuid] = vm
        return
    detail = result.obstacle.detail if result.obstacle else "nobody says why"
    book.vms[order.uuid] = replace(vm, drill=None)
    book.events.append(done_event(order.sid, drill, None, "", f"not begun: {detail}"))


def _not_serving(order: AwaitAgent, result: OrderResult) -> str:
    if result.unreachable:
        return "it runs, but nobody saw it serve: libvirt went away while its agent was asked"
    return f"its agent does not answer after {duration(order.timeout_s)}"


def _evidence_came(book: Book, order: CollectEvidence, vm: VmMemory, result: OrderResult) -> None:
    if vm.collecting == order:
        vm = book.vms[order.uuid] = replace(vm, collecting=None)
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


def _settled(book: Book, order: Settle, vm: VmMemory, result: OrderResult) -> None:
    """A failure is told once, and tried again at every tick."""
    if result.unreachable:
        return
    if result.obstacle and not vm.unsettled:
        number = f", VMID {order.vmid}" if order.vmid else ""
        what = f"autostart {'on' if order.autostart else 'off'}{number}"
        sentence = f"libvirt does not keep what it should for it ({what}): {result.obstacle.detail}; tried again"
        book.say(Kind.VM_NOTE, order.sid, sentence, "intent", Level.WARN)
    book.vms[order.uuid] = replace(vm, unsettled=result.obstacle is not None)
