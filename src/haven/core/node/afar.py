"""What happens to a VM while haven keeps its hands off it: noted, and never answered."""

from dataclasses import replace

from haven.core.ending import Ending
from haven.core.hands_off import OBSERVED, in_maintenance
from haven.core.node.book import Book
from haven.core.node.memory import VmMemory
from haven.core.records import ServiceConfig
from haven.core.sentences import duration
from haven.core.words import Cause, Kind, Wanted


def ended_in_maintenance(book: Book, config: ServiceConfig, down: VmMemory, ending: Ending) -> bool:
    """True: it ended in a window. Neither an incident nor an intention: what was wanted stays wanted. But one that
    was migrated away is not to be started when the window ends: it runs elsewhere."""
    if ending.elsewhere or not in_maintenance(book.view, config.sid, book.now, down.since_wall_s):
        return False
    after = "started when it ends" if config.wanted is Wanted.STARTED else "left off"
    what = "stopped" if ending.cause is Cause.STOPPED_BY_HAVEN else ending.sentence
    sentence = f"{what}: in maintenance, so it is only noted, and {after}"
    book.say(Kind.VM_NOTE, config.sid, sentence, "maintenance", cause=ending.cause)
    book.vms[config.uuid] = replace(down, ending=Ending(ending.cause, False, "its maintenance is over"))
    return True


def restarted_in_maintenance(book: Book, config: ServiceConfig, known: VmMemory) -> bool:
    """True: it is another process than before, and that is its maintenance's business."""
    if not in_maintenance(book.view, config.sid, book.now, book.looked_wall_s):
        return False
    restarted_by_somebody(book, config, known, "ended and started again in its maintenance", "maintenance")
    return True


def restarted_by_somebody(book: Book, config: ServiceConfig, known: VmMemory, how: str, rule: str) -> None:
    """Another QEMU than before, by a person's doing. That ends an incident that was open: what it was about is
    gone."""
    if known.incident:
        book.say_up(config.sid, known, book.now.wall_s, f"runs again: {how}", restarts=0)
    else:
        book.say(Kind.VM_NOTE, config.sid, how, rule)


def is_observed(book: Book, config: ServiceConfig) -> bool:
    return book.view.care(config.sid).observe


def observed_up(book: Book, config: ServiceConfig, known: VmMemory) -> bool:
    """True: somebody else ended an outage that haven only watched, and it is told what haven would have done."""
    if known.would_wall_s is None or not known.incident:
        return False
    late_s = max(0.0, book.now.wall_s - known.would_wall_s)
    sentence = f"started by somebody; haven would have had it back {duration(late_s)} earlier"
    line = f"{OBSERVED}{sentence}"
    book.say(Kind.VM_EVIDENCE, config.sid, line, "observe", incident=known.incident, lines=(line,))
    book.say_up(config.sid, known, book.now.wall_s, sentence, restarts=0)
    return True
