"""A round of the LRM, step by step (R-2.10 to R-2.17): read, find the state, do its work, write the record."""

from haven.core import locks
from haven.core.clock import Now
from haven.core.contract import Decision, NodeObservation
from haven.core.lrm import daemon, shutdown, tell
from haven.core.lrm.book import Book
from haven.core.lrm.daemon import Condition
from haven.core.lrm.memory import LrmMemory, Phase
from haven.core.lrm.queue import passed_over, queue_of, round_ends_s, shutdown_stops, tries_kept
from haven.core.lrm.reading import active_services
from haven.core.lrm.workers import Workers
from haven.core.order import CloseWatchdog, Exit, FeedWatchdog
from haven.core.words import LrmMode, LrmState, ShutdownKind


def begin(now: Now) -> Decision[LrmMemory]:
    """A new process."""
    row = daemon.transition(LrmState.STARTUP, Condition.PROCESS_STARTED)
    memory = LrmMemory(state=row.to, since_s=now.boottime_s)
    return Decision(memory, events=(tell.state(LrmState.STARTUP, row),))


def step(memory: LrmMemory, observation: NodeObservation, now: Now) -> Decision[LrmMemory]:
    """A tick begins a round; any other step goes on with the one that is open."""
    book = Book(memory, observation, now)
    Workers(book).absorb()
    if observation.tick:
        Round(book).begin()
    elif memory.phase in (Phase.TAKING, Phase.RENEWING):
        Round(book).lock_answered()
    elif memory.phase is Phase.WORKING:
        Round(book).go_on()
    return book.decision(_wake_at_s(book))


def _wake_at_s(book: Book) -> float | None:
    """At once for the lock's answer, at the latest when the round has waited long enough for its orders."""
    match book.memory.phase:
        case Phase.TAKING | Phase.RENEWING:
            return book.now.boottime_s
        case Phase.WORKING:
            return round_ends_s(book.memory)
    return None


def request_shutdown(memory: LrmMemory, observation: NodeObservation, now: Now) -> Decision[LrmMemory]:
    """The process is asked to end, as `observation.shutdown` says (8.1). Only the first request counts."""
    book = Book(memory, observation, now)
    if observation.shutdown and not memory.shutdown:
        _request_shutdown(book, observation.shutdown)
    return book.decision(_wake_at_s(book))


def _request_shutdown(book: Book, kind: ShutdownKind) -> None:
    policy, told = book.view.options().shutdown_policy, None
    plan = shutdown.plan_of(kind, policy, book.memory.mode)
    if kind is not ShutdownKind.RESTART:
        book.events.append(tell.shutdown_request(policy))
        told = policy if plan.name is shutdown.PlanName.KEEP_MAINTENANCE else None
    if plan.stops:
        book.set(waiting=book.memory.waiting | shutdown_stops(book.memory.reading))
    book.events.append(tell.shutdown_plan(plan, told))
    book.set(shutdown=kind, mode=plan.mode)
    book.write_record()


