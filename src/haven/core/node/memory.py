"""What a node remembers of its VMs between steps: only what was seen and done."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from haven.core.contract import NodeObservation
from haven.core.ending import Ending
from haven.core.host import DiskTrouble, HostFacts
from haven.core.hypervisor import Happening, Moment, Power, Vm, Why
from haven.core.order import CollectEvidence, Favour, Inspect, Move, Reset, Resume, Start, Stop
from haven.core.records import BootPhase, HangState, Instance, Origin, Rehearsal, Result, ServiceConfig, VmJournal
from haven.core.view import View
from haven.core.words import Cause, LrmMode, LrmState, RestartOn, ShutdownKind, Wanted

SEQUENCE_GAP_S = 30.0
"""Happenings further apart than this do not belong to one end: QEMU quits at once after announcing it."""

TAKEOVER_S = 60.0
"""So long after an LRM took over, a start may still be one that the LRM before it had ordered."""

LIFE = frozenset({Moment.STARTED, Moment.RESUMED, Moment.REBOOT})
"""After these it lived: what came before belongs to no later end."""

NO_PART_OF_AN_END = LIFE | {
    Moment.DEFINED,
    Moment.UNDEFINED,
    Moment.WATCHDOG,
    Moment.WATCHDOG_RESET,
    Moment.WATCHDOG_PAUSE,
    Moment.OTHER,
}

TRAIL_LIMIT = 16
"""Happenings kept per VM: an end needs the last few; an `ignore` error policy sends hundreds."""


@dataclass(frozen=True, slots=True)
class Intention:
    """An end or a start that somebody meant, to be written as the wanted state.

    `under` is the origin of the wanted state that it was seen under: a later word of a person outranks it.
    """

    wanted: Wanted
    via: str
    at_wall_s: float
    under: Origin | None


class MoveOutcome(StrEnum):
    """How a move ended. `unknown`: it may run here, on the target, or nowhere (SAFETY 6)."""

    MOVED = "moved"
    FAILED = "failed"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class MoveEnded:
    """The end of the move that the order `uid` asked for."""

    uid: str
    outcome: MoveOutcome
    live: bool
    detail: str = ""


@dataclass(frozen=True, slots=True)
class IoPause:
    """QEMU paused the VM for an I/O error, `since_wall_s`; noticed at the boottime `seen_s`. `told`: its incident
    is open; `noted_wall_s`: it began then, in maintenance, was told as a note, and counts from the end of that.
    `disks`: what an inspection found, the last one asked for at `inspected_s`. `asked`: what is under way. `tries`
    failed resumes so far, the last one at `tried_s` with `tried_free_mib` free; before the first one these tell of
    the pause itself. `would`: it was told that haven would resume it, were it not only observed."""

    since_wall_s: float
    seen_s: float
    told: bool = False
    noted_wall_s: float | None = None
    disks: tuple[DiskTrouble, ...] = ()
    inspected_s: float | None = None
    asked: Inspect | Resume | None = None
    tries: int = 0
    tried_s: float = 0.0
    tried_free_mib: int | None = None
    would: bool = False


@dataclass(frozen=True, slots=True)
class VmMemory:
    """One VM, as far as this node knows it.

    `running`: alive when last seen (a VM suspended by a client is not). `as_of_s`: facts read before this
    boottime are older than what is known. `unsure`: an order was cut off, so that nothing is done before it
    was looked at again. `autostarted`: libvirt started it at boot although it should be off.
    `started_after_wall_s`: it was not started before this moment. `down_since_wall_s`: when the open incident
    began. `ending`: the end that the next start answers.
    `restart_at_s`: boottime before which it is not started; `retry_at_s`: the same while a failure of the
    order `retry_uid` was reported that the manager has not read. `tries`: failed starts in a row for the
    order `tries_uid`. `number` counts the orders given, so that each result finds its own. `begun`: the last
    start's number, `begun_s` the boottime of its order; `long_told`: the one that was told to last.
    `blocked_uid`: the hold in which a probe saw the obstacle. `outlived_uid`: the stop's order that the process
    `outlived_by` ran on after, its guest having been asked to go down. `move_ended`: how its last move ended,
    until the manager knows. `suspended_wall_s`: since when a client has suspended one that `restart_on =
    always` takes for running. `unexplained`: an incident whose evidence is still to be read, of the process
    `ended` when it is another one than `instance`; `collecting`: it is being read. `host_before`: the host's
    memory at the last look before it. `claim_mib`: memory reckoned for its last start, at boottime `claimed_s`;
    `short_since_s`: since when there is too little for it. `favoured`: what the kernel was last told of its
    process.
    `lifeless_wall_s`: libvirt calls it alive, but since then at the latest its process is gone.
    `life_s`: it began to run, or anew, in this boottime; before `excused_s` its silence had a reason. `unwell`:
    the checks that were told to fail.
    Of an observed VM: `would`, what was last told that haven would do, and `would_wall_s`, when it would have
    started it. `locked`: the lock that was told; `blocked`: what was last told to wait for it; `stop_again_s`:
    boottime before which no stop or reset is tried, for a job was in its way. `drill`: the drill under way;
    `killing`: the result of its kill is on its way; `drilled_wall_s`: when the last one began.
    `pause`: QEMU paused it for an I/O error, the pause number `pauses` of this life. `resumed_s`: boottime at
    which the pause before ended, after `resumes` tries. `io_told_s`: when a disk's error was last told.
    `unsettled`: it was told that libvirt does not take its autostart or VMID.
    """

    running: bool
    since_wall_s: float
    boot_id: str
    instance: Instance | None = None
    as_of_s: float = 0.0
    unsure: bool = False
    autostarted: bool = False
    trail: tuple[Happening, ...] = ()
    crashes_s: tuple[float, ...] = ()
    started_after_wall_s: float = 0.0
    incident: str | None = None
    down_since_wall_s: float | None = None
    last_cause: Cause | None = None
    ending: Ending | None = None
    intention: Intention | None = None
    restart_at_s: float | None = None
    retry_uid: str = ""
    retry_at_s: float = 0.0
    tries: int = 0
    tries_uid: str = ""
    inflight: Start | Stop | Move | Reset | None = None
    number: int = 0
    begun: int = 0
    begun_s: float = 0.0
    long_told: int = 0
    probed_at_s: float = 0.0
    probing: bool = False
    blocked_uid: str = ""
    outlived_uid: str | None = None
    outlived_by: Instance | None = None
    move_ended: MoveEnded | None = None
    suspended_wall_s: float | None = None
    unexplained: str = ""
    ended: Instance | None = None
    collecting: CollectEvidence | None = None
    host_before: HostFacts | None = None
    claim_mib: int = 0
    claimed_s: float = 0.0
    short_since_s: float | None = None
    favoured: Favour | None = None
    hang: HangState = field(default_factory=HangState)
    lifeless_wall_s: float | None = None
    life_s: float = 0.0
    excused_s: float = 0.0
    unwell: frozenset[str] = frozenset()
    would: str = ""
    would_wall_s: float | None = None
    locked: str = ""
    blocked: str = ""
    stop_again_s: float = 0.0
    drill: Rehearsal | None = None
    killing: bool = False
    drilled_wall_s: float | None = None
    pause: IoPause | None = None
    pauses: int = 0
    resumed_s: float | None = None
    resumes: int = 0
    io_told_s: float | None = None
    unsettled: bool = False

    def with_happening(self, happening: Happening) -> "VmMemory":
        return replace(self, trail=(*self.trail, happening)[-TRAIL_LIMIT:])


@dataclass(frozen=True, slots=True)
class NodeMemory:
    """Everything a node remembers. `results` wait to be read by the manager, by uid; `ended_causes` are
    uids of held services whose trouble has gone. `restored`: what an earlier process wrote was taken over.
    `looked_wall_s`: when the hypervisor last answered. `took_over_s`: boottime at which this process went on
    where an earlier one had last looked, at `taken_over_wall_s`. `state`, `mode`, `idle_rounds` and `since_s`
    (boottime) are the LRM's own (spec 2.2); `shutdown`
    and `stops`: it was asked to end, and stops its VMs before (8.1). `told_once`: what was told and may not be
    written yet (the end of a window). `low` and `boot`: as in the LRM's record. `host`: the host's memory at this
    look; `memory_short`: it was told to be short. `favour_refused`: that the kernel takes no wishes was told."""

    vms: Mapping[str, VmMemory] = field(default_factory=dict)
    results: Mapping[str, Result] = field(default_factory=dict)
    ended_causes: frozenset[str] = frozenset()
    hypervisor_ok: bool = True
    restored: bool = False
    looked_wall_s: float = 0.0
    took_over_s: float | None = None
    taken_over_wall_s: float = 0.0
    state: LrmState = LrmState.WAIT_FOR_AGENT_LOCK
    mode: LrmMode = LrmMode.ACTIVE
    idle_rounds: int = 0
    since_s: float = 0.0
    shutdown: ShutdownKind | None = None
    stops: bool = False
    told_once: frozenset[str] = frozenset()
    host: HostFacts | None = None
    memory_short: bool = False
    favour_refused: bool = False
    low: Mapping[str, str] = field(default_factory=dict)
    boot: BootPhase | None = None


def own_configs(observation: NodeObservation) -> dict[str, ServiceConfig]:
    """The protected VMs of this node by uuid; ignored ones are not haven's business."""
    return {
        config.uuid: config
        for config in observation.view.configs().values()
        if config.node == observation.node and config.wanted is not Wanted.IGNORED
    }


