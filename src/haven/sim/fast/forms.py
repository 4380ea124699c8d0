"""How the lines of a plan in fast pacing are written, and what is wrong with one. lines.py says what they mean."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from haven.core.words import DisarmMode, Wanted
from haven.sim.commands import VERSION
from haven.sim.errors import WordsError
from haven.sim.fast.damage import BY_NODE, BY_SID, BY_UUID
from haven.sim.fast.lines import MOMENTS, POINTS
from haven.sim.scenario.names import hint
from haven.sim.scenario.options import checked_option


def _or(words: Iterable[str]) -> str:
    return "|".join(words)


_KINDS = {
    "SECONDS": r"[0-9]{1,7}(\.[0-9]{1,12})?",
    "SHIFT": r"-?[0-9]{1,9}(\.[0-9]{1,12})?",
    "AMOUNT": r"[0-9]{1,15}(\.[0-9]{1,12})?",
    "FACTOR": r"[1-9][0-9]{0,3}(\.[0-9]{1,12})?",
    "SHARE": r"0(\.[0-9]{1,12})?|1(\.0{1,12})?",
    "TIMES": r"[0-9]{1,9}",
    "RETRIES": r"[0-9]|10",
    "VERSION": rf"{VERSION}\S*",
}
"""What a word in capitals may be; all others are names. SHIFT may be negative, SHARE is from 0 to 1."""

FORMS: Mapping[str, tuple[str, ...]] = {
    "power": ("NODE off [SECONDS]", "NODE on|gone"),
    "network": ("NODE off [SECONDS]", "NODE on"),
    "partition": ("NODE,... SECONDS",),
    "reboot": ("NODE",),
    "shutdown": ("NODE [SECONDS]",),
    "restart-lrm": ("NODE",),
    "kill": ("NODE lrm|crm SECONDS",),
    "cut": (f"NODE lrm|crm {_or(POINTS)} SECONDS",),
    "freeze": ("NODE lrm|crm|host SECONDS",),
    "stall": (f"NODE lrm|crm {_or(MOMENTS)} SECONDS",),
    "clock": ("NODE SHIFT",),
    "store": ("off|full SECONDS", "slow SECONDS SECONDS", "lossy SHARE SECONDS"),
    "link": ("NODE slow|lag SECONDS SECONDS", "NODE lossy SHARE SECONDS"),
    "libvirtd": ("NODE off SECONDS", "NODE slow FACTOR SECONDS"),
    "guest": (
        "SID crash|panic|power-off|destroy|suspend|stubborn|obedient",
        "SID start|bar NODE",
        "SID fail start TIMES [NODE]",
        "SID fail move|stop TIMES",
        "SID disk gone|back",
        "SID unsure source|target",
    ),
    "repeat": ("NODE",),
    "deaf": ("NODE",),
    "service": (
        f"SID {_or(Wanted)}|delete",
        "SID migrate|relocate NODE",
        "SID stop TIMES",
        f"SID add NODE [{_or(Wanted)}]",
        "SID set-static-stats maxcpu|maxmem AMOUNT [maxcpu|maxmem AMOUNT]",
        "SID set-dynamic-stats cpu|mem AMOUNT [cpu|mem AMOUNT]",
    ),
    "config": ("SID max_restart|max_relocate RETRIES", "SID failback on|off"),
    "crm": (
        "NODE enable-node-maintenance|disable-node-maintenance|arm-ha|stop|start",
        f"NODE disarm-ha {_or(DisarmMode)}",
    ),
    "rule": ("RULE remove|disable|enable",),
    "options": ("OPTION VALUE",),
    "fence-confirm": ("NODE",),
    "maintain": ("SID SECONDS", "SID end"),
    "lock": ("SID SECONDS", "SID end"),
    "damage": (f"SID {_or((*BY_SID, *BY_UUID))} SECONDS", f"NODE {_or(BY_NODE)} SECONDS"),
    "cfs": ("NODE rw fail|work",),
    "pve-manager-version": ("NODE set VERSION",),
}
"""By its first word, each way to go on. Small words are said as they are, | is or, [] may be left out."""


@dataclass(frozen=True, slots=True)
class There:
    """What the lines of a plan may name."""

    nodes: Collection[str]
    guests: Collection[str]
    rules: Collection[str]


def check(words: list[str], there: There) -> None:
    """A whole line. Raises WordsError."""
    verb, rest = words[0], words[1:]
    if verb not in FORMS:
        raise WordsError(f"event {verb!r} does not exist; {hint(verb, sorted(FORMS), 'there are')}")
    form = next((form for form in FORMS[verb] if _fits(form, rest)), None)
    if form is None:
        raise WordsError(f"expected {verb} {f', or {verb} '.join(FORMS[verb])}")
    for kind, word in zip(_plain(form), rest, strict=False):
        _check_name(kind, word, there)
    if verb == "options":
        checked_option(*rest)


def _plain(form: str) -> list[str]:
    return form.replace("[", "").replace("]", "").split()


def _fits(form: str, words: list[str]) -> bool:
    """Whether it is written so, whatever it names."""
    kinds, least = _plain(form), len(form.partition("[")[0].split())
    right_length = len(words) in (least, len(kinds))
    return right_length and all(map(_is, kinds, words))


def _is(kind: str, word: str) -> bool:
    if kind.isupper() or kind == "NODE,...":
        return re.fullmatch(_KINDS.get(kind, r"\S+"), word) is not None
    return word in kind.split("|")


def _check_name(kind: str, word: str, there: There) -> None:
    match kind:
        case "NODE" | "NODE,...":
            for name in word.split(",") if kind != "NODE" else [word]:
                known(name, there.nodes, "node")
        case "SID":
            known(word, there.guests, "guest")
        case "RULE":
            known(word, there.rules, "rule")


def known(name: str, names: Collection[str], what: str) -> None:
    """Raises WordsError when it is none of them."""
    if name not in names:
        raise WordsError(f"{what} {name!r} does not exist; {hint(name, list(names), 'there are')}")
