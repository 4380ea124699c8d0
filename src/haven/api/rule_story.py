"""The rules that bind one VM, in sentences: written, following from others, dropped, switched off."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from haven.api.affinity import kind_of
from haven.api.members import recorded_nodes
from haven.api.rule_judge import compiled, rules_in_force, sentence
from haven.core.records import NodeAffinityRule, ResourceAffinityRule, Rule
from haven.core.rules.compile import Compilation
from haven.core.rules.groups import GROUP_RULE_PREFIX
from haven.core.rules.index import PositiveGroup, index_rules
from haven.core.view import View
from haven.core.words import Affinity

Entry = dict[str, object]


@dataclass(frozen=True, slots=True)
class _Seen:
    """The rules as people wrote them, and as the manager uses them."""

    sid: str
    written: dict[str, Rule]
    compilation: Compilation
    nodes: frozenset[str]

    @property
    def used(self) -> list[Rule]:
        """The written rules that are in force."""
        dropped = {one.rule_id for one in self.compilation.dropped}
        return [rule for name, rule in self.written.items() if name not in dropped and not rule.disabled]


def binding_rules(own: str, view: View, sid: str) -> list[Entry]:
    """What the rules mean for this VM, one entry a rule; those out of force last."""
    written = {rule.id: rule for rule in rules_in_force(view)}
    seen = _Seen(sid, written, compiled(own, view), recorded_nodes(own, view))
    return [*_homes(seen), *_together(seen), *_apart(seen), *_dropped(seen), *_disabled(seen)]


def _homes(seen: _Seen) -> Iterator[Entry]:
    """Node affinity, its own and that of those it stays together with."""
    for rule in seen.compilation.after:
        if isinstance(rule, NodeAffinityRule) and not rule.disabled and seen.sid in rule.resources:
            yield _entry(rule, f"{_home(rule)} ({_source(rule)}){_drawn_in(seen, rule)}")


def _home(rule: NodeAffinityRule) -> str:
    where = _preference(rule)
    if rule.strict:
        return f"runs only on {where}, and waits when it cannot"
    return f"runs on {where} when it can, and elsewhere when it cannot"


def _preference(rule: NodeAffinityRule) -> str:
    """`beta or gamma`, `beta, else gamma`: by priority, the highest first."""
    priorities = sorted(set(rule.nodes.values()), reverse=True)
    return ", else ".join(
        " or ".join(sorted(name for name, priority in rule.nodes.items() if priority == level))
        for level in priorities
    )


def _source(rule: Rule) -> str:
    if rule.id.startswith(GROUP_RULE_PREFIX):
        return f"group {rule.id.removeprefix(GROUP_RULE_PREFIX)}"
    return f"rule {rule.id}, strict" if isinstance(rule, NodeAffinityRule) and rule.strict else f"rule {rule.id}"


def _drawn_in(seen: _Seen, rule: NodeAffinityRule) -> str:
    """Why a rule binds a VM that it does not name: those it stays together with are named (6.3 step 3)."""
    named = set(seen.written[rule.id].resources)
    if seen.sid in named:
        return ""
    group = next(group for group in _groups(seen) if group.resources & named)
    partners = _list(sorted(group.resources & named))
    return f", because it is kept together with {partners} ({_names(group.rules)})"


def _together(seen: _Seen) -> Iterator[Entry]:
    for group in _groups(seen):
        partners = _list(sorted(group.resources - {seen.sid}))
        connected = ", which are connected" if len(group.rules) > 1 else ""
        yield _entry(group.rules[0], f"kept together with {partners} ({_names(group.rules)}{connected})")


def _groups(seen: _Seen) -> list[PositiveGroup]:
    """The VMs that it stays together with, by connected rules."""
    return [group for group in index_rules(seen.used).groups if seen.sid in group.resources]


def _apart(seen: _Seen) -> Iterator[Entry]:
    for rule in seen.compilation.after:
        if not isinstance(rule, ResourceAffinityRule) or rule.disabled or seen.sid not in rule.resources:
            continue
        if rule.affinity is Affinity.NEGATIVE:
            others = _list(sorted(set(rule.resources) - {seen.sid}))
            source = f"(rule {rule.id})" if rule.id in seen.written else _implied(seen, rule)
            yield _entry(rule, f"kept apart from {others} {source}", implied=rule.id not in seen.written)


def _implied(seen: _Seen, rule: ResourceAffinityRule) -> str:
    """Where a rule that nobody wrote comes from (6.3 step 2)."""
    one, other, group, written = next(_origins(seen, rule))
    through = _list(sorted(group.resources & set(written.resources)))
    return (
        f"(follows from the rules: {one} is kept together with {through} by {_names(group.rules)},"
        f" and {through} apart from {other} by rule {written.id})"
    )


def _origins(
    seen: _Seen, rule: ResourceAffinityRule
) -> Iterator[tuple[str, str, PositiveGroup, ResourceAffinityRule]]:
    """`one` is in the group, `other` is not, and a written rule keeps it apart from somebody of the group."""
    index = index_rules(seen.used)
    for one, other in (rule.resources, rule.resources[::-1]):
        for group in index.groups:
            if one in group.resources and other not in group.resources:
                for written in index.negative:
                    if other in written.resources and group.resources & set(written.resources):
                        yield one, other, group, written


def _dropped(seen: _Seen) -> Iterator[Entry]:
    reports: dict[str, list[str]] = {}
    for one in seen.compilation.dropped:
        rule = seen.written[one.rule_id]
        if seen.sid in rule.resources:
            reports.setdefault(rule.id, []).append(sentence(one, rule, seen.nodes))
    for name, texts in reports.items():
        why = "; ".join(dict.fromkeys(texts))
        yield _entry(seen.written[name], f"rule {name} is not used: {why}", in_force=False)


def _disabled(seen: _Seen) -> Iterator[Entry]:
    for rule in seen.written.values():
        if rule.disabled and seen.sid in rule.resources:
            yield _entry(rule, f"rule {rule.id} is switched off", in_force=False)


def _entry(rule: Rule, text: str, *, in_force: bool = True, implied: bool = False) -> Entry:
    entry: Entry = {"rule": rule.id, "type": kind_of(rule), "in_force": int(in_force), "implied": int(implied)}
    return entry | {"sentence": text}


def _names(rules: Iterable[Rule]) -> str:
    names = [rule.id for rule in rules]
    return f"rule {names[0]}" if len(names) == 1 else f"rules {_list(names)}"


def _list(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
