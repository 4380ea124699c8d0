"""What a node reports, and what it remembers of its VMs."""

from dataclasses import dataclass, field

from haven.core.words import Cause, ExitCode, HangStage, HoldCause, LrmMode, LrmState, ServiceState


@dataclass(frozen=True, slots=True)
class Result:
    """The outcome of one order, kept under its uid (spec 1.5).

    `hold` and `detail` say what stood in the way of a failed start; `hold_s` asks for a hold of that
    length (the crash-loop brake).
    """

    sid: str
    state: ServiceState
    exit_code: ExitCode
    hold: HoldCause | None = None
    detail: str = ""
    hold_s: float | None = None


@dataclass(frozen=True, slots=True)
class BootPhase:
    """VMs come up one after the other after a boot of the host. `turns`: since when (boottime) each had nobody of
    a lower number to wait for; `started`: since when it runs; `told`: what was told once. `said_wall_s`: as it
    began, the moment of the last word about each VM's wanted state. Another one was said since, whatever the
    clock was at either time."""

    boot_id: str
    began_wall_s: float
    turns: dict[str, float] = field(default_factory=dict)
    started: dict[str, float] = field(default_factory=dict)
    told: frozenset[str] = frozenset()
    said_wall_s: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PendingWork:
    """Something the LRM will do without being asked: `what` in words, `at_wall_s` when."""

    what: str
    at_wall_s: float


@dataclass(frozen=True, slots=True)
class FreeSpace:
    """What is free in a file system, its size, and what sparse images of VMs on it may still come to need."""

    free_mib: int
    total_mib: int
    growth_mib: int = 0


@dataclass(frozen=True, slots=True)
class LrmRecord:
    """What a node's LRM tells the manager (spec 1.5).

    `looked_wall_s` is when the hypervisor last answered. `ended_causes` holds the uids of held services whose
    trouble has gone (disk back). `pending` says, per
    sid, what the LRM will do by itself and when (wall time), for people; `waiting`, per sid, what keeps it
    from starting a VM that should run; `signs`, per sid, what its signs of life say, when not all is well.
    `low`: file systems below VMs' images that are about to be full, by mount point, in words. `boot`: how far this
    host's boot has come, while VMs wait for each other. `spaces`: the file systems below protected VMs' images, by
    mount point, as of the last tick; one that does not answer is not in it.
    """

    node: str
    state: LrmState
    mode: LrmMode
    timestamp_wall_s: float
    hypervisor_ok: bool = True
    looked_wall_s: float = 0.0
    results: dict[str, Result] = field(default_factory=dict)
    ended_causes: frozenset[str] = frozenset()
    pending: dict[str, "PendingWork"] = field(default_factory=dict)
    waiting: dict[str, str] = field(default_factory=dict)
    signs: dict[str, tuple[str, ...]] = field(default_factory=dict)
    low: dict[str, str] = field(default_factory=dict)
    boot: "BootPhase | None" = None
    spaces: dict[str, FreeSpace] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Instance:
    """One life of a VM: its QEMU process. `started_ticks` is the kernel's start time of the pid."""

    pid: int
    started_ticks: int


@dataclass(frozen=True, slots=True)
class HangState:
    """What is known of a VM's hangs. `answered`: its agent, or a check, was heard in the life `instance`: only
    then its silence says anything. `resets_s`: when it was reset lately, by boottime. `stage` since `stage_s`;
    `since_wall_s`: when the silence that was found began. `told_s`: the last sign of life before a silence that
    was told and not acted on; `held`: it was told that there are no resets left. `incident`: the open one."""

    instance: Instance | None = None
    answered: bool = False
    resets_s: tuple[float, ...] = ()
    stage: HangStage = HangStage.NONE
    stage_s: float = 0.0
    since_wall_s: float = 0.0
    told_s: float = -1.0
    held: bool = False
    incident: str = ""


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """A drill under way: who asked for it, and what was measured so far, in wall time. `killed_wall_s`: its QEMU
    was killed; `noticed_wall_s`: haven saw that; `runs_wall_s`: it ran again. `ordered`: the kill was ordered;
    `asks_agent`: its guest agent answered before, so that it is to answer again."""

    uid: str
    who: str
    asked_wall_s: float
    ordered: bool = False
    asks_agent: bool = False
    incident: str = ""
    killed_wall_s: float | None = None
    noticed_wall_s: float | None = None
    runs_wall_s: float | None = None


@dataclass(frozen=True, slots=True)
class VmJournal:
    """What the LRM last knew of a VM; it survives the daemon, so that nothing is missed or counted twice.

    `crashes_boottime_s` are the recent crashes of the boot `boot_id`, for the brake. `incident` is the id
    of the incident that is still open. `node`: whose LRM knew it (empty in journals of older versions).
    `would_wall_s`: when haven would have started it, had it not only been observed. `locked`: the lock that was
    told. `drill`: the drill under way; `drilled_wall_s`: when the last one began.
    `paused_wall_s`: since when QEMU has paused it for an I/O error, the pause number `pauses` of this life.
    `pause_noted_wall_s`: one of them began then, in maintenance, and was told as a note only. `autostarted`:
    libvirt started it at boot although it should be off. `blocked_uid`: the hold in which a probe saw it blocked.
    `unexplained`: the incident whose evidence was still to be read, of the process `ended`. `suspended_wall_s`:
    since when a client has suspended it, although `restart_on = always` takes it for running.
    """

    uuid: str
    running: bool
    since_wall_s: float
    boot_id: str
    instance: Instance | None = None
    crashes_boottime_s: tuple[float, ...] = ()
    incident: str | None = None
    last_cause: Cause | None = None
    node: str = ""
    hang: HangState = field(default_factory=HangState)
    would_wall_s: float | None = None
    locked: str = ""
    drill: Rehearsal | None = None
    drilled_wall_s: float | None = None
    paused_wall_s: float | None = None
    pauses: int = 0
    autostarted: bool = False
    pause_noted_wall_s: float | None = None
    blocked_uid: str = ""
    suspended_wall_s: float | None = None
    unexplained: str = ""
    ended: Instance | None = None
