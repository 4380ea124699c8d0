"""Observing a VM: protected in words only."""

from dataclasses import replace

from haven.core.event import Event
from haven.core.records import Origin, ServiceConfig
from haven.core.sentences import by
from haven.core.transaction import Put
from haven.core.view import View
from haven.core.words import Kind, Wanted
from haven.ops.deeds import Deed


def observe(view: View, config: ServiceConfig, origin: Origin) -> Deed:
    """`config` is what it gets when it is not protected yet."""
    sid = config.sid
    if view.care(sid).observe:
        return Deed((), (), f"{sid} is observed already")
    sentence = (
        f"{sid} is only observed: haven tells what it would have done, and does nothing;"
        f" to have it done: haven protect {sid}"
    )
    return _changed(view, config, origin, sentence, "observed", observe=True)


def protect(view: View, config: ServiceConfig, origin: Origin) -> Deed:
    """From words to deeds; a VM that is not protected yet is."""
    sid = config.sid
    known = view.configs().get(sid)
    if known and not view.care(sid).observe and known.wanted is not Wanted.IGNORED:
        return Deed((), (), f"{sid} is protected already, wanted {known.wanted.value}")
    wanted = _taken_in(known, origin).wanted if known else config.wanted
    return _changed(view, config, origin, f"{sid} is protected, wanted {wanted.value}", "protected", observe=False)


def _changed(
    view: View, config: ServiceConfig, origin: Origin, sentence: str, word: str, *, observe: bool
) -> Deed:
    sid, care = config.sid, view.care(config.sid)
    writes = [Put(f"care/{sid}", replace(care, observe=observe))]
    known = view.configs().get(sid)
    if known is None:
        writes.append(Put(f"config/{sid}", config))
    elif (after := _taken_in(known, origin)) != known:
        writes.append(Put(f"config/{sid}", after))
    before = "observed" if care.observe else "protected" if known else "not protected"
    told = f"{before} -> {word}{by(origin)}"
    fields = {"who": origin.who, "via": origin.via, "from": before, "to": word}
    return Deed(tuple(writes), (Event(Kind.CONFIG_CHANGED, told, sid, fields=fields),), sentence)


def _taken_in(known: ServiceConfig, origin: Origin) -> ServiceConfig:
    """One that was ignored is to run from now on."""
    return replace(known, state=Wanted.STARTED, origin=origin) if known.wanted is Wanted.IGNORED else known
