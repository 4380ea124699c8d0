"""Outages that mended themselves in the same QEMU: the guest was reset in place."""

from dataclasses import replace

from haven.core.ending import Ending
from haven.core.hands_off import in_maintenance
from haven.core.hypervisor import Moment
from haven.core.node.book import Book
from haven.core.node.memory import VmMemory, had, last_sequence
from haven.core.records import ServiceConfig
from haven.core.words import Cause, Kind, Level

_ENDINGS = {
    Moment.PANICKED: Ending(Cause.GUEST_PANIC, False, "the guest's kernel panicked"),
    Moment.WATCHDOG_RESET: Ending(Cause.GUEST_WATCHDOG, False, "the guest's own watchdog ran out"),
}


def recovered_in_place(book: Book, config: ServiceConfig, known: VmMemory) -> VmMemory:
    """Tell of it, once the guest was seen to begin anew: an incident that is over when it is told."""
    sequence = last_sequence(known.trail)
    for moment, ending in _ENDINGS.items():
        if had(known.trail, moment) and not had(sequence, moment):
            return replace(_told(book, config, known, ending, moment), trail=sequence)
    if had(known.trail, Moment.WATCHDOG):
        sentence = "the guest's own watchdog ran out; by the VM's definition nothing is done about it"
        book.say(Kind.VM_NOTE, config.sid, sentence, "cause", Level.WARN)
        trail = tuple(happening for happening in known.trail if happening.moment is not Moment.WATCHDOG)
        return replace(known, trail=trail)
    return known


def _told(book: Book, config: ServiceConfig, known: VmMemory, ending: Ending, moment: Moment) -> VmMemory:
    if known.incident:
        return known  # it hung, and this is how its reset came about
    began_s = next(happening.wall_s for happening in known.trail if happening.moment is moment)
    if in_maintenance(book.view, config.sid, book.now, began_s):
        sentence = f"{ending.sentence}, reset in place: in maintenance, so it is only noted"
        book.say(Kind.VM_NOTE, config.sid, sentence, "maintenance", cause=ending.cause)
        return known
    lines = ("libvirt's events: " + ", ".join(happening.moment.value for happening in known.trail),)
    incident = book.say_down(config, known, ending, began_s, lines)
    opened = replace(known, incident=incident, down_since_wall_s=began_s, last_cause=ending.cause)
    book.say_up(config.sid, opened, book.now.wall_s, "reset in place, the same QEMU runs on", restarts=0)
    return replace(opened, incident=None, down_since_wall_s=None, since_wall_s=book.now.wall_s)
