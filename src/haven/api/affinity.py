"""Rules and groups in the forms of Proxmox VE's clients: lists as text, entries, digests, differences."""

import hashlib
import re
from collections.abc import Iterable, Mapping

from haven.api.params import Value, list_words, shown
from haven.core.records import Group, NodeAffinityRule, Rule

NODE_AFFINITY = "node-affinity"
RESOURCE_AFFINITY = "resource-affinity"
_TOLD_CHARACTERS = 300
_NODE = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]{0,254})(?::([0-9]{1,9}))?")


def nodes_format(text: str) -> str | None:
    """A check: `node1:2,node2`, each node once."""
    names: set[str] = set()
    for word in list_words(text):
        found = _NODE.fullmatch(word)
        if found is None:
            return f"invalid format - expected NODE or NODE:PRIORITY, got '{shown(word)}'"
        if found[1] in names:
            return f"invalid format - node '{shown(found[1])}' is named twice"
        names.add(found[1])
    return None


def nodes_of(text: str) -> dict[str, int]:
    """Nodes and their priorities, from a text that `nodes_format` let pass."""
    found = (word.partition(":") for word in list_words(text))
    return {name: int(priority or 0) for name, _, priority in sorted(found)}


def nodes_text(nodes: Mapping[str, int]) -> str:
    """Sorted; priority 0 is not written."""
    return ",".join(f"{name}:{priority}" if priority else name for name, priority in sorted(nodes.items()))


def kind_of(rule: Rule) -> str:
    return NODE_AFFINITY if isinstance(rule, NodeAffinityRule) else RESOURCE_AFFINITY


def rule_options(rule: Rule) -> dict[str, Value]:
    """A rule's properties as the API shows them. `strict` always: clients compare it after they sent 0."""
    options: dict[str, Value] = {"resources": ",".join(sorted(rule.resources))}
    if isinstance(rule, NodeAffinityRule):
        options |= {"nodes": nodes_text(rule.nodes), "strict": int(rule.strict)}
    else:
        options["affinity"] = rule.affinity.value
    if rule.disabled:
        options["disable"] = 1
    return options if rule.comment is None else options | {"comment": rule.comment}


def group_options(group: Group) -> dict[str, Value]:
    """A group's properties as the API shows them: only what was set."""
    options: dict[str, Value] = {"nodes": nodes_text(group.nodes)}
    options |= {name: 1 for name in ("restricted", "nofailback") if getattr(group, name)}
    return options if group.comment is None else options | {"comment": group.comment}


def digest(records: Iterable[tuple[str, Mapping[str, Value]]]) -> str:
    """A fingerprint of a whole configuration, as PVE has one for each file: of every id and its properties."""
    lines = (f"{name} {sorted(options.items())!r}" for name, options in records)
    return hashlib.sha1("\n".join(lines).encode(), usedforsecurity=False).hexdigest()


def rules_digest(rules: Iterable[Rule]) -> str:
    return digest((rule.id, {"type": kind_of(rule), **rule_options(rule)}) for rule in rules)


def difference(before: Mapping[str, Value], after: Mapping[str, Value]) -> str:
    """From what to what: `nodes node1 -> node2, comment x taken out`."""
    parts = []
    for name in dict.fromkeys([*before, *after]):
        old, new = before.get(name), after.get(name)
        if old == new:
            continue
        if new is None:
            parts.append(f"{name} {_told(old)} taken out")
        else:
            parts.append(f"{name} {_told(new)}" if old is None else f"{name} {_told(old)} -> {_told(new)}")
    return ", ".join(parts) or "nothing changed"


def listed(options: Mapping[str, Value]) -> str:
    """All properties in words, for the story of what was there."""
    return ", ".join(f"{name} {_told(value)}" for name, value in options.items())


def _told(value: object) -> str:
    return shown(str(value), _TOLD_CHARACTERS)
