"""`/cluster/ha/rules`: which VMs stay together, apart, or at home (api-surface 4)."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from haven.api.affinity import (
    NODE_AFFINITY,
    RESOURCE_AFFINITY,
    difference,
    kind_of,
    listed,
    nodes_format,
    nodes_of,
    rule_options,
    rules_digest,
)
from haven.api.changes import Change, make_change, told
from haven.api.errors import RefusedError, bad_parameters, failed
from haven.api.ha_resources import CHANGES, SID, check_digest
from haven.api.members import missing_nodes
from haven.api.params import MISSING, Parameter, Params, list_words, one_line, shown
from haven.api.routes import Call, Route
from haven.api.rule_judge import refusal, troubles
from haven.api.state import State
from haven.api.vms import known_sid
from haven.core.records import NodeAffinityRule, ResourceAffinityRule, Rule
from haven.core.transaction import Delete, Put
from haven.core.view import View
from haven.core.words import Affinity

TYPES = (NODE_AFFINITY, RESOURCE_AFFINITY)
_ONLY = {NODE_AFFINITY: ("nodes", "strict"), RESOURCE_AFFINITY: ("affinity",)}
_REQUIRED = {NODE_AFFINITY: "nodes", RESOURCE_AFFINITY: "affinity"}
_DELETABLE = {"comment": None, "disable": False, "strict": False}
_FIELDS = {"disable": "disabled"}


def index(call: Call) -> object:
    view, params = call.state.view(), call.params
    rules = view.rules()
    if params.given("type"):
        rules = tuple(rule for rule in rules if kind_of(rule) == params.text("type"))
    if params.given("resource"):
        sid = known_sid(call.state, params.text("resource"))
        rules = tuple(rule for rule in rules if sid in rule.resources)
    return _entries(call.state, view, rules)


def read(call: Call) -> object:
    view, name = call.state.view(), call.params.text("rule")
    [entry] = _entries(call.state, view, (_rule(view, name, f"no such ha rule '{shown(name)}'"),))
    return entry


def create(call: Call) -> None:
    params, name = call.params, call.params.text("rule")
    kind = params.text("type")
    _check_properties(params, kind)
    if not params.given(needed := _REQUIRED[kind]):
        raise bad_parameters({needed: MISSING})

    def plan(view: View) -> Change:
        if f"rule/{name}" in view.entries:
            raise failed(f"HA rule '{name}' already defined")
        order = max((rule.order for rule in view.rules()), default=0) + 1
        rule = _new(kind, name, order, _given(call.state, params))
        _check(call.state, view, rule)
        text = f"rule {name} added: {kind}, {listed(rule_options(rule))}"
        return _change(call, view, rule, text)

    try:
        _judged(call, plan)
    except RefusedError as problem:
        if problem.status != 500:
            raise
        raise failed(f"create ha rule failed: {problem.text}") from problem


def update(call: Call) -> None:
    """Change properties. In PVE `disable=0` is thrown away; here it enables the rule (a deviation)."""
    params, name = call.params, call.params.text("rule")
    deleted = _deleted(params)

    def plan(view: View) -> Change:
        before = _rule(view, name, f"HA rule '{shown(name)}' does not exist")
        _check_type(params, kind_of(before))
        check_digest(params, rules_digest(view.rules()))
        after = replace(before, **(deleted | _given(call.state, params)))
        _check(call.state, view, after, before)
        text = f"rule {name} changed: {difference(rule_options(before), rule_options(after))}"
        return _change(call, view, after, text)

    _judged(call, plan)


def delete(call: Call) -> None:
    """A rule that is not there is as good as taken out."""
    name = call.params.text("rule")

    def plan(view: View) -> Change:
        rule = next((rule for rule in view.rules() if rule.id == name), None)
        if rule is None:
            return Change(())
        text = f"rule {name} taken out: it was {kind_of(rule)}, {listed(rule_options(rule))}"
        return Change((Delete(f"rule/{name}"),), (told(call.identity, text, rule=name),))

    make_change(call.state, plan)


def _entries(state: State, view: View, rules: tuple[Rule, ...]) -> list[dict[str, object]]:
    found = troubles(state.node, view)
    mark = rules_digest(view.rules())
    return [_entry(rule, mark, found.get(rule.id)) for rule in rules]


def _entry(rule: Rule, mark: str, errors: dict[str, list[str]] | None) -> dict[str, object]:
    entry: dict[str, object] = {"rule": rule.id, "type": kind_of(rule), "order": rule.order, "digest": mark}
    entry |= rule_options(rule)
    return entry | {"errors": errors} if errors else entry


def _rule(view: View, name: str, missing: str) -> Rule:
    entry = view.entries.get(f"rule/{name}")
    if entry is None or not isinstance(entry.record, NodeAffinityRule | ResourceAffinityRule):
        raise failed(missing)
    return entry.record


def _new(kind: str, name: str, order: int, values: dict[str, Any]) -> Rule:
    if kind == NODE_AFFINITY:
        return NodeAffinityRule(id=name, order=order, **values)
    return ResourceAffinityRule(id=name, order=order, **values)


def _given(state: State, params: Params) -> dict[str, Any]:
    """The given properties as fields of a rule. Raises RefusedError for a bare number that no VM has."""
    names = ("strict", "disable", "comment")
    values: dict[str, Any] = {_FIELDS.get(name, name): params.values[name] for name in names if params.given(name)}
    if params.given("resources"):
        values["resources"] = tuple(sorted({known_sid(state, word) for word in params.words("resources")}))
    if params.given("nodes"):
        values["nodes"] = nodes_of(params.text("nodes"))
    if params.given("affinity"):
        values["affinity"] = Affinity(params.text("affinity"))
    return values


def _check_properties(params: Params, kind: str) -> None:
    """Nothing of the other type's."""
    alien = [name for other in TYPES if other != kind for name in _ONLY[other] if params.given(name)]
    if alien:
        raise bad_parameters(dict.fromkeys(alien, f"property is not defined for rules of type '{kind}'"))


