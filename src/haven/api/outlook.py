"""One look at everything: records, libvirt and history together, and what follows for each VM."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from shlex import quote

from haven.api import phrases
from haven.api.qemu_entries import OFF
from haven.api.state import State
from haven.api.vms import Machine, machines
from haven.core.clock import Now
from haven.core.hands_off import Reserve, judge
from haven.core.records import Hold, LrmRecord, PendingWork, ServiceConfig, ServiceStatus, VmJournal
from haven.core.view import View
from haven.core.words import MEND_DAMAGED, HandsOff, HangStage, ServiceState, Wanted
from haven.daemons import machine as host
from haven.history.model import HistoryError
from haven.hypervisor.protocol import Guest, HypervisorError

DAY_S = 86400.0
BEING_STARTED = "prelaunch"
"""QMP's word for a QEMU that libvirt has not let go yet."""


@dataclass(frozen=True, slots=True)
class Outlook:
    """`present` is what libvirt has, by VMID; None while it does not answer, and `trouble` says why."""

    node: str
    now_s: float
    view: View
    present: Mapping[int, Machine] | None
    trouble: str
    restarts: Mapping[str, int]
    now: Now = field(default_factory=lambda: Now(0.0, 0.0, ""))

    @property
    def lrm(self) -> LrmRecord | None:
        return self.view.lrms().get(self.node)

    def vms(self) -> list["VmOutlook"]:
        """All VMs of this host and all protected ones, by VMID."""
        vmids = set(self.present or ()) | {int(phrases.number(sid)) for sid in self.view.configs()}
        return [self.vm(vmid) for vmid in sorted(vmids)]

    def vm(self, vmid: int) -> "VmOutlook":
        machine = (self.present or {}).get(vmid)
        config = self.view.configs().get(f"vm:{vmid}")
        return VmOutlook(self, vmid, config, machine.guest if machine else None)


