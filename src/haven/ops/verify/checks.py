"""The checks as a table, in the order of the guide's list, then haven's own; and their result."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from haven.ops.verify import haven_checks, host_checks, vm_checks
from haven.ops.verify.facts import Facts, Finding, Grade, named

Check = Callable[[Facts], Iterator[Finding]]

CHECKS: Mapping[str, Check] = {
    "quorum": haven_checks.quorum,
    "daemons": haven_checks.daemons,
    "service": haven_checks.boot,
    "libvirt": haven_checks.libvirt,
    "protected": vm_checks.protected,
    "running": vm_checks.running,
    "incidents": vm_checks.incidents,
    "hands off": vm_checks.hands_off,
    "autostart": vm_checks.autostart,
    "overcommit": host_checks.overcommit,
    "memory at boot": host_checks.memory_at_boot,
    "disks": host_checks.disks,
    "space": host_checks.space,
    "saved states": vm_checks.saved,
    "guest agents": vm_checks.agents,
    "hangs": vm_checks.hangs,
    "drills": vm_checks.drills,
    "notifications": haven_checks.told,
    "heartbeat": haven_checks.heartbeat,
    "host shutdown": host_checks.shutdown,
    "watchdog": haven_checks.watchdog,
    "settings": haven_checks.settings,
    "store": haven_checks.store,
    "clock": haven_checks.clock,
}
NEED_STORE = frozenset(
    {"protected", "running", "hands off", "autostart", "saved states", "guest agents", "hangs", "disks", "drills"}
)
NEED_LIBVIRT = frozenset({"overcommit", "memory at boot", "disks", "autostart", "saved states", "guest agents"})
"""Without these nothing is known, and the line about the store or libvirt says so."""
_WORST_FIRST = (Grade.FAIL, Grade.WARN, Grade.PASS)


@dataclass(frozen=True, slots=True)
class Verdict:
    """All findings, the worst first, within a grade in the order of the list."""

    findings: tuple[Finding, ...]

    def count(self, grade: Grade) -> int:
        return sum(1 for finding in self.findings if finding.grade is grade)

    @property
    def well(self) -> bool:
        return not self.count(Grade.FAIL)


def verify(facts: Facts, only: Sequence[str] = tuple(CHECKS)) -> Verdict:
    """Every check, on the same facts."""
    unknown = (NEED_STORE if facts.view is None else set()) | (NEED_LIBVIRT if facts.libvirt_trouble else set())
    found = [finding for name in only if name not in unknown for finding in named(name, CHECKS[name](facts))]
    return Verdict(tuple(sorted(found, key=lambda finding: _WORST_FIRST.index(finding.grade))))


def as_data(facts: Facts, verdict: Verdict) -> dict[str, object]:
    """The answer as plain JSON data."""
    return {
        "node": facts.node,
        "now": facts.now.wall_s,
        "outside": facts.api_trouble,
        "summary": {grade.value: verdict.count(grade) for grade in _WORST_FIRST},
        "findings": [
            {
                "check": finding.check,
                "grade": finding.grade.value,
                "seen": finding.seen,
                "mend": finding.mend or None,
                "sid": finding.sid,
            }
            for finding in verdict.findings
        ],
    }
