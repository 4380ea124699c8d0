"""`ha-manager rules`: who stays together, apart, or at home."""

from typing import Any

from haven.api.client import ApiClient
from haven.cli.pve_args import Call, Command, Kind, Param
from haven.cli.pve_tool import Report, Verb
from haven.cli.session import segment
from haven.cli.table import TABLE_OPTIONS, all_columns, table

PATH = "/cluster/ha/rules"
TYPES = ("node-affinity", "resource-affinity")
_CONFIG = ("enabled", "state", "rule", "type", "resources", "comment")
MAX_LIST = 65536


def list_rules(api: ApiClient, call: Call) -> Report:
    rules = _found(api, call)
    return Report(rules, table(rules, all_columns(rules, ("digest",)), call))


def config(api: ApiClient, call: Call) -> Report:
    rules = [_summary(rule) for rule in _found(api, call)]
    return Report(rules, table(rules, _CONFIG, call))


def _found(api: ApiClient, call: Call) -> list[dict[str, Any]]:
    rules: list[dict[str, Any]] = api.get(PATH, **call.given(["type", "resource"]))
    return rules


def _summary(rule: dict[str, Any]) -> dict[str, Any]:
    state = "ignored (conflicts)" if rule.get("errors") else "in use"
    return {"enabled": 0 if rule.get("disable") else 1, "state": state} | {
        name: rule[name] for name in _CONFIG if name in rule
    }


def add(api: ApiClient, call: Call) -> Report:
    return Report(api.post(PATH, **call.given(("rule", "type", *_NAMES))))


def change(api: ApiClient, call: Call) -> Report:
    return Report(api.put(_rule(call), **call.given(("type", *_NAMES, "delete", "digest"))))


def remove(api: ApiClient, call: Call) -> Report:
    return Report(api.delete(_rule(call)))


def _rule(call: Call) -> str:
    return f"{PATH}/{segment(call.text('rule'))}"


_RULE = Param("rule", "the rule's name: a letter, then letters, digits, '_' or '-'", max_chars=128)
_TYPE = Param("type", "about VMs and nodes, or about VMs among each other", choices=TYPES)
_LIST: dict[str, Any] = {"max_chars": MAX_LIST, "may_be_empty": True, "many": True}  # the API refuses none at all
_OPTIONS = (
    Param("resources", "the VMs, separated by commas: vm:101,vm:102", **_LIST),
    Param("nodes", "node-affinity: where; a higher number is preferred: node1:2,node2", **_LIST),
    Param("strict", "node-affinity: nowhere else (default: 0)", Kind.BOOLEAN),
    Param("affinity", "resource-affinity: together or apart", choices=("positive", "negative")),
    Param("disable", "keep the rule, but do not use it", Kind.BOOLEAN),
    Param("comment", "a description", may_be_empty=True),
)
_NAMES = tuple(param.name for param in _OPTIONS)
_CHANGES = (
    Param("delete", "settings to put back to their defaults, separated by commas", many=True),
    Param("digest", "refuse when the rules changed since they had this digest", max_chars=64),
)
_FILTERS = (
    Param("type", "only rules of this type", choices=TYPES),
    Param("resource", "only rules that name this VM", max_chars=255),
    *TABLE_OPTIONS,
)

VERBS = (
    Verb(Command(("rules", "add"), "Keep VMs together, apart, or at home.", (_TYPE, _RULE), _OPTIONS), add),
    Verb(Command(("rules", "config"), "Show which rules are in use.", (), _FILTERS), config),
    Verb(Command(("rules", "list"), "Show the rules with all their settings.", (), _FILTERS), list_rules),
    Verb(Command(("rules", "remove"), "Take a rule away.", (_RULE,)), remove),
    Verb(Command(("rules", "set"), "Change a rule.", (_TYPE, _RULE), _OPTIONS + _CHANGES), change),
)
