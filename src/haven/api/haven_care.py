"""`/haven/vms/SID/options`: what a person asks of haven for one VM beyond the words of Proxmox VE."""

import hashlib

from haven.api.changes import Change, make_change, told
from haven.api.errors import CHANGED_MEANWHILE, bad_parameters, failed
from haven.api.ha_resources import SID
from haven.api.params import Parameter, Params, shown
from haven.api.routes import Call, Route
from haven.api.vms import known_sid
from haven.core.care import OPTIONS, OptionError, changed, difference
from haven.core.care import shown as options_of
from haven.core.records import VmCare
from haven.core.transaction import Delete, Put
from haven.core.view import View

MAX_CHARS = 16384
Entry = dict[str, object]


def read(call: Call) -> object:
    sid = known_sid(call.state, call.params.text("sid"))
    view = call.state.view()
    _check_protected(view, sid)
    care = view.care(sid)
    known = [
        {"name": option.name, "form": option.form, "meaning": option.meaning, "default": option.default}
        for option in OPTIONS
    ]
    options = options_of(care)
    return {"sid": sid, "observe": int(care.observe), "digest": digest(care), "options": options, "known": known}


def update(call: Call) -> None:
    """Set and delete options; every change is in the history, with who, and from what to what."""
    sid = known_sid(call.state, call.params.text("sid"))
    given = {option.name: call.params.text(option.name) for option in OPTIONS if call.params.given(option.name)}
    if "wait_for" in given and given["wait_for"] != "off":
        given["wait_for"] = known_sid(call.state, given["wait_for"])

    def plan(view: View) -> Change:
        _check_protected(view, sid)
        before = view.care(sid)
        if call.params.given("digest") and call.params.text("digest") != digest(before):
            raise failed(CHANGED_MEANWHILE)
        after = _changed(before, given, call.params)
        if difference(before, after) == "":
            return Change(())
        _check_waiting(view, after)
        event = told(call.identity, f"set {difference(before, after)}", sid)
        return Change((care_write(after),), (event,), relies_on=(f"config/{sid}",))

    make_change(call.state, plan)


def care_write(care: VmCare) -> Put | Delete:
    """A record that says nothing is not kept."""
    key = f"care/{care.sid}"
    return Delete(key) if care == VmCare(care.sid) else Put(key, care)


def digest(care: VmCare) -> str:
    """A fingerprint of a VM's options, so that two people do not overwrite each other."""
    text = repr(sorted(options_of(care).items()))
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


def _changed(before: VmCare, given: dict[str, str], params: Params) -> VmCare:
    deleted = _deleted(params)
    if both := [name for name in deleted if name in given]:
        raise bad_parameters(dict.fromkeys(both, "it cannot be set and deleted at the same time"))
    try:
        return changed(before, given, deleted)
    except OptionError as error:
        raise bad_parameters({error.name: shown(error.text, 400)}) from error


def _deleted(params: Params) -> tuple[str, ...]:
    """Separated by commas: the name of a check may hold blanks."""
    names = (name.strip() for name in params.text("delete", "").split(","))
    return tuple(filter(None, names))


def _check_protected(view: View, sid: str) -> None:
    if sid not in view.configs():
        name = shown(sid)
        raise failed(f"'{name}' is not protected by haven; only protected VMs have options: ha-manager add {name}")


def _check_waiting(view: View, care: VmCare) -> None:
    """Whom it waits for is protected, and does not wait for it in turn."""
    chain, sid = [care.sid], care.wait_for
    if sid and sid not in view.configs():
        raise bad_parameters({"wait_for": f"'{shown(sid)}' is not protected by haven"})
    while sid:
        chain.append(sid)
        if sid == care.sid:
            raise bad_parameters({"wait_for": f"they would wait for each other: {' -> '.join(chain)}"})
        if sid in chain[:-1]:
            return
        sid = view.care(sid).wait_for


_PATH = "/haven/vms/{sid}/options"
_OPTION_TEXTS = {option.name: Parameter(max_length=MAX_CHARS) for option in OPTIONS}
ROUTES = (
    Route("GET", _PATH, "Sys.Audit", read, {"sid": SID}),
    Route(
        "PUT",
        _PATH,
        "Sys.Console",
        update,
        {**_OPTION_TEXTS, "sid": SID, "delete": Parameter(max_length=4096), "digest": Parameter(max_length=64)},
    ),
)
