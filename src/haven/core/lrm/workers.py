"""The orders of a round: given in turn, as many at a time as there are workers, and what came of them."""

from haven.core.hypervisor import Power
from haven.core.lrm.book import Book
from haven.core.lrm.memory import RunningOrder, WaitingOrder
from haven.core.lrm.queue import in_turn, results_kept, round_ends_s
from haven.core.lrm.work import handling, outcome, restart_policy
from haven.core.order import OrderResult, Start, Stop
from haven.core.records import Result, ServiceConfig
from haven.core.words import ExitCode, ServiceState


class Workers:
    """What the queue of `book.memory` makes of one step."""

    def __init__(self, book: Book) -> None:
        self._book = book

    def in_time(self) -> bool:
        """Whether the round may still wait for its orders (R-5.2)."""
        return self._book.now.boottime_s < round_ends_s(self._book.memory)

    def give(self) -> None:
        """Give orders to the workers that are free. Without the agent lock nothing here is touched."""
        if not (self.in_time() and self._book.holds_lock()):
            return
        for wanted in in_turn(self._book.memory.waiting):
            if len(self._book.memory.running) >= self._limit():
                return
            self._take_up(wanted)

    def _limit(self) -> int:
        """Both the host's and the cluster's setting hold."""
        return max(1, min(self._book.seen.settings.max_workers, self._book.view.options().max_workers))

    def _take_up(self, wanted: WaitingOrder) -> None:
        book, sid, vms = self._book, wanted.sid, self._book.seen.vms
        if vms is None or sid in book.memory.running:
            return  # while the hypervisor is silent nobody knows what runs
        config = book.view.configs().get(sid)
        vm = vms.get(config.uuid) if config else None
        number = book.memory.number + 1
        handled = handling(wanted, config, book.seen.node, number, vm.power if vm else Power.OFF)
        book.events += handled.events
        book.set(waiting={other: order for other, order in book.memory.waiting.items() if other != sid})
        if isinstance(handled.outcome, ExitCode):
            self._finish(wanted, config, handled.outcome)
            return
        book.orders.append(handled.outcome)
        running = RunningOrder(wanted, handled.outcome)
        book.set(number=number, running=book.memory.running | {sid: running})

    # Results (5.3)

    def absorb(self) -> None:
        """What came of orders. News of an order that is not under way is old, and ignored."""
        for result in self._book.seen.results:
            running = self._book.memory.running.get(result.order.sid)
            if running and running.order == result.order:
                self._ended(running, result)

    def _ended(self, running: RunningOrder, result: OrderResult) -> None:
        book, sid = self._book, running.wanted.sid
        book.set(running={other: order for other, order in book.memory.running.items() if other != sid})
        if result.unreachable:
            self._give_again(running.wanted)
            return
        code, events = outcome(running, ok=self._worked(result))
        book.events += events
        self._finish(running.wanted, book.view.configs().get(sid), code)

    def _give_again(self, wanted: WaitingOrder) -> None:
        """Nothing is known of what came of it. The record asks for its orders anew in the next round; the stop
        of a shutdown nobody repeats, and the guest may run."""
        if not wanted.uid:
            self._book.set(waiting={wanted.sid: wanted, **self._book.memory.waiting})

    def _worked(self, result: OrderResult) -> bool:
        """After a start or a stop the guest is looked at (5.2), if it was looked at since."""
        vms = self._book.seen.vms
        vm = vms.get(result.order.uuid) if vms else None
        if vm is None or vm.checked_boottime_s < result.ended_boottime_s:
            return result.ok
        match result.order:
            case Start():
                return vm.power is Power.RUNNING
            case Stop():
                return vm.power is Power.OFF
        return result.ok

    def _finish(self, wanted: WaitingOrder, config: ServiceConfig | None, code: ExitCode) -> None:
        book = self._book
        if not wanted.uid:
            failed = code is not ExitCode.SUCCESS
            book.set(shutdown_errors=book.memory.shutdown_errors + failed)
            return
        if wanted.state is ServiceState.STARTED:
            before = book.memory.tries.get(wanted.sid, 0)
            tries, final, events = restart_policy(wanted.sid, before, code, config)
            book.events += events
            book.set(tries=book.memory.tries | {wanted.sid: tries})
            if not final:
                return
        self._store(wanted, code)

    def _store(self, wanted: WaitingOrder, code: ExitCode) -> None:
        book, kept = self._book, self._book.memory.results
        if book.seen.readable:
            kept = results_kept(kept, book.view.services())
        book.set(results={**kept, wanted.uid: Result(wanted.sid, wanted.state, code)})
