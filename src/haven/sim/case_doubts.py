"""What a case may say (spec 10.1), and which is likely a slip all the same: told, and the run goes on.

The spec says what becomes of a group that does not exist (R-6.10) and of a command to a node that does not (7.1),
and cases carry words of older versions. A word that is nearly one of the known is no such thing: it is refused.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from haven.sim.case_values import Entry, WrongError, items, mapping, part
from haven.sim.fields import short


@dataclass(frozen=True, slots=True)
class Doubt:
    """`names` are the words to look for in the text, the nearest last."""

    what: str
    names: tuple[str, ...]


_NODE = frozenset({"power", "network", "maxcpu", "maxmem", "pve-manager-version"})
_SERVICE = frozenset({"node", "state", "max_restart", "max_relocate", "failback", "group", "comment", "type"})
_RULE = frozenset({"id", "type", "resources", "nodes", "strict", "affinity", "disable", "comment"})
_GROUP = frozenset({"id", "type", "nodes", "restricted", "nofailback", "comment"})
_CLUSTER = frozenset({"ha", "crs", "max_workers"})
_HA = frozenset({"shutdown_policy"})
_CRS = frozenset(
    {
        "ha",
        "ha-rebalance-on-start",
        "ha-auto-rebalance",
        "ha-auto-rebalance-threshold",
        "ha-auto-rebalance-method",
        "ha-auto-rebalance-hold-duration",
        "ha-auto-rebalance-margin",
    }
)
_FIGURES = {
    "static_service_stats": frozenset({"maxcpu", "maxmem"}),
    "dynamic_service_stats": frozenset({"cpu", "mem"}),
}


def doubts(inputs: Entry) -> Iterator[Doubt]:
    """Of inputs that can be read. Raises WrongError for a word that is nearly a known one."""
    for name, entry in part(inputs, "hardware_status").items():
        yield from _strange(entry, _NODE, name, "hardware_status", name)
    for sid, entry in part(inputs, "service_config").items():
        yield from _strange(entry, _SERVICE, f"service {sid}", "service_config", sid)
    for place, known in (("rules_config", _RULE), ("groups", _GROUP)):
        for entry in items(inputs, place):
            yield from _strange(entry, known, f"{place} {entry.get('id')}", place, str(entry.get("id")))
    yield from _of_options(part(inputs, "datacenter_cfg"))
    yield from _of_groups(inputs)
    yield from _of_figures(inputs)
    yield from _of_commands(inputs)


def _strange(given: Entry, known: Collection[str], what: str, *names: str) -> Iterator[Doubt]:
    """Words that are not known."""
    for key in given:
        if key not in known:
            _refuse_slip(key, known, what, *names)
            yield Doubt(f"{what}: {short(key)} means nothing here and is left out", (*names, key))


def _refuse_slip(key: str, known: Collection[str], what: str, *names: str) -> None:
    from difflib import get_close_matches  # most cases need none of it

    if near := get_close_matches(key, known, n=1, cutoff=0.75):
        raise WrongError(f"{what}: {short(key)} is not known; did you mean {near[0]}?", *names, key)


def _of_options(given: Entry) -> Iterator[Doubt]:
    yield from _strange(given, _CLUSTER, "datacenter_cfg", "datacenter_cfg")
    for name, known in (("ha", _HA), ("crs", _CRS)):
        yield from _strange(mapping(given.get(name) or {}, name), known, name, "datacenter_cfg", name)


def _of_groups(inputs: Entry) -> Iterator[Doubt]:
    there = {entry.get("id") for entry in items(inputs, "groups")}
    for sid, entry in part(inputs, "service_config").items():
        group = entry.get("group")
        if group is not None and group not in there:
            yield Doubt(f"service {sid}: group {short(group)} does not exist", ("service_config", sid, group))


def _of_figures(inputs: Entry) -> Iterator[Doubt]:
    there = part(inputs, "service_config").keys() | {words[1] for words in _services(inputs) if words[2] == "add"}
    for place, known in _FIGURES.items():
        for sid, entry in part(inputs, place).items():
            if sid not in there:
                yield Doubt(f"{place}: service {short(sid)} does not exist", (place, sid))
            yield from _strange(mapping(entry or {}, sid), known, f"{place} {sid}", place, sid)


def _of_commands(inputs: Entry) -> Iterator[Doubt]:
    nodes = part(inputs, "hardware_status")
    for words in _services(inputs):
        if words[2] in ("migrate", "relocate") and words[3:] and words[3] not in nodes:
            line = " ".join(words)
            yield Doubt(f"{line!r}: node {words[3]!r} does not exist; the manager refuses it", ("cmdlist", line))


def _services(inputs: Entry) -> Iterator[list[str]]:
    """The words of commands about services."""
    for lines in inputs.get("cmdlist", []):
        for words in (str(line).split() for line in lines):
            if words[:1] == ["service"] and len(words) > 2:
                yield words
