"""`/cluster/ha/resources`: which VMs haven protects, and how (api-surface 4)."""

import hashlib
from collections.abc import Iterable
from dataclasses import replace

from haven.api.affinity import difference, listed
from haven.api.care_purge import without_care
from haven.api.changes import Change, make_change, told
from haven.api.errors import CHANGED_MEANWHILE, RefusedError, bad_parameters, failed
from haven.api.let_go import stays_down
from haven.api.params import Parameter, Params, Value, one_line, shown
from haven.api.routes import Call, Route
from haven.api.rule_purge import without
from haven.api.vms import known_sid, machine, vmid_in
from haven.core.records import Origin, ServiceConfig
from haven.core.transaction import Delete, Put
from haven.core.view import View
from haven.core.words import RestartOn, Verb, Wanted

MAX_SID_LENGTH = 255
STATES = ("started", "stopped", "enabled", "disabled", "ignored")

_OPTIONS = {
    "state": Parameter(words=STATES),
    "max_restart": Parameter(int, minimum=0),
    "max_relocate": Parameter(int, minimum=0),
    "failback": Parameter(bool),
    "comment": Parameter(max_length=4096, check=one_line),
    "restart_on": Parameter(words=tuple(RestartOn)),
    "group": Parameter(max_length=128, void_if_empty=True),
    "auto-rebalance": Parameter(bool),
}
CHANGES = {
    "delete": Parameter(max_length=4096, many=True),
    "digest": Parameter(max_length=64, void_if_empty=True),
}
"""What every change of an entry may say, too."""
_DELETABLE = tuple(_OPTIONS)


def _sid_format(text: str) -> str | None:
    kind, separator, name = text.partition(":") if ":" in text else ("vm", ":", text)
    if not kind.isascii() or not kind.isalpha() or not kind.islower() or not separator or not name:
        return "invalid format - expected TYPE:NAME or a VMID"
    if any(character.isspace() or not character.isprintable() for character in name) or "/" in name:
        return "invalid format - no blanks, line breaks or slashes in the name"
    return None


SID = Parameter(required=True, max_length=MAX_SID_LENGTH, check=_sid_format)
TYPE = Parameter(words=("ct", "vm"), void_if_empty=True)


def index(call: Call) -> object:
    view = call.state.view()
    if call.params.text("type", "vm") != "vm":
        return []
    digest = config_digest(view.configs().values())
    return [entry(config, digest, view) for config in view.configs().values()]


def read(call: Call) -> object:
    view = call.state.view()
    config = _configured(view, known_sid(call.state, call.params.text("sid")))
    return entry(config, config_digest(view.configs().values()), view)


def create(call: Call) -> None:
    sid = _vm_sid(known_sid(call.state, call.params.text("sid")), call.params)
    config = _new_config(call, sid)

    def plan(view: View) -> Change:
        if sid in view.configs():
            raise failed(f"create resource failed: resource ID '{sid}' already defined")
        _check_group(view, call.params)
        options = listed({name: value for name, value in explicit(config).items() if name != "state"})
        text = f"added, wanted {config.wanted}{f', {options}' if options else ''}"
        line = told(call.identity, text, sid, wanted=config.wanted, added=True)
        return Change((Put(f"config/{sid}", config),), (line,))

    make_change(call.state, plan)


def update(call: Call) -> None:
    """Change options. In PVE a resource in error must be disabled first; in haven every change of its
    configuration ends a hold, so all of them are taken in every state (a deviation)."""
    deleted = _deleted(call.params)
    sid = known_sid(call.state, call.params.text("sid"))
    _check_type(sid, call.params)

    def plan(view: View) -> Change:
        config = _configured(view, sid)
        check_digest(call.params, config_digest(view.configs().values()))
        _check_group(view, call.params)
        changed = _changed(config, call.params, deleted, call.identity.origin(call.state.wall_s()))
        writes: list[Put | Delete] = [Put(f"config/{sid}", changed)]
        if changed.wanted is Wanted.STARTED:
            writes += stops_queued(view, sid)
        after = stays_down(call.state, config) if changed.wanted is Wanted.IGNORED else ""
        line = told(call.identity, f"{_difference(config, changed)}{after}", sid, wanted=changed.wanted)
        return Change(tuple(writes), (line,))

    make_change(call.state, plan)


def delete(call: Call) -> None:
    """Take the VM out of haven's care, and out of the rules; its options are forgotten (`purge`). The VM and its
    run key stay as they are."""
    sid = known_sid(call.state, call.params.text("sid"))
    purge = call.params.flag("purge", default=True)

    def plan(view: View) -> Change:
        if sid not in view.configs():
            raise failed(f"cannot delete service '{shown(sid)}', not HA managed!")
        rules, said = without(view, sid) if purge else ([], "")
        options, forgotten = without_care(view, sid) if purge else ([], "")
        drill = [Delete(key) for key in (f"drill/{sid}",) if key in view.entries]
        writes = (Delete(f"config/{sid}"), *commands_queued(view, sid), *rules, *options, *drill)
        after = stays_down(call.state, view.configs()[sid])
        text = f"taken out of haven's care, the VM is left as it is{after}{said}{forgotten}"
        return Change(writes, (told(call.identity, text, sid, wanted="none"),))

    make_change(call.state, plan)


def entry(config: ServiceConfig, digest: str, view: View) -> dict[str, object]:
    """One resource as clients see it: only what was set explicitly, its group while there are groups."""
    options: dict[str, object] = {**explicit(config)}
    if not view.groups():
        options.pop("group", None)
    elif config.group is not None and config.group not in view.groups():
        options["errors"] = {"group": f"no such ha group '{shown(config.group)}'"}
    return {"sid": config.sid, "type": "vm", "digest": digest, **options}


