"""A VM that QEMU paused because a disk could not be read or written: told, and resumed when the storage answers.

It is no end: the guest is whole, and goes on where it was. QEMU repeats what failed, so a resume too early does no
harm: the VM pauses again within milliseconds.
"""

from dataclasses import replace

from haven.core.ending import Ending
from haven.core.hands_off import in_maintenance
from haven.core.host import DiskTrouble
from haven.core.hypervisor import Happening
from haven.core.node.book import Book
from haven.core.node.memory import IoPause, VmMemory, last_sequence
from haven.core.order import OrderResult, Resume
from haven.core.records import ServiceConfig
from haven.core.sentences import size
from haven.core.words import Cause, Kind, Level

TELL_WITHIN_S = 2.0
"""So long an incident waits for the inspection that names its disk."""
PAUSES_S = (0.0, 1.0, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
"""Before each try; the last one repeats."""
FULL_MIB = 16
"""A write failed for want of space, and less than this is free: a try makes sense only when there is more."""
FLAPS_WITHIN_S = 60.0
"""Paused again so soon, the tries go on where they were."""

UNKNOWN = "a disk could not be read or written"
RUNS_ON = "runs on where it was"


# What is seen


def paused(book: Book, config: ServiceConfig, known: VmMemory, since_wall_s: float) -> VmMemory:
    """It is paused. The incident is told when its disk is known, or known not to be found out soon; in maintenance
    there is none."""
    now_s = book.now.boottime_s
    pause = known.pause or _begun(known, since_wall_s, now_s)
    if not pause.told and in_maintenance(book.view, config.sid, book.now, pause.since_wall_s):
        return replace(known, pause=_noted(book, config, pause))
    if pause.noted_wall_s is not None and not pause.seen_s:
        pause = _from_now(book, pause)  # noted by an earlier process, and the maintenance ended unseen
    # One that was noted is given the time to run on before it becomes an incident.
    is_known = bool(pause.disks) and pause.noted_wall_s is None
    if not pause.told and (is_known or now_s >= pause.seen_s + TELL_WITHIN_S):
        return _told(book, config, known, pause)
    return replace(known, pause=pause)


def _noted(book: Book, config: ServiceConfig, pause: IoPause) -> IoPause:
    """It counts from the end of the maintenance."""
    if pause.noted_wall_s is None:
        sentence = "paused by QEMU for an I/O error: in maintenance, so it is only noted, and resumed when it ends"
        book.say(Kind.VM_NOTE, config.sid, sentence, "maintenance", cause=Cause.IO_ERROR)
        pause = replace(pause, noted_wall_s=pause.since_wall_s)
    return _from_now(book, pause)


def _from_now(book: Book, pause: IoPause) -> IoPause:
    return replace(pause, since_wall_s=book.now.wall_s, seen_s=book.now.boottime_s)


def _begun(known: VmMemory, since_wall_s: float, now_s: float) -> IoPause:
    flaps = known.resumed_s is not None and now_s - known.resumed_s < FLAPS_WITHIN_S
    tries = known.resumes + 1 if flaps else 0
    return IoPause(since_wall_s, now_s, tries=tries, tried_s=now_s)


def _told(book: Book, config: ServiceConfig, known: VmMemory, pause: IoPause) -> VmMemory:
    words = tuple(map(disk_words, pause.disks))
    ending = Ending(Cause.IO_ERROR, False, f"paused by QEMU, its guest waits: {'; '.join(words) or UNKNOWN}")
    trail = last_sequence(known.trail)
    moments = dict.fromkeys(happening.moment.value for happening in trail)
    events = f"libvirt's events: {', '.join(moments)}" if trail else "no event: found by its state"
    number = known.pauses + 1
    life = replace(known, trail=trail)
    incident = book.say_down(config, life, ending, pause.since_wall_s, (events, *words), f"-io{number}")
    return replace(
        known,
        pause=replace(pause, told=True),
        pauses=number,
        incident=incident,
        down_since_wall_s=pause.since_wall_s,
        last_cause=Cause.IO_ERROR,
    )


def resumed(book: Book, config: ServiceConfig, known: VmMemory) -> VmMemory:
    """It runs on, whoever resumed it."""
    pause = known.pause
    assert pause
    if pause.told and known.incident:
        book.say_up(config.sid, known, book.now.wall_s, RUNS_ON, restarts=0)
    elif pause.noted_wall_s is not None:
        book.say(Kind.VM_NOTE, config.sid, RUNS_ON, "maintenance")
    return replace(_over(known), resumed_s=book.now.boottime_s, resumes=pause.tries)


def pause_cut_short(book: Book, config: ServiceConfig, known: VmMemory) -> VmMemory:
    """It ended while it was paused: what follows is another incident."""
    if known.pause is None:
        return known
    if known.pause.told and known.incident:
        book.close_incident(config.sid, known.incident, "it ended while it was paused")
    return _over(known)


def _over(known: VmMemory) -> VmMemory:
    if known.pause and known.pause.told:
        return replace(known, pause=None, incident=None, down_since_wall_s=None)
    return replace(known, pause=None)


def error_reported(book: Book, happening: Happening) -> None:
    """A disk's error that went to the guest, or was ignored. They come by the hundred: told once in a while."""
    vm, config = book.vms.get(happening.uuid), book.configs.get(happening.uuid)
    now_s = book.now.boottime_s
    if vm is None or config is None:
        return
    if vm.io_told_s is None or now_s - vm.io_told_s >= book.settings.brake_window_s:
        book.say(Kind.VM_IO_ERROR, config.sid, f"{happening.detail}; it runs on", "storage", Level.WARN)
        book.vms[happening.uuid] = replace(vm, io_told_s=now_s)


# What came of orders


def inspected(vm: VmMemory, result: OrderResult) -> VmMemory:
    """What was found; nothing when it could not be found out."""
    if vm.pause is None:
        return vm
    pause = replace(vm.pause, asked=None, disks=result.disks if result.ok else vm.pause.disks)
    if pause.tried_free_mib is None:
        pause = replace(pause, tried_free_mib=free_mib(pause))
    return replace(vm, pause=pause)


def resume_ended(book: Book, order: Resume, vm: VmMemory, result: OrderResult) -> VmMemory:
    """Success is left to the look at its state that follows."""
    pause = vm.pause
    if pause is None:
        return vm
    vm = replace(vm, as_of_s=result.ended_boottime_s)
    pause = replace(pause, asked=None, tried_s=book.now.boottime_s, tried_free_mib=free_mib(pause))
    if not result.ok:
        if pause.tries == 0 and pause.told:
            why = result.obstacle.detail if result.obstacle else "libvirt did not answer"
            sentence = f"cannot go on yet: {why}; haven tries again"
            book.say(Kind.VM_IO_ERROR, order.sid, sentence, "storage", Level.WARN, incident=vm.incident)
        pause = replace(pause, tries=pause.tries + 1)
    return replace(vm, pause=pause)


# What follows from it


def is_full(pause: IoPause) -> bool:
    """A write failed for want of space, and there is none below that disk."""
    return any(disk.no_space and disk.space and disk.space.free_mib < FULL_MIB for disk in pause.disks)


def free_mib(pause: IoPause) -> int | None:
    """What is free below the fullest of its disks with an error; None when nothing is known of it."""
    return min((disk.space.free_mib for disk in pause.disks if disk.space), default=None)


def try_at_s(pause: IoPause) -> float:
    """When it is resumed at the latest (boottime). On a full file system that is at once when more is free than at
    the last try, and rarely otherwise."""
    if not is_full(pause):
        return pause.tried_s + PAUSES_S[min(pause.tries, len(PAUSES_S) - 1)]
    free, before = free_mib(pause), pause.tried_free_mib
    has_more = free is not None and before is not None and free > before
    return 0.0 if has_more else pause.tried_s + PAUSES_S[-1]


def disk_words(disk: DiskTrouble) -> str:
    """`vda: /srv/a.qcow2, 0 MiB free of 20 GiB`."""
    named = f"{disk.target}: {disk.source}" if disk.source else disk.target
    if disk.space is None:
        return f"{named} (no space left)" if disk.no_space else named
    return f"{named}, {size(disk.space.free_mib)} free of {size(disk.space.total_mib)}"


def words(pause: IoPause) -> str:
    """Why it is paused, for people."""
    return f"paused by QEMU (io-error): {'; '.join(map(disk_words, pause.disks)) or UNKNOWN}"
