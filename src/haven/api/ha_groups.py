"""`/cluster/ha/groups`: what an older cluster left, until the manager has made rules of it (spec 6.8).

Once there are none, every call fails as in Proxmox VE 9; new ones are made with rules.
"""

from dataclasses import replace
from typing import Any

from haven.api.affinity import difference, digest, group_options, listed, nodes_format, nodes_of
from haven.api.changes import Change, make_change, told
from haven.api.errors import bad_parameters, failed
from haven.api.ha_resources import CHANGES, check_digest
from haven.api.ha_rules import RULE
from haven.api.params import Parameter, Params, one_line, shown
from haven.api.routes import Call, Route
from haven.core.records import Group
from haven.core.transaction import Delete, Put
from haven.core.view import View

_DELETABLE = {"restricted": False, "nofailback": False, "comment": None}


def index(call: Call) -> object:
    view = call.state.view()
    mark = _digest(_groups(view, "index groups"))
    return [_entry(group, mark) for group in view.groups().values()]


def read(call: Call) -> object:
    groups = _groups(call.state.view(), "read group")
    return _entry(_group(groups, call.params), _digest(groups))


def create(call: Call) -> None:
    params, name = call.params, call.params.text("group")

    def plan(view: View) -> Change:
        if name in _groups(view, "create group"):
            raise failed(f"create ha group failed: group ID '{name}' already defined")
        group = Group(name, **_given(params))
        return _change(call, group, f"group {name} added: {listed(group_options(group))}")

    make_change(call.state, plan)


def update(call: Call) -> None:
    params, deleted = call.params, _deleted(call.params)

    def plan(view: View) -> Change:
        groups = _groups(view, "update group")
        before = _group(groups, params)
        check_digest(params, _digest(groups))
        after = replace(before, **deleted, **_given(params))
        text = f"group {before.id} changed: {difference(group_options(before), group_options(after))}"
        return _change(call, after, text)

    make_change(call.state, plan)


def delete(call: Call) -> None:
    def plan(view: View) -> Change:
        group = _group(_groups(view, "delete group"), call.params)
        users = [config.sid for config in view.configs().values() if config.group == group.id]
        if users:
            raise failed(f"delete ha group failed: group '{group.id}' is used by {shown(', '.join(users))}")
        text = f"group {group.id} taken out: it was {listed(group_options(group))}"
        return Change((Delete(f"group/{group.id}"),), (told(call.identity, text),))

    make_change(call.state, plan)


def _groups(view: View, doing: str) -> dict[str, Group]:
    """All groups. Raises RefusedError when there are none any more (R-6.15)."""
    if not view.groups():
        raise failed(f"cannot {doing}: ha groups have been migrated to rules")
    return dict(view.groups())


def _group(groups: dict[str, Group], params: Params) -> Group:
    name = params.text("group")
    if name not in groups:
        raise failed(f"no such ha group '{shown(name)}'")
    return groups[name]


def _entry(group: Group, mark: str) -> dict[str, object]:
    return {"group": group.id, "type": "group", "digest": mark, **group_options(group)}


def _digest(groups: dict[str, Group]) -> str:
    return digest((group.id, group_options(group)) for group in groups.values())


def _given(params: Params) -> dict[str, Any]:
    """The given properties as fields of a group."""
    values: dict[str, Any] = {name: params.values[name] for name in _DELETABLE if params.given(name)}
    if params.given("nodes"):
        values["nodes"] = nodes_of(params.text("nodes"))
        if not values["nodes"]:
            raise bad_parameters({"nodes": "invalid format - no nodes were specified"})
    return values


def _deleted(params: Params) -> dict[str, Any]:
    """The fields that `delete` puts back to their defaults."""
    names = params.words("delete")
    for name in names:
        if name not in _DELETABLE:
            raise failed(f"no such option '{shown(name)}'")
        if params.given(name):
            raise failed(f"cannot set and delete property '{name}' at the same time")
    return {name: _DELETABLE[name] for name in names}


def _change(call: Call, group: Group, text: str) -> Change:
    return Change((Put(f"group/{group.id}", group),), (told(call.identity, text),))


_OPTIONS = {
    "group": RULE,
    "nodes": Parameter(max_length=65536, many=True, check=nodes_format),
    "restricted": Parameter(bool),
    "nofailback": Parameter(bool),
    "comment": Parameter(max_length=4096, check=one_line),
}
_TYPE = {"type": Parameter(words=("group",))}
_PATH = "/cluster/ha/groups"
_NAMED = _PATH + "/{group}"
_NEW = {**_OPTIONS, **_TYPE, "nodes": replace(_OPTIONS["nodes"], required=True)}

ROUTES = (
    Route("GET", _PATH, "Sys.Audit", index),
    Route("POST", _PATH, "Sys.Console", create, _NEW),
    Route("GET", _NAMED, "Sys.Audit", read, {"group": RULE}),
    Route("PUT", _NAMED, "Sys.Console", update, {**_OPTIONS, **CHANGES}),
    Route("DELETE", _NAMED, "Sys.Console", delete, {"group": RULE}),
)