def unreadable_uuids(view: View) -> frozenset[str]:
    """The VMs whose configurations are damaged: by their numbers, for nothing else says which they are."""
    return frozenset(uuid for sid in view.damaged_of("config") if (uuid := view.uuid_of(sid)))


def last_sequence(trail: tuple[Happening, ...]) -> tuple[Happening, ...]:
    """The happenings since it last showed life that belong to the last one."""
    lived = max((number for number, happening in enumerate(trail) if happening.moment in LIFE), default=-1)
    return tuple(
        happening
        for happening in trail[lived + 1 :]
        if trail[-1].boottime_s - happening.boottime_s < SEQUENCE_GAP_S
    )


def end_began_wall_s(sequence: tuple[Happening, ...]) -> float | None:
    """When the end that this sequence tells of began; None when it tells of none."""
    parts = (happening.wall_s for happening in sequence if happening.moment not in NO_PART_OF_AN_END)
    return next(parts, None)


def had(trail: tuple[Happening, ...], *moments: Moment) -> bool:
    return any(happening.moment in moments for happening in trail)


def from_journal(journal: VmJournal, boot_id: str) -> VmMemory:
    """What an earlier LRM process, perhaps of an earlier boot, knew of a VM."""
    return VmMemory(
        running=journal.running,
        since_wall_s=journal.since_wall_s,
        boot_id=journal.boot_id,
        instance=journal.instance,
        started_after_wall_s=journal.since_wall_s,
        crashes_s=journal.crashes_boottime_s if journal.boot_id == boot_id else (),
        incident=journal.incident,
        hang=journal.hang if journal.boot_id == boot_id else HangState(),
        down_since_wall_s=_down_since_wall_s(journal),
        last_cause=journal.last_cause,
        would_wall_s=journal.would_wall_s,
        locked=journal.locked,
        drill=replace(journal.drill, runs_wall_s=None) if journal.drill else None,
        drilled_wall_s=journal.drilled_wall_s,
        pause=_pause(journal),
        pauses=journal.pauses,
        autostarted=journal.autostarted,
        blocked_uid=journal.blocked_uid,
        suspended_wall_s=journal.suspended_wall_s,
        unexplained=journal.unexplained if journal.boot_id == boot_id else "",
        ended=journal.ended,
    )