class Round:
    """The steps of one round, over the book of one step."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._workers = Workers(book)

    def begin(self) -> None:
        """The round's first half, up to the lock (R-2.10, R-2.11)."""
        book = self._book
        book.set(phase=Phase.CLOSED, round_began_s=book.now.boottime_s)
        if not book.memory.announced:
            if not book.write_record():
                self._exit_if_asked()
                return
            book.set(announced=True)
        book.read()
        if daemon.needs_lock(book.memory.state, book.facts()):
            self._ask_for_lock()
        else:
            self._go_through(locked=False)

    # The lock: asked for in one step, believed when the next one sees it

    def _ask_for_lock(self) -> None:
        book, seen = self._book, self._book.seen
        wish = locks.obtain(book.view, book.lock_name(), seen.node, seen.holder, quorate=seen.quorate)
        if wish is None:
            self._go_through(locked=False)
            return
        book.transactions.append(wish)
        if book.holds_lock():
            book.duties.append(FeedWatchdog())
            book.set(phase=Phase.RENEWING)
        else:
            book.set(phase=Phase.TAKING)

    def lock_answered(self) -> None:
        book, locked = self._book, self._book.holds_lock()
        if locked and book.memory.phase is Phase.TAKING:
            book.events.append(locks.acquired(book.lock_name(), book.seen.node))
            book.duties.append(FeedWatchdog())
        book.set(phase=Phase.CLOSED)
        self._go_through(locked=locked)

    # The state

    def _go_through(self, *, locked: bool) -> None:
        """The next state, and its work (R-2.15)."""
        book, facts = self._book, self._book.facts()
        condition = daemon.finding(book.memory.state, facts, locked=locked)
        if book.memory.state is LrmState.ACTIVE and condition in (None, Condition.IDLE):
            book.set(idle_rounds=0 if condition else facts.idle_rounds)
        if condition:
            self._enter(condition)
        match book.memory.state:
            case LrmState.WAIT_FOR_AGENT_LOCK:
                self._wait()
            case LrmState.ACTIVE:
                self._act()
            case LrmState.MAINTENANCE:
                self._maintain()
            case _:
                self._be_lost()

    def _enter(self, condition: Condition) -> None:
        book, before = self._book, self._book.memory.state
        during_maintenance = before is LrmState.MAINTENANCE
        if condition is Condition.TO_BE_FENCED:
            book.events.append(tell.fence_requested(during_maintenance=during_maintenance))
        elif condition is Condition.DISARM:
            book.events.append(tell.disarm_release(during_maintenance=during_maintenance))
            book.let_go()
        elif condition is Condition.IDLE:
            book.events.append(tell.idle())
            book.let_go()
        row = daemon.transition(before, condition)
        book.events.append(tell.state(before, row))
        book.set(state=row.to, since_s=book.now.boottime_s)

    # The work of each state

    def _wait(self) -> None:
        if not self._exit_if_asked():
            self._book.write_record()

    def _exit_if_asked(self) -> bool:
        asked = self._book.memory.shutdown is not None
        if asked:
            self._book.duties.append(Exit())
        return asked

    def _be_lost(self) -> None:
        """The watchdog stays open and is not fed (R-2.16)."""
        book, memory = self._book, self._book.memory
        if not memory.shutdown:
            return
        active = active_services(memory.reading)
        if not active:
            book.duties += [CloseWatchdog(), Exit()]
            return
        book.events.append(tell.shutdown_blocked(active))
        waited_s = book.now.boottime_s - memory.since_s
        if memory.mode is LrmMode.RESTART and waited_s > shutdown.BLOCKED_RESTART_S:
            book.events.append(tell.shutdown_gave_up())
            book.duties.append(Exit())

    def _act(self) -> None:
        book = self._book
        if not book.read() or self._is_about_to_maintain():
            book.write_record()
        elif book.memory.shutdown:
            stops = {sid: order for sid, order in book.memory.waiting.items() if not order.uid}
            book.set(waiting=stops)
            self._run_queue()
        elif not book.seen.fresh:
            book.events.append(tell.inconsistent())
            book.write_record()
        else:
            self._execute()

    def _is_about_to_maintain(self) -> bool:
        """A node that moves its services away before it ends does so in the state maintenance, which follows in
        the next round (8.3); to end here would leave guests running without the lock."""
        return self._book.memory.shutdown is not None and self._book.memory.mode is LrmMode.MAINTENANCE

    def _maintain(self) -> None:
        book = self._book
        if not book.read():
            book.duties.append(Exit())
            return
        if book.facts().busy:
            self._execute()
            return
        book.set(waiting={})
        book.let_go()
        book.write_record()
        self._exit_if_asked()

    # The orders of the round (5.1, 5.2)

    def _execute(self) -> None:
        book, memory = self._book, self._book.memory
        queue = queue_of(memory.reading, memory.results, memory.waiting, memory.running)
        book.set(waiting=queue, tries=tries_kept(memory.tries, book.view.services()))
        self._run_queue()

    def go_on(self) -> None:
        """Results came, or the time is up."""
        if self._book.seen.readable:
            self._run_queue()
            return
        if self._book.memory.waiting:
            self._book.events.append(tell.aborted())
        self._close()

    def _run_queue(self) -> None:
        self._workers.give()
        if self._book.memory.running and self._workers.in_time():
            self._book.set(phase=Phase.WORKING)
        else:
            self._close()

    def _close(self) -> None:
        """The round's end: the record, and the exit if 8.3 says so."""
        book, memory = self._book, self._book.memory
        book.set(phase=Phase.CLOSED, waiting=passed_over(memory.waiting))
        exits = self._may_exit()
        if exits and shutdown.lets_go(memory.mode, memory.shutdown_errors):
            book.let_go()
        book.write_record()
        if exits:
            book.duties.append(Exit())

    def _may_exit(self) -> bool:
        memory = self._book.memory
        if not memory.shutdown or memory.state is not LrmState.ACTIVE:
            return False
        orders_left = bool(memory.waiting or memory.running)
        return shutdown.may_exit(memory.mode, orders_left=orders_left, active=active_services(memory.reading))
