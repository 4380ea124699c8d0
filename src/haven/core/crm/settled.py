"""Settled services: a look at them did nothing, and would do nothing again, so it need not be repeated.

A shortcut, not a rule: a round that remembers nothing decides the same (tests/core/test_settled.py). What a look
reads is the service's own (`Own`), or the same for all (`Basis`), or else the service is never settled.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from haven.core.records import ClusterOptions, Result, ServiceConfig, ServiceStatus
from haven.core.rules.compiled import CompiledRules
from haven.core.settings import Settings
from haven.core.words import ExitCode, LrmMode, ServiceState

Own = tuple[ServiceStatus, ServiceConfig | None, ExitCode | None, tuple[ServiceStatus | None, ...]]
"""What is read of the service itself, and of those it stays together with or apart from. Of the result for its uid
that is the exit code: more is read of failed ones only, and those always have consequences."""

RESTING = (ServiceState.STARTED, ServiceState.STOPPED, ServiceState.FREEZE, ServiceState.ERROR)


@dataclass(frozen=True, slots=True)
class Basis:
    """What is read beside that. Scores are not in it: they only tell where to go, once a service has to."""

    online: frozenset[str]
    modes: Mapping[str, LrmMode]
    rules: CompiledRules
    options: ClusterOptions
    settings: Settings


@dataclass(frozen=True, slots=True)
class Settled:
    """What the last look at each settled service read, by sid. It holds on the same basis only."""

    basis: Basis | None = None
    looks: Mapping[str, Own] = field(default_factory=dict)


class Settling:
    """Who is settled, during one round's passes: the mappings, `results` by uid, are read as they are then."""

    def __init__(
        self,
        before: Settled,
        basis: Basis,
        services: Mapping[str, ServiceStatus],
        configs: Mapping[str, ServiceConfig],
        results: Mapping[str, Result],
    ) -> None:
        self._basis = basis
        self._services = services
        self._looks = dict(before.looks) if before.basis == basis else {}
        self._configs = configs
        self._results = results

    def in_question(self, services: Iterable[ServiceStatus]) -> list[str]:
        """The sids of all but those that are settled and bound to no others, in the same order.

        The others' turn comes later: what they do until then decides who `is_settled`.
        """
        looks, configs, results = self._looks, self._configs, self._results
        if not looks:
            return [service.sid for service in services]
        return [
            service.sid
            for service in services
            if looks.get(service.sid)
            != (
                service,
                configs.get(service.sid),
                (result := results.get(service.uid)) and result.exit_code,
                (),
            )
        ]

    def is_settled(self, service: ServiceStatus) -> bool:
        look = self._looks.get(service.sid)
        return look is not None and look == self._own(service)

    def looked_at(self, service: ServiceStatus, *, quiet: bool) -> None:
        """`quiet`: the look changed nothing and told nothing."""
        if quiet and not self._restless(service):
            self._looks[service.sid] = self._own(service)
        else:
            self._looks.pop(service.sid, None)

    def settled(self) -> Settled:
        """What to remember for the next round. Services that are gone are forgotten now and then."""
        if len(self._looks) > len(self._services):
            self._looks = {sid: look for sid, look in self._looks.items() if sid in self._services}
        return Settled(self._basis, self._looks)

    def _own(self, service: ServiceStatus) -> Own:
        result = self._results.get(service.uid)
        exit_code = None if result is None else result.exit_code
        return service, self._configs.get(service.sid), exit_code, self._others(service.sid)

    def _others(self, sid: str) -> tuple[ServiceStatus | None, ...]:
        rules = self._basis.rules
        if sid not in rules.positive and sid not in rules.negative:
            return ()
        others = (*rules.positive.get(sid, ()), *rules.negative.get(sid, ()))
        return tuple(map(self._services.get, others))

    def _restless(self, service: ServiceStatus) -> bool:
        """More than what is remembered, time above all, decides what the next look does."""
        return service.state not in RESTING or service.held is not None or service.node not in self._basis.online
