"""Whether the kernel killed a QEMU for want of memory: judged from what the host still knows of it.

The kernel sends the same SIGKILL as anybody. So an end is an `oom_kill` only when the kernel's log or the counter
of a memory cgroup says so of that very process; without such evidence it stays what it was.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from haven.core.sentences import size

QEMU = "qemu"
"""How a VM's process is called in the kernel's log, at least its first letters."""

LATE_S = 60.0
"""A kill that is named by no pid of ours must have been this fresh when it was read."""

_CLOCK_SLACK = 1.01
_CLOCK_SLACK_S = 5.0
"""The kernel's log has a clock of its own, which drifts from the others."""


@dataclass(frozen=True, slots=True)
class KernelKill:
    """One kill by the OOM killer as the kernel's log tells it. `pid` as the kernel counts; `cgroup`: the memory
    cgroup of the killed process; `limited`: the one whose limit was reached, empty when the whole host had no
    memory left; `limit_mib`: that limit. `rss_mib`: what the process held. `age_s`: how long ago, when read."""

    pid: int
    program: str
    age_s: float
    lines: tuple[str, ...]
    cgroup: str = ""
    limited: str = ""
    limit_mib: int | None = None
    rss_mib: int | None = None


@dataclass(frozen=True, slots=True)
class CounterRise:
    """A memory cgroup's counter of OOM kills: at the last look at the living process, and now. `victims`: how
    many of the processes that haven watches in it have ended since; one of them may have ended otherwise."""

    cgroup: str
    before: int
    after: int
    victims: int

    @property
    def tells(self) -> bool:
        """Every process that ended in it was killed for want of memory."""
        return self.after - self.before >= max(self.victims, 1)


@dataclass(frozen=True, slots=True)
class OomTraces:
    """What the host knows of the end of one QEMU, when it was read. `kernel_pid`: as the kernel counts, None where
    haven counts otherwise (a PID namespace). `cgroup`: its memory cgroup when it was last seen alive. `age_s`: how
    long ago it was started. `victims`: as in CounterRise, of that cgroup. `kills`: what the kernel's log still
    tells, newest last; `unread` says why it does not."""

    kernel_pid: int | None
    age_s: float
    cgroup: str = ""
    victims: int = 1
    kills: tuple[KernelKill, ...] = ()
    rise: CounterRise | None = None
    unread: str = ""


@dataclass(frozen=True, slots=True)
class OomKill:
    """That it was one: the sentence and the evidence, for people. `rss_mib`: what the QEMU held, if told."""

    sentence: str
    lines: tuple[str, ...]
    rss_mib: int | None = None


def judge(traces: OomTraces) -> OomKill | None:
    """The kill that ended the process; None when nothing says that it was one."""
    kill = _kill(traces)
    if kill is not None:
        return OomKill(_sentence(kill), tuple(f"kernel: {line}" for line in kill.lines), kill.rss_mib)
    rise = traces.rise
    if rise is None or not rise.tells or _is_contradicted(traces):
        return None
    counted = f"OOM kills in memory cgroup {rise.cgroup}: {rise.before} at the look before, {rise.after} now"
    unread = (f"the kernel's log tells nothing: {traces.unread}",) if traces.unread else ()
    return OomKill("the kernel killed its QEMU for want of memory", (counted, *unread))


def _kill(traces: OomTraces) -> KernelKill | None:
    """By its pid; where pids do not compare, by cgroup, name and time, if all that ended there were killed."""
    if traces.kernel_pid is not None:
        mine = (kill for kill in traces.kills if kill.pid == traces.kernel_pid and _within_life(kill, traces))
        return max(mine, key=lambda kill: -kill.age_s, default=None)
    if not traces.cgroup:
        return None
    alike = [kill for kill in _of_qemus(traces.kills) if kill.cgroup == traces.cgroup]
    fresh = [kill for kill in alike if kill.age_s < LATE_S and _within_life(kill, traces)]
    return fresh[-1] if fresh and len(fresh) >= traces.victims else None


def _within_life(kill: KernelKill, traces: OomTraces) -> bool:
    return kill.age_s <= traces.age_s * _CLOCK_SLACK + _CLOCK_SLACK_S


def _of_qemus(kills: Iterable[KernelKill]) -> list[KernelKill]:
    return [kill for kill in kills if kill.program.startswith(QEMU)]


def _is_contradicted(traces: OomTraces) -> bool:
    """The log can be read and names the victims by pids that compare: it is not among them."""
    return traces.kernel_pid is not None and any(kill.age_s < LATE_S for kill in traces.kills)


def _sentence(kill: KernelKill) -> str:
    if not kill.limited:
        return "the kernel killed its QEMU: the host had no memory left"
    limit = f" of {size(kill.limit_mib)}" if kill.limit_mib is not None else ""
    return f"the kernel killed its QEMU: the limit{limit} of memory cgroup {kill.limited} was reached"
