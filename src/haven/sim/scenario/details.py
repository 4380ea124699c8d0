"""What may be said about a node, a guest or a group, behind the colon of its line."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from haven.core.load import GuestFigures, Load
from haven.core.records import ServiceConfig
from haven.core.words import Wanted
from haven.sim.errors import WordsError
from haven.sim.inputs import DEFAULT_CAPACITY, NodeInput
from haven.sim.scenario.names import Names, shown
from haven.sim.scenario.phrases import Phrase, Phrasebook, retries

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Guest:
    """As it is said to be at the beginning."""

    config: ServiceConfig
    figures: GuestFigures
    running: bool = False


def _capacity(**changes: float) -> Callable[[NodeInput], NodeInput]:
    def change(node: NodeInput) -> NodeInput:
        capacity = replace(node.capacity or DEFAULT_CAPACITY, **changes)
        return replace(node, capacity=_some(capacity, "a node has"))

    return change


def _some(load: Load, has: str) -> Load:
    if not load.cpus or not load.memory_bytes:
        raise WordsError(f"{has} more than that")
    return load


def _node(**changes: Any) -> Callable[[NodeInput], NodeInput]:
    return lambda node: replace(node, **changes)


def _given(**changes: float) -> Callable[[Guest], Guest]:
    def change(guest: Guest) -> Guest:
        given = _some(replace(guest.figures.configured, **changes), "a guest is given")
        return replace(guest, figures=replace(guest.figures, configured=given))

    return change


def _uses(**changes: float) -> Callable[[Guest], Guest]:
    def change(guest: Guest) -> Guest:
        measured = replace(guest.figures.measured, **changes)
        return replace(guest, figures=replace(guest.figures, measured=measured))

    return change


def _config(**changes: Any) -> Callable[[Guest], Guest]:
    return lambda guest: replace(guest, config=replace(guest.config, **changes))


NODE: Phrasebook[Callable[[NodeInput], NodeInput]] = Phrasebook(
    "node",
    (
        Phrase("<cpus> (cpus|cpu)", "how many it has; without it: 24", lambda number, _: _capacity(cpus=number)),
        Phrase("<memory>", "how much it has; without it: 128 GiB", lambda size: _capacity(memory_bytes=size)),
        Phrase("off", "it has no power at first", lambda: _node(power=False)),
        Phrase(
            "no watchdog",
            "nothing resets it: a person has to say that it is off (pacing: fast)",
            lambda: _node(watchdog=False),
        ),
        Phrase("version <version>", "of haven there (pacing: pve)", lambda version: _node(version=version)),
    ),
)

GUEST: Phrasebook[Callable[[Guest], Guest]] = Phrasebook(
    "guest",
    (
        Phrase("<cpus> (cpus|cpu)", "what it is given; without it: 4", lambda number, _: _given(cpus=number)),
        Phrase("<memory>", "what it is given; without it: 4 GiB", lambda size: _given(memory_bytes=size)),
        Phrase(
            "uses <cpus> (cpus|cpu)",
            "what is measured (scheduler dynamic); without it: 2",
            lambda number, _: _uses(cpus=number),
        ),
        Phrase(
            "uses <memory>",
            "what is measured (scheduler dynamic); without it: 2 GiB",
            lambda size: _uses(memory_bytes=size),
        ),
        Phrase("running", "it runs before HA looks", lambda: lambda guest: replace(guest, running=True)),
        Phrase(
            f"({'|'.join(Wanted)})",
            "what is wanted of it; without it: started",
            lambda word: _config(state=Wanted(word)),
        ),
        Phrase(
            "max_restart <retries>",
            "tries on its host; without it: 1",
            lambda text: _config(max_restart=retries("max_restart", text)),
        ),
        Phrase(
            "max_relocate <retries>",
            "tries on other hosts; without it: 1",
            lambda text: _config(max_relocate=retries("max_relocate", text)),
        ),
        Phrase(
            "failback (on|off)",
            "whether it goes home by itself; without it: on",
            lambda word: _config(failback=word == "on"),
        ),
        Phrase("group <group>", "the group that it is in (of older times)", lambda name: _config(group=name)),
    ),
)

GROUP_FLAGS: Mapping[str, str] = {
    "restricted": "its guests run on these nodes only",
    "nofailback": "its guests do not go home by themselves",
}


def said(book: Phrasebook[Callable[[T], T]], thing: T, rest: str) -> T:
    """The thing with all that is said of it, each once. Raises WordsError."""
    before: dict[str, str] = {}
    for text in listed(rest):
        phrase, change = _meant(book, text)
        if phrase.pattern in before:
            raise WordsError(f"{shown(text)}: {shown(before[phrase.pattern])} is said already")
        before[phrase.pattern] = text
        try:
            thing = change(thing)
        except WordsError as error:
            raise WordsError(f"{shown(text)}: {error}") from error
    return thing


def listed(rest: str) -> list[str]:
    return [text.strip() for text in rest.split(",") if text.strip()]


def _meant(book: Phrasebook[T], text: str) -> tuple[Phrase[T], T]:
    for phrase in book.phrases:
        if found := phrase.match(text):
            return phrase, phrase.read(found, Names())
    known = ", ".join(phrase.example for phrase in book.phrases)
    raise WordsError(f"{shown(text)} says nothing about a {book.what} that haven knows; known are {known}")
