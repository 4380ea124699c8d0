"""Who uses which node, and which node is best for a start: the usage table of one round (spec 6.5)."""

from collections.abc import Mapping, Set

from haven.core.load import Figures
from haven.core.placement.affinity import Services, used_nodes
from haven.core.records import ServiceStatus
from haven.core.words import SchedulerMode


class Usage:
    """The usage table of one round: built from the services as they are then, later told of each set(state).

    It lives within one step. `services` must not change any more (a snapshot): nothing is counted before the
    first score is asked for, as most rounds ask for none.
    """

    def __init__(
        self, mode: SchedulerMode, online: Set[str], services: Services, figures: Figures | None = None
    ) -> None:
        self.mode = mode
        self._online = online
        self._services = services
        self._figures = figures or Figures()
        self._changed: dict[str, ServiceStatus | None] = {}
        self._counts: dict[str, int] | None = None

    def changed(self, before: ServiceStatus | None, after: ServiceStatus | None) -> None:
        """A service's state was set (4.2): its old share goes, its new one comes.

        What goes is what was counted for it, even where `running` or the node were changed since without a
        change of state (4.1): `before` only names the service.
        """
        service = after or before
        assert service is not None, "a change of nothing"
        sid = service.sid
        if self._counts is not None:
            self._count(self._counts, self._changed.get(sid, self._services.get(sid)), -1)
            self._count(self._counts, after, +1)
        self._changed[sid] = after

    def score(self, _sid: str) -> Mapping[str, float]:
        """Each online node's score for a start of the service there: lower is better."""
        if self._counts is None:
            self._counts = self._summed_up()
        return self._counts

    def _summed_up(self) -> dict[str, int]:
        counts = dict.fromkeys(sorted(self._online), 0)
        for _, service in sorted({**self._services, **self._changed}.items()):
            self._count(counts, service, +1)
        for guest in self._figures.others:
            if guest.node in counts:
                counts[guest.node] += 1
        return counts

    def _count(self, counts: dict[str, int], service: ServiceStatus | None, sign: int) -> None:
        if service is None:
            return
        current, target = used_nodes(service, self._online)
        for node in {current, target} - {None}:
            assert node is not None
            counts[node] += sign
