"""When a host must let go (SAFETY.md): how long a node may act on its agent lock, and what happens after.

All times are the node's CLOCK_BOOTTIME, counted from the moment the last acknowledged renewal was *sent*. The
caller sends the renewals (`terms.renew_every_s`), tells of each acknowledgement, and does at once what
`LeaseMemory` says: feed the watchdog, or stop every VM that this node has a run key for. While an orderly
release is under way it renews nothing: the refusal would look like a lock that was lost.
"""

from dataclasses import dataclass, replace

from haven.core.records import Instance


@dataclass(frozen=True, slots=True)
class LeaseTerms:
    """The table of SAFETY.md, in seconds. `feed_age_s` is its A, `watchdog_s` W, `granularity_s` G, `drift_s` D,
    `self_stop_s` S, `kill_s` K."""

    ttl_s: float = 15.0
    renew_every_s: float = 2.0
    call_s: float = 1.0
    retry_s: float = 0.5
    feed_age_s: float = 3.0
    watchdog_s: float = 10.0
    granularity_s: float = 1.0
    drift_s: float = 1.0
    self_stop_s: float = 7.0
    kill_s: float = 2.0

    def faults(self) -> tuple[str, ...]:
        """Why these terms must be refused, each in a sentence; empty: a node is dead before its lock is free."""
        longest_s = self.feed_age_s + self.watchdog_s + self.granularity_s + self.drift_s
        found = []
        if longest_s > self.ttl_s:
            found.append(
                f"the watchdog may fire {longest_s:g} s after the last renewal, but the lock is free after "
                f"{self.ttl_s:g} s: raise ttl_s or lower watchdog_s"
            )
        if self.self_stop_s + self.kill_s >= self.watchdog_s:
            found.append(
                f"VMs are stopped only {self.self_stop_s + self.kill_s:g} s after the last renewal, when the "
                f"watchdog of {self.watchdog_s:g} s fires: lower self_stop_s"
            )
        return tuple(found)


@dataclass(frozen=True, slots=True)
class LeaseMemory:
    """A node's hold on its agent lock. `sent_s`: when the last acknowledged renewal was sent; None: it holds
    none. `stopped`: the VMs were stopped because it was too old, and nothing may run before a new epoch or an
    acknowledgement that came in time for the lock still to be there."""

    sent_s: float | None = None
    stopped: bool = False


@dataclass(frozen=True, slots=True)
class LeaseFacts:
    """What a node's brain knows of its lease. `act_until_s`: orders may be given before this boottime; `armed`:
    a watchdog stands behind it; `terms` as in force; `ended`: the QEMUs that were killed when it ran out, as
    libvirt takes them for crashed."""

    act_until_s: float
    armed: bool
    terms: LeaseTerms = LeaseTerms()
    ended: frozenset[Instance] = frozenset()


def acknowledged(memory: LeaseMemory, sent_s: float) -> LeaseMemory:
    """A renewal, or the lock's first writing, that was sent at `sent_s` is acknowledged. An acknowledgement
    that is overtaken by a later one says nothing new."""
    if memory.sent_s is not None and sent_s <= memory.sent_s:
        return memory
    return LeaseMemory(sent_s=sent_s)


def feeds_watchdog(terms: LeaseTerms, sent_s: float, now_s: float) -> bool:
    """Whether an acknowledgement that arrives now may feed the watchdog: an old one may not, because the
    watchdog would then fire after the lock is free."""
    return now_s - sent_s <= terms.feed_age_s


def act_until_s(memory: LeaseMemory, terms: LeaseTerms) -> float:
    """The boottime until which this node may start, stop and move VMs; 0.0: not at all."""
    if memory.sent_s is None or memory.stopped:
        return 0.0
    return memory.sent_s + terms.self_stop_s


def must_stop_vms(memory: LeaseMemory, terms: LeaseTerms, now_s: float) -> bool:
    """Whether the VMs of this node must be stopped now: no renewal was acknowledged for too long."""
    return memory.sent_s is not None and not memory.stopped and now_s >= memory.sent_s + terms.self_stop_s


def vms_stopped(memory: LeaseMemory) -> LeaseMemory:
    """The self-stop was done."""
    return replace(memory, stopped=True)


def let_go(memory: LeaseMemory) -> LeaseMemory:
    """The lock was given back, or is lost for good."""
    return LeaseMemory() if memory.sent_s is not None else memory