@dataclass(frozen=True, slots=True)
class VmOutlook:
    """What is wanted, seen and decided of one VM."""

    all: Outlook
    vmid: int
    config: ServiceConfig | None
    guest: Guest | None

    @property
    def sid(self) -> str:
        return f"vm:{self.vmid}"

    @property
    def name(self) -> str:
        if self.guest:
            return self.guest.name
        identity = self.all.view.identity(self.config.uuid) if self.config else None
        return identity.name if identity else self.sid

    @property
    def protected(self) -> bool:
        return self.config is not None and self.config.wanted is not Wanted.IGNORED

    @property
    def service(self) -> ServiceStatus | None:
        return self.all.view.services().get(self.sid)

    @property
    def hold(self) -> Hold | None:
        return self.service.held if self.service else None

    @property
    def journal(self) -> VmJournal | None:
        return self.all.view.journals().get(self.config.uuid) if self.config else None

    @property
    def pending(self) -> PendingWork | None:
        """What the node daemon will do about it by itself, and when."""
        return self.all.lrm.pending.get(self.sid) if self.all.lrm else None

    @property
    def waiting(self) -> str | None:
        """What keeps the node daemon from starting or stopping it now."""
        return self.all.lrm.waiting.get(self.sid) if self.all.lrm else None

    @property
    def hands(self) -> Reserve | None:
        """Why haven does nothing to it now."""
        return judge(self.all.view, self.sid, self.guest.job if self.guest else "", self.all.now)

    @property
    def missing(self) -> bool:
        """libvirt answers and has no such VM."""
        return self.all.present is not None and self.guest is None

    @property
    def power(self) -> str:
        """running, paused, off or unknown."""
        if self.guest is None:
            return "off" if self.missing else "unknown"
        if self.guest.status == OFF:
            return "off"
        return "running" if self.guest.status in ("running", "shutdown") else "paused"

    @property
    def runs(self) -> bool:
        """By libvirt's word; while it does not answer, as last known: VMs run on without it."""
        if self.power == "unknown":
            return self.journal is not None and self.journal.running
        return self.power == "running"

    @property
    def hung(self) -> bool:
        """It runs by libvirt's word and shows no life, which haven is about to mend."""
        known = self.journal
        return self.runs and known is not None and known.hang.stage is not HangStage.NONE

    @property
    def signs(self) -> tuple[str, ...]:
        """What its signs of life say, where not all is well."""
        return self.all.lrm.signs.get(self.sid, ()) if self.all.lrm and self.protected else ()

    @property
    def since_wall_s(self) -> float | None:
        """Since when it is as it is."""
        if self.io_error and self.journal:
            return self.journal.paused_wall_s
        if self.journal and self.journal.running == self.runs:
            return self.journal.since_wall_s
        if self.guest and self.guest.uptime_s:
            return self.all.now_s - self.guest.uptime_s
        return None

    @property
    def checked_s(self) -> float | None:
        """How old the node daemon's last look is."""
        if not self.protected or self.all.lrm is None:
            return None
        return max(self.all.now_s - self.all.lrm.timestamp_wall_s, 0.0)

    @property
    def off_on_purpose(self) -> bool:
        wanted_off = self.config is not None and self.config.wanted in (Wanted.STOPPED, Wanted.DISABLED)
        return wanted_off and self.power == "off" and not self.missing

    @property
    def unreadable(self) -> bool:
        """Its configuration is there, and damaged: whether it is protected cannot be said."""
        return self.sid in self.all.view.damaged_of("config")

    def trouble(self) -> tuple[str, str] | None:
        """What is wrong and what to do about it; None when nothing is."""
        if self.unreadable:
            return "its configuration is damaged in the store: haven can do nothing for it", MEND_DAMAGED
        return self._trouble(self.config) if self.protected and self.config else None

    def _trouble(self, config: ServiceConfig) -> tuple[str, str] | None:
        """Of one that is protected."""
        hands = self.hands
        if hands and hands.why is HandsOff.MAINTENANCE:
            return None
        if self.missing:
            return (
                f"libvirt has no such VM any more (UUID {config.uuid})",
                f"define it again, or take it out of haven: ha-manager remove {self.sid}",
            )
        if self.hold:
            return f"held: {self.hold.detail}", phrases.hold_advice(self.hold, self.sid)
        if self.service and self.service.state is ServiceState.ERROR:
            return self.service.reason, f"mend it, then: ha-manager set {self.sid} --state disabled"
        if self.hung:
            return self._hung(), f"to reset it at once: qm reset {self.vmid}; why: haven explain {self.sid}"
        if config.wanted is Wanted.STARTED and not self.runs and self.power != "unknown":
            if self.power == "paused" and self.guest and self.guest.status != BEING_STARTED:
                return self._paused(self.guest)
            if hands and hands.why is HandsOff.OBSERVE:
                number = phrases.number(self.sid)
                return "down; it is only observed", f"to start it: qm start {number}; or: haven protect {self.sid}"
            return self._down(), f"if it stays so: haven explain {self.sid}"
        return None

    def _paused(self, guest: Guest) -> tuple[str, str]:
        if self.io_error:
            return self.waiting or f"paused ({guest.status})", "make space, or mend the storage: haven resumes it"
        return f"paused ({guest.status})", f"when what stopped it is mended: virsh resume {quote(guest.name)}"

    @property
    def io_error(self) -> bool:
        """QEMU paused it because a disk could not be read or written: haven resumes it."""
        return self.guest is not None and self.guest.status == "io-error"

    def _hung(self) -> str:
        if self.waiting:
            return self.waiting
        reset = self.journal is not None and self.journal.hang.stage is HangStage.RESET
        return "hung; it was reset, and its answer is waited for" if reset else "hung; haven brings it back"

    def _down(self) -> str:
        said = [self.waiting] if self.waiting else []
        if self.pending:
            left_s = max(self.pending.at_wall_s - self.all.now_s, 0)
            said.append(f"{self.pending.what} in {left_s:.0f} s")
        return "; ".join(["down", *(said or ["haven is about to start it"])])


def look(state: State) -> Outlook:
    """Raises StoreError. Trouble of libvirt or the history is part of what is seen."""
    present, trouble = None, ""
    try:
        present = machines(state)
    except HypervisorError as error:
        trouble = str(error)
    now_s = state.wall_s()
    restarts, now = _restarts(state, now_s - DAY_S), replace(host.now(), wall_s=now_s)
    return Outlook(state.node, now_s, state.view(), present, trouble, restarts, now)


def _restarts(state: State, since_wall_s: float) -> Mapping[str, int]:
    try:
        return state.chronicle.book().restarts_since(since_wall_s)
    except HistoryError:
        return {}
