"""`/cluster/options`: the datacenter options that HA reads, as Proxmox VE writes them (api-surface 3).

`ha` and `crs` are property strings when they are set (`shutdown_policy=migrate`) and objects when they are read.
Thresholds are percents here, as people give them, and plain values in the record.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from haven.api.affinity import difference
from haven.api.changes import Change, make_change, told
from haven.api.errors import bad_parameters, failed
from haven.api.params import Parameter, Params, Value, shown, typed
from haven.api.routes import Call, Route
from haven.core.records import ClusterOptions
from haven.core.transaction import Put
from haven.core.view import View
from haven.core.words import RebalanceMethod, SchedulerMode, ShutdownPolicy

MAX_WORKERS = 64
MAX_HOLD_ROUNDS = 1000
KEY = "options"


@dataclass(frozen=True, slots=True)
class _Property:
    """One key of a property string: its field in the record, and how its text is read and shown."""

    field: str
    spec: Parameter
    read: Callable[[Value], Any] = lambda value: value
    show: Callable[[Any], Value] = lambda value: value


def _percent() -> dict[str, Any]:
    spec = Parameter(int, minimum=0, maximum=100)
    return {"spec": spec, "read": lambda percent: percent / 100, "show": lambda share: round(share * 100)}


def _word(kind: type[ShutdownPolicy] | type[SchedulerMode] | type[RebalanceMethod]) -> dict[str, Any]:
    return {"spec": Parameter(words=tuple(kind)), "read": kind, "show": str}


_FLAG: dict[str, Any] = {"spec": Parameter(bool), "show": int}
_HA = {"shutdown_policy": _Property("shutdown_policy", **_word(ShutdownPolicy))}
_CRS = {
    "ha": _Property("scheduler", **_word(SchedulerMode)),
    "ha-rebalance-on-start": _Property("rebalance_on_start", **_FLAG),
    "ha-auto-rebalance": _Property("auto_rebalance", **_FLAG),
    "ha-auto-rebalance-threshold": _Property("threshold", **_percent()),
    "ha-auto-rebalance-method": _Property("method", **_word(RebalanceMethod)),
    "ha-auto-rebalance-hold-duration": _Property(
        "hold_rounds", Parameter(int, minimum=0, maximum=MAX_HOLD_ROUNDS)
    ),
    "ha-auto-rebalance-margin": _Property("margin", **_percent()),
}
_STRINGS = {"ha": _HA, "crs": _CRS}


def read(call: Call) -> object:
    """Only what was set."""
    options = call.state.view().options()
    answer: dict[str, object] = {"allowed-tags": []}
    for name, properties in _STRINGS.items():
        if found := _shown(options, properties):
            answer[name] = found
    return answer | ({"max_workers": options.max_workers} if "max_workers" in options.given else {})


def update(call: Call) -> None:
    """A property string takes the place of the whole of the one before."""
    values = _deleted(call.params) | _given(call.params)

    def plan(view: View) -> Change:
        before = view.options()
        unset = {name for name, value in values.items() if value is None}
        changed: dict[str, Any] = values | {name: _DEFAULTS[name] for name in unset}
        after = replace(before, **changed, given=(before.given | set(values)) - unset)
        if after == before:
            return Change(())
        text = f"cluster options changed: {difference(_texts(before), _texts(after))}"
        return Change((Put(KEY, after),), (told(call.identity, text),))

    make_change(call.state, plan)


def _shown(options: ClusterOptions, properties: Mapping[str, _Property]) -> dict[str, Value]:
    return {
        name: one.show(getattr(options, one.field))
        for name, one in properties.items()
        if one.field in options.given
    }


def _texts(options: ClusterOptions) -> dict[str, Value]:
    """All that was set, in the form in which it is set."""
    strings = {name: _shown(options, properties) for name, properties in _STRINGS.items()}
    texts: dict[str, Value] = {
        name: ",".join(f"{key}={value}" for key, value in found.items())
        for name, found in strings.items()
        if found
    }
    return texts | ({"max_workers": options.max_workers} if "max_workers" in options.given else {})


def _given(params: Params) -> dict[str, Any]:
    """The new value of each field that is asked for; None: back to its default."""
    values: dict[str, Any] = {}
    errors: dict[str, str] = {}
    for name, properties in _STRINGS.items():
        if params.given(name):
            try:
                values |= dict.fromkeys(one.field for one in properties.values())
                values |= _parsed(properties, params.text(name))
            except ValueError as error:
                errors[name] = f"invalid format - {error}"
    if errors:
        raise bad_parameters(errors)
    return values | ({"max_workers": params.number("max_workers")} if params.given("max_workers") else {})


def _parsed(properties: Mapping[str, _Property], text: str) -> dict[str, Any]:
    """The fields in a property string. ValueError says what is wrong with it."""
    values: dict[str, Any] = {}
    for part in text.split(","):
        key, separator, word = part.strip().partition("=")
        if not separator or key not in properties:
            raise ValueError(f"'{shown(part)}' is not KEY=VALUE with one of the keys {', '.join(properties)}")
        one = properties[key]
        if one.field in values:
            raise ValueError(f"'{key}' is given twice")
        try:
            values[one.field] = one.read(typed(one.spec, word))
        except ValueError as error:
            raise ValueError(f"{key}: {error}") from error
    return values


def _deleted(params: Params) -> dict[str, None]:
    """The fields that `delete` puts back to their defaults."""
    names = params.words("delete")
    for name in names:
        if name not in (*_STRINGS, "max_workers"):
            raise failed(f"no such option '{shown(name)}'")
        if params.given(name):
            raise failed(f"cannot set and delete property '{name}' at the same time")
    deleted = [one.field for name in names for one in _STRINGS.get(name, {}).values()]
    return dict.fromkeys(deleted + [name for name in names if name not in _STRINGS])


_DEFAULTS: dict[str, Any] = {spec.name: spec.default for spec in fields(ClusterOptions)}
_STRING = Parameter(max_length=1024)
_SCHEMA = {
    **dict.fromkeys(_STRINGS, _STRING),
    "max_workers": Parameter(int, minimum=1, maximum=MAX_WORKERS),
    "delete": Parameter(max_length=1024, many=True),
}

ROUTES = (
    Route("GET", "/cluster/options", "", read),
    Route("PUT", "/cluster/options", "Sys.Modify", update, _SCHEMA),
)
