"""`ha-manager group...`: groups of an older cluster, until the manager has made rules of them."""

from typing import Any

from haven.api.client import ApiClient
from haven.cli.pve_args import Call, Command, Kind, Param
from haven.cli.pve_tool import Report, Verb
from haven.cli.session import segment
from haven.cli.text import printable

PATH = "/cluster/ha/groups"
_NOT_SHOWN = ("group", "type", "digest")


def config(api: ApiClient, _call: Call) -> Report:
    groups = api.get(PATH)
    return Report(groups, "\n".join(_block(group) for group in groups))


def _block(group: dict[str, Any]) -> str:
    lines = [f"\t{key} {printable(str(group[key]))}\n" for key in sorted(group) if key not in _NOT_SHOWN]
    return f"group: {printable(str(group['group']))}\n{''.join(lines)}"


def add(api: ApiClient, call: Call) -> Report:
    return Report(api.post(PATH, **call.given(("group", *_NAMES))))


def change(api: ApiClient, call: Call) -> Report:
    return Report(api.put(_group(call), **call.given((*_NAMES, "delete", "digest"))))


def remove(api: ApiClient, call: Call) -> Report:
    return Report(api.delete(_group(call)))


def _group(call: Call) -> str:
    return f"{PATH}/{segment(call.text('group'))}"


_GROUP = Param("group", "the group's name", max_chars=128)
_OPTIONS = (
    Param("nodes", "the nodes with their priorities: node1:2,node2", max_chars=65536, many=True),
    Param("restricted", "nowhere else (default: 0)", Kind.BOOLEAN),
    Param("nofailback", "not back to a node of higher priority (default: 0)", Kind.BOOLEAN),
    Param("comment", "a description", may_be_empty=True),
)
_NAMES = tuple(param.name for param in _OPTIONS)
_CHANGES = (
    Param("delete", "settings to put back to their defaults, separated by commas", many=True),
    Param("digest", "refuse when the groups changed since they had this digest", max_chars=64),
)
_LEGACY = "(only while groups wait to become rules)"

VERBS = (
    Verb(Command(("groupadd",), f"Add a group {_LEGACY}.", (_GROUP,), _OPTIONS), add),
    Verb(Command(("groupconfig",), f"Show the groups {_LEGACY}."), config),
    Verb(Command(("groupremove",), f"Take a group away {_LEGACY}.", (_GROUP,)), remove),
    Verb(Command(("groupset",), f"Change a group {_LEGACY}.", (_GROUP,), _OPTIONS + _CHANGES), change),
)
