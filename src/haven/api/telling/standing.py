"""How it stands with each VM by what the node daemon knows: without a call to libvirt, which can hang."""

from dataclasses import dataclass

from haven.api import ha_words, phrases
from haven.core.notice_words import label
from haven.core.records import Hold, LrmRecord, ServiceConfig, ServiceStatus, VmJournal
from haven.core.settings import Settings
from haven.core.view import View
from haven.core.words import Wanted

LATE_TICKS = 3


@dataclass(frozen=True, slots=True)
class VmStanding:
    """One protected VM. `runs` is what the node daemon last saw."""

    config: ServiceConfig
    name: str
    service: ServiceStatus | None
    journal: VmJournal | None

    @property
    def sid(self) -> str:
        return self.config.sid

    @property
    def runs(self) -> bool:
        return self.journal is not None and self.journal.running

    @property
    def should_run(self) -> bool:
        return self.config.wanted is Wanted.STARTED

    @property
    def hold(self) -> Hold | None:
        return self.service.held if self.service else None

    def is_down_for(self, now_wall_s: float) -> float | None:
        """How long it has been down although it should run; None when it is not."""
        if self.runs or not self.should_run or self.journal is None:
            return None
        return max(now_wall_s - self.journal.since_wall_s, 0.0)

    def in_words(self, now_wall_s: float) -> str:
        """`vm:102 (maas-102) runs`, with what matters of it."""
        about = label(self.sid, self.name)
        if self.runs:
            return f"{about} runs"
        if not self.should_run:
            return f"{about} is {phrases.off_reason(self.config, now_wall_s)}"
        if self.hold:
            return f"{about} is held: {self.hold.detail}"
        return f"{about} is down"


def standings(view: View) -> list[VmStanding]:
    """Every VM that is protected, by sid; those that are ignored are nobody's."""
    names, services, journals = view.identities(), view.services(), view.journals()
    return [
        VmStanding(
            config,
            names[config.uuid].name if config.uuid in names else "",
            services.get(config.sid),
            journals.get(config.uuid),
        )
        for config in view.configs().values()
        if config.wanted is not Wanted.IGNORED
    ]


def is_fresh(lrm: LrmRecord | None, settings: Settings, now_wall_s: float) -> bool:
    """Whether the node daemon's word counts: it is young, and the hypervisor answered it."""
    late_s = max(ha_words.STALE_S, LATE_TICKS * settings.tick_s)
    return lrm is not None and lrm.hypervisor_ok and now_wall_s - lrm.timestamp_wall_s <= late_s