def _check_type(params: Params, kind: str) -> None:
    if params.text("type") != kind:
        raise bad_parameters({"type": f"value '{params.text('type')}' is not the rule's type, which is '{kind}'"})
    _check_properties(params, kind)
    if "strict" in params.words("delete") and kind != NODE_AFFINITY:
        raise failed("no such option 'strict'")


def _check(state: State, view: View, rule: Rule, before: Rule | None = None) -> None:
    """Raises RefusedError when the rule names nothing, or what is not there, or contradicts others.

    What it named before may have gone since: that must not keep anybody from switching it off.
    """
    if view.groups():
        raise failed("ha groups have not been migrated to rules yet: rules can be changed when they are")
    if not rule.resources:
        raise failed("no resources were specified")
    if unmanaged := sorted(set(rule.resources) - set(before.resources if before else ()) - set(view.configs())):
        raise failed(f"cannot use unmanaged resource(s) {shown(', '.join(unmanaged))}")
    if isinstance(rule, NodeAffinityRule):
        if not rule.nodes:
            raise failed("no nodes were specified")
        known = before.nodes if isinstance(before, NodeAffinityRule) else {}
        if absent := missing_nodes(state.node, view, set(rule.nodes) - set(known)):
            raise failed(f"cannot use non-existent node(s) {shown(', '.join(absent))}")
    if problem := refusal(state.node, view, rule):
        raise problem


def _change(call: Call, view: View, rule: Rule, text: str) -> Change:
    """Guarded by all that the rule was judged by: the other rules, and the services it names."""
    relies_on = (*(f"rule/{other.id}" for other in view.rules()), *(f"config/{sid}" for sid in rule.resources))
    line = told(call.identity, text, rule=rule.id, resources=rule.resources)
    return Change((Put(f"rule/{rule.id}", rule),), (line,), relies_on)


def _judged(call: Call, plan: Callable[[View], Change]) -> None:
    with call.state.judging:
        make_change(call.state, plan)


def _deleted(params: Params) -> dict[str, Any]:
    """The fields that `delete` puts back to their defaults."""
    names = params.words("delete")
    for name in names:
        if name in ("resources", "nodes", "affinity"):
            raise failed(f"unable to delete required option '{name}'")
        if name not in _DELETABLE:
            raise failed(f"no such option '{shown(name)}'")
        if params.given(name) and (name != "disable" or params.flag(name)):  # disable=0 says the same
            raise failed(f"cannot set and delete property '{name}' at the same time")
    return {_FIELDS.get(name, name): _DELETABLE[name] for name in names}


def _rule_format(text: str) -> str | None:
    if re.fullmatch(r"[a-zA-Z][a-zA-Z0-9_-]+", text):
        return None
    return "invalid format - expected a letter, then letters, digits, '_' or '-'; at least 2 characters"


def _resources_format(text: str) -> str | None:
    """A check: each word is a resource."""
    wrong = (SID.check(word) for word in list_words(text) if SID.check)
    return next((problem for problem in wrong if problem), None)


_MAX_LIST = 65536
RULE = Parameter(required=True, max_length=128, check=_rule_format)
_TYPE = Parameter(words=TYPES, void_if_empty=True)
_OPTIONS = {
    "resources": Parameter(max_length=_MAX_LIST, many=True, check=_resources_format),
    "nodes": Parameter(max_length=_MAX_LIST, many=True, check=nodes_format),
    "strict": Parameter(bool),
    "affinity": Parameter(words=tuple(Affinity)),
    "disable": Parameter(bool),
    "comment": Parameter(max_length=4096, check=one_line),
    "rule": RULE,
    "type": replace(_TYPE, required=True),
}
_PATH = "/cluster/ha/rules"
_NAMED = _PATH + "/{rule}"
_FILTERS = {"type": _TYPE, "resource": replace(SID, required=False, void_if_empty=True)}

ROUTES = (
    Route("GET", _PATH, "Sys.Audit", index, _FILTERS),
    Route(
        "POST",
        _PATH,
        "Sys.Console",
        create,
        {**_OPTIONS, "resources": replace(_OPTIONS["resources"], required=True)},
    ),
    Route("GET", _NAMED, "Sys.Audit", read, {"rule": RULE}),
    Route("PUT", _NAMED, "Sys.Console", update, {**_OPTIONS, **CHANGES}),
    Route("DELETE", _NAMED, "Sys.Console", delete, {"rule": RULE}),
)
