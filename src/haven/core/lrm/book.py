"""The working copy within one step: the memory as it becomes, and what is to be done and told."""

from dataclasses import replace
from typing import Any

from haven.core import locks
from haven.core.clock import Now
from haven.core.contract import Decision, NodeObservation
from haven.core.event import Event
from haven.core.lrm import tell
from haven.core.lrm.daemon import LrmFacts
from haven.core.lrm.memory import LrmMemory
from haven.core.lrm.reading import active_services, has_services, mode_after, read, to_be_fenced
from haven.core.order import CloseWatchdog, Duty, Order
from haven.core.records import LrmRecord
from haven.core.transaction import Put, Transaction


class Book:
    """It lives within one step: nothing of it is kept but `decision()`."""

    def __init__(self, memory: LrmMemory, observation: NodeObservation, now: Now) -> None:
        self.memory = memory
        self.seen = observation
        self.view = observation.view
        self.now = now
        self.transactions: list[Transaction] = []
        self.orders: list[Order] = []
        self.duties: list[Duty] = []
        self.events: list[Event] = []

    def decision(self, wake_at_s: float | None = None) -> Decision[LrmMemory]:
        return Decision(
            self.memory,
            transactions=tuple(self.transactions),
            orders=tuple(self.orders),
            duties=tuple(self.duties),
            events=tuple(self.events),
            wake_at_s=wake_at_s,
        )

    def set(self, **changes: Any) -> None:
        """Remember something."""
        self.memory = replace(self.memory, **changes)

    def read(self) -> bool:
        """Whether the manager's records could be read (R-2.11); else what was read last stays in force."""
        if not self.seen.readable:
            self.events.append(tell.cannot_read())
            return False
        reading = read(self.view, self.seen.node)
        mode = self.memory.mode if self.memory.shutdown else mode_after(self.memory.mode, reading)
        self.set(reading=reading, mode=mode)
        return True

    def facts(self) -> LrmFacts:
        """What decides on the next state, as far as is known now."""
        memory = self.memory
        empty = not has_services(memory.reading) and not memory.running
        return LrmFacts(
            to_be_fenced=to_be_fenced(memory.reading),
            active=active_services(memory.reading),
            workers=bool(memory.running),
            mode=memory.mode,
            idle_rounds=memory.idle_rounds + 1 if empty else 0,
        )

    def lock_name(self) -> str:
        return locks.agent(self.seen.node)

    def holds_lock(self) -> bool:
        return locks.is_ours(self.view, self.lock_name(), self.seen.node)

    def let_go(self) -> None:
        """Release the lock, if it can be (R-1.2), and close the watchdog: nothing here needs either."""
        release = locks.release(self.view, self.lock_name(), self.seen.node) if self.seen.quorate else None
        if release:
            self.transactions.append(release)
        self.duties.append(CloseWatchdog())

    def write_record(self) -> bool:
        """Whether the LRM record could be written (R-1.7); without quorum nobody even tries."""
        if self.seen.quorate and not self.seen.readable:
            self.events.append(tell.cannot_write())
        if not (self.seen.quorate and self.seen.readable):
            return False
        record = LrmRecord(
            node=self.seen.node,
            state=self.memory.state,
            mode=self.memory.mode,
            timestamp_wall_s=self.now.wall_s,
            hypervisor_ok=self.seen.vms is not None,
            results=self.memory.results,
        )
        self.transactions.append(Transaction(self.view.incarnation, (), (Put(f"lrm/{self.seen.node}", record),)))
        return True
