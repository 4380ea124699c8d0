"""Settled services: a look at them did nothing, and would do nothing again, so it need not be repeated.

A shortcut, not a rule: a round that remembers nothing decides the same (tests/core/test_settled.py). What a look
reads is what is recorded of the service and of those it is bound to, or the same for all (`Basis`), or else the
service is never settled.
"""

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass
from itertools import compress
from operator import is_not

from haven.core.records import ClusterOptions, Group, LrmRecord, Record, Result, ServiceStatus
from haven.core.rules.compiled import CompiledRules
from haven.core.settings import Settings
from haven.core.view import View
from haven.core.words import ExitCode, LrmMode, ServiceState

RESTING = (ServiceState.STARTED, ServiceState.STOPPED, ServiceState.FREEZE, ServiceState.ERROR)


@dataclass(frozen=True, slots=True)
class Basis:
    """What is read beside the service's own. Scores are not in it: they only tell where to go, once a service
    has to."""

    online: frozenset[str]
    modes: Mapping[str, LrmMode]
    rules: CompiledRules
    groups: Mapping[str, Group]
    options: ClusterOptions
    settings: Settings


@dataclass(frozen=True, slots=True)
class Settled:
    """All services but the `unsettled`, as long as nothing of `basis` changes, and of what `view` said of them.
    Without a view: nobody."""

    basis: Basis | None = None
    view: View | None = None
    unsettled: frozenset[str] = frozenset()


class Settling:
    """Who has to be looked at, during one round's passes. `services` are read as they are then."""

    def __init__(self, before: Settled, basis: Basis, view: View, services: Mapping[str, ServiceStatus]) -> None:
        self._basis = basis
        self._view = view
        self._services = services
        self._bound = basis.rules.positive.keys() | basis.rules.negative.keys()
        self._due: set[str] = set()
        self._all_are_due = before.view is None or before.basis != basis
        if before.view and not self._all_are_due:
            self._due |= before.unsettled
            self.changed(_changed(before.view, view, basis.modes))

    def in_turn(self) -> list[str]:
        """Who may come to be looked at in the next pass, sorted: who is due, and who is bound to others, as it
        depends on what these do until its turn comes."""
        if self._all_are_due:
            return list(self._services)
        return sorted(sid for sid in self._due | self._bound if sid in self._services)

    def is_due(self, sid: str) -> bool:
        return self._all_are_due or sid in self._due

    def looked_at(self, service: ServiceStatus, *, quiet: bool) -> None:
        """`quiet`: the look changed nothing and told nothing."""
        if not quiet:
            self.changed({service.sid})
        elif self._restless(service):
            self._due.add(service.sid)
        else:
            self._due.discard(service.sid)

    def changed(self, sids: Set[str]) -> None:
        """They are due, and who is bound to them."""
        self._due |= sids
        for sid in self._bound & sids:
            self._due.update(self._basis.rules.positive.get(sid, ()), self._basis.rules.negative.get(sid, ()))

    def passed(self, changed: Set[str]) -> None:
        """A pass is over. What the round `changed` so far is due once more, also after its look."""
        self._all_are_due = False
        self.changed(changed)

    def settled(self) -> Settled:
        """What to remember for the next round."""
        return Settled(self._basis, self._view, frozenset(self._due & self._services.keys()))

    def _restless(self, service: ServiceStatus) -> bool:
        """More than what is recorded, time above all, decides what the next look does."""
        return service.state not in RESTING or service.held is not None or service.node not in self._basis.online


def _changed(before: View, now: View, nodes: Mapping[str, LrmMode]) -> set[str]:
    """The services of which the two views do not say the same."""
    sids = _differing(before.services(), now.services()) | _differing(before.configs(), now.configs())
    then, since = before.lrms(), now.lrms()
    for node in nodes:
        sids |= _answered(then.get(node), since.get(node))
    return sids


def _differing(before: Mapping[str, Record], now: Mapping[str, Record]) -> set[str]:
    """Under which names they are not the same. What did not change is the same object in every view."""
    if before is now:
        return set()
    if list(before) == list(now):  # as in nearly every round; many times as fast as to look each up
        return set(compress(now, map(is_not, before.values(), now.values())))
    return {name for name in before.keys() | now.keys() if before.get(name) is not now.get(name)}


def _answered(before: LrmRecord | None, now: LrmRecord | None) -> set[str]:
    """Whose results say something else."""
    if before is now:
        return set()
    old, new = before.results if before else {}, now.results if now else {}
    return {*_with_other_results(old, new), *(old[uid].sid for uid in old.keys() - new.keys())}


def _with_other_results(old: Mapping[str, Result], new: Mapping[str, Result]) -> Iterator[str]:
    for uid, result in new.items():
        known, failed = old.get(uid), result.exit_code is not ExitCode.SUCCESS
        if known is None or known.exit_code is not result.exit_code or (failed and known != result):
            yield result.sid  # nothing more is read of a success
