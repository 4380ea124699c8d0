"""File systems below protected VMs' images: told before they are full, for then QEMU pauses the VMs."""

from haven.core.host import Space
from haven.core.node.book import Book
from haven.core.sentences import size
from haven.core.words import Kind, Level

MARGIN_PERCENT = 2.0
"""So much more than the limit must be free before it is well again: else it would be told back and forth."""


def watch_spaces(book: Book) -> None:
    """Tell of file systems that got low, and of those that have space again. One that does not answer is left as
    it was; one without images of protected VMs is none of haven's business."""
    for point, space in book.seen.spaces.items():
        sids = _on_it(book, space)
        if not sids:
            _left(book, point)
        elif point in book.low:
            _while_low(book, point, space, sids)
        elif space.free_percent < book.settings.storage_low_percent:
            book.low[point] = low_words(point, space, sids)
            _say(book, Kind.STORAGE_LOW, point, space, sids, book.low[point])
    for point in [point for point in book.low if point not in book.seen.spaces and _none_below(book, point)]:
        _left(book, point)


def _left(book: Book, point: str) -> None:
    if book.low.pop(point, None):
        sentence = f"{point} has no images of protected VMs any more"
        book.say(Kind.STORAGE_OK, None, sentence, "storage", Level.INFO, mount=point)


def _none_below(book: Book, point: str) -> bool:
    """No protected VM has an image there: it was removed, or its disk is elsewhere now."""
    vms, below = book.seen.vms, point.rstrip("/") + "/"
    if vms is None:
        return False
    return not any(image.startswith(below) for uuid in book.configs if uuid in vms for image in vms[uuid].images)


def _while_low(book: Book, point: str, space: Space, sids: tuple[str, ...]) -> None:
    if space.free_percent < book.settings.storage_low_percent + MARGIN_PERCENT:
        book.low[point] = low_words(point, space, sids)
        return
    del book.low[point]
    _say(book, Kind.STORAGE_OK, point, space, sids, f"{_free(point, space)} again, for {', '.join(sids)}")


def _on_it(book: Book, space: Space) -> tuple[str, ...]:
    """Protected VMs with images on it."""
    vms, images = book.seen.vms or {}, set(space.images)
    sids = [config.sid for uuid, config in book.configs.items() if uuid in vms and images & set(vms[uuid].images)]
    return tuple(sorted(sids))


def low_words(point: str, space: Space, sids: tuple[str, ...]) -> str:
    """`/srv has 120 MiB free of 20 GiB (0.6 %); on it: vm:101, vm:102, whose images may still grow by 31 GiB`."""
    growth = f", whose images may still grow by {size(space.growth_mib)}" if space.growth_mib else ""
    return f"{_free(point, space)}; on it: {', '.join(sids)}{growth}"


def _free(point: str, space: Space) -> str:
    return f"{point} has {size(space.free_mib)} free of {size(space.total_mib)} ({space.free_percent:.1f} %)"


def _say(book: Book, kind: Kind, point: str, space: Space, sids: tuple[str, ...], sentence: str) -> None:
    level = Level.WARN if kind is Kind.STORAGE_LOW else Level.INFO
    facts = {"free_mib": space.free_mib, "total_mib": space.total_mib, "growth_mib": space.growth_mib}
    book.say(kind, None, sentence, "storage", level, mount=point, sids=sids, **facts)