def _pause(journal: VmJournal) -> IoPause | None:
    if journal.paused_wall_s is not None:
        return IoPause(journal.paused_wall_s, 0.0, told=True)
    noted_s = journal.pause_noted_wall_s
    return None if noted_s is None else IoPause(noted_s, 0.0, noted_wall_s=noted_s)


def _down_since_wall_s(journal: VmJournal) -> float | None:
    if not journal.incident:
        return None
    if journal.paused_wall_s is not None:
        return journal.paused_wall_s
    return journal.hang.since_wall_s if journal.running and journal.hang.since_wall_s else journal.since_wall_s


def to_journal(uuid: str, vm: VmMemory, node: str) -> VmJournal:
    return VmJournal(
        uuid=uuid,
        running=vm.running,
        since_wall_s=vm.since_wall_s,
        boot_id=vm.boot_id,
        instance=vm.instance,
        crashes_boottime_s=vm.crashes_s,
        incident=vm.incident,
        last_cause=vm.last_cause,
        node=node,
        hang=vm.hang,
        would_wall_s=vm.would_wall_s,
        locked=vm.locked,
        drill=vm.drill,
        drilled_wall_s=vm.drilled_wall_s,
        paused_wall_s=vm.pause.since_wall_s if vm.pause and vm.pause.told else None,
        pauses=vm.pauses,
        autostarted=vm.autostarted,
        blocked_uid=vm.blocked_uid,
        suspended_wall_s=vm.suspended_wall_s,
        unexplained=vm.collecting.incident if vm.collecting else vm.unexplained,
        ended=vm.collecting.instance if vm.collecting else vm.ended,
        pause_noted_wall_s=vm.pause.noted_wall_s if vm.pause and not vm.pause.told else None,
    )


def suspended(vm: Vm) -> bool:
    """Paused by a client: off by intention, and never to be destroyed for it."""
    return vm.power is Power.PAUSED and vm.why is Why.USER


def io_paused(vm: Vm) -> bool:
    """Paused by QEMU itself, because a disk could not be read or written."""
    return vm.power is Power.PAUSED and vm.why is Why.IO_ERROR


def occupied(vm: Vm | None) -> bool:
    """Whether there is a QEMU process of it here that runs the guest, or might go on with it."""
    return vm is not None and vm.power not in (Power.OFF, Power.CRASHED)


def being_started(vm: Vm | None) -> bool:
    """libvirt is at it, and it may come to nothing."""
    return vm is not None and vm.power is Power.STARTING


def alive(vm: Vm | None, restart_on: RestartOn | None = None) -> bool:
    """Its QEMU runs and nobody suspended it. On its way down is still alive; one that is only being started is
    not, nor is a preserved panic. With `restart_on = always` a suspended one is, as in Proxmox VE: haven would
    only wake it again."""
    if vm is None or (suspended(vm) and restart_on is not RestartOn.ALWAYS):
        return False
    return vm.power in (Power.RUNNING, Power.PAUSED, Power.STOPPING)