def explicit(config: ServiceConfig) -> dict[str, Value]:
    """The options that were set, in the API's types."""
    failback, rebalance = (None if it is None else int(it) for it in (config.failback, config.auto_rebalance))
    options: dict[str, Value | None] = {
        "state": config.state,
        "max_restart": config.max_restart,
        "max_relocate": config.max_relocate,
        "failback": failback,
        "comment": config.comment,
        "restart_on": config.restart_on,
        "group": config.group,
        "auto-rebalance": rebalance,
    }
    return {name: value for name, value in options.items() if value is not None}


def config_digest(configs: Iterable[ServiceConfig]) -> str:
    """A fingerprint of the whole configuration, as PVE has one for its file."""
    lines = (f"{config.sid} {sorted(explicit(config).items())!r}" for config in configs)
    return hashlib.sha1("\n".join(lines).encode(), usedforsecurity=False).hexdigest()


def check_digest(params: Params, current: str) -> None:
    if params.given("digest") and params.text("digest") != current:
        raise failed(CHANGED_MEANWHILE)


def stops_queued(view: View, sid: str) -> tuple[Delete, ...]:
    """Stop commands that a later wish for the VM overtakes."""
    return commands_queued(view, sid, Verb.STOP)


def commands_queued(view: View, sid: str, *verbs: Verb) -> tuple[Delete, ...]:
    """Commands about the VM that wait, all or those of these verbs: taken back."""
    waiting = (command for command in view.commands().values() if command.sid == sid)
    return tuple(Delete(f"command/{command.id}") for command in waiting if command.verb in (verbs or Verb))


def _configured(view: View, sid: str) -> ServiceConfig:
    config = view.configs().get(sid)
    if config is None:
        raise failed(f"no such resource '{shown(sid)}'")
    return config


def _vm_sid(sid: str, params: Params) -> str:
    """The sid of a VM; haven protects nothing else."""
    _check_type(sid, params)
    if not sid.startswith("vm:"):
        raise failed(f"create resource failed: resource '{shown(sid)}' does not exist in cluster")
    return sid


def _check_type(sid: str, params: Params) -> None:
    if params.given("type") and params.text("type") != sid.partition(":")[0]:
        raise bad_parameters({"type": f"value '{params.text('type')}' does not match the type of '{shown(sid)}'"})


def _new_config(call: Call, sid: str) -> ServiceConfig:
    missing = failed(f"create resource failed: resource '{shown(sid)}' does not exist in cluster")
    vmid = vmid_in(sid.partition(":")[2])
    if vmid is None:
        raise missing
    try:
        found = machine(call.state, vmid)
    except RefusedError as problem:
        raise missing from problem
    origin = call.identity.origin(call.state.wall_s())
    config = ServiceConfig(sid=sid, uuid=found.guest.uuid, node=call.state.node, origin=origin)
    return _changed(config, call.params, frozenset(), origin)


def _changed(config: ServiceConfig, params: Params, deleted: frozenset[str], origin: Origin) -> ServiceConfig:
    """The configuration with the given options set and others taken out.

    The origin tells who set the wanted state: other options leave it.
    """
    values: dict[str, object] = dict.fromkeys(deleted)
    values |= {name: params.values[name] for name in _DELETABLE if params.given(name)}
    if isinstance(word := values.get("state"), str):
        values["state"] = Wanted.STARTED if word == "enabled" else Wanted(word)
    if "auto-rebalance" in values:
        values["auto_rebalance"] = values.pop("auto-rebalance")
    if isinstance(word := values.get("restart_on"), str):
        values["restart_on"] = RestartOn(word)
    if "state" in values:
        values["origin"] = origin
    return replace(config, **values)  # type: ignore[arg-type]


def _deleted(params: Params) -> frozenset[str]:
    names = params.words("delete")
    for name in names:
        if name not in _DELETABLE:
            raise failed(f"no such option '{shown(name)}'")
    both = {name: "it cannot be set and deleted at the same time" for name in names if params.given(name)}
    if both:
        raise bad_parameters(both)
    return frozenset(names)


def _check_group(view: View, params: Params) -> None:
    """R-6.15: once groups have been migrated there are none to be in."""
    if not params.given("group"):
        return
    if not view.groups():
        raise failed("invalid parameter 'group': ha groups have been migrated to rules")
    if params.text("group") not in view.groups():
        raise failed(f"no such ha group '{shown(params.text('group'))}'")


def _difference(before: ServiceConfig, after: ServiceConfig) -> str:
    """What a change of options changed, in words."""
    old, new = explicit(before), explicit(after)
    back = {name: "its default" for name in old if name not in new}
    return f"set {difference(old, new | back)}" if old != new else "set again as it was"


ROUTES = (
    Route("GET", "/cluster/ha/resources", "Sys.Audit", index, {"type": TYPE}),
    Route("POST", "/cluster/ha/resources", "Sys.Console", create, {**_OPTIONS, "sid": SID, "type": TYPE}),
    Route("GET", "/cluster/ha/resources/{sid}", "Sys.Audit", read, {"sid": SID}),
    Route(
        "PUT",
        "/cluster/ha/resources/{sid}",
        "Sys.Console",
        update,
        {**_OPTIONS, **CHANGES, "sid": SID, "type": TYPE},
    ),
    Route("DELETE", "/cluster/ha/resources/{sid}", "Sys.Console", delete, {"sid": SID, "purge": Parameter(bool)}),
)
