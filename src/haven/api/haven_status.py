"""`/haven/status`: one screen. What should run, what runs, since when, what is wrong, what to do."""

import os
from pathlib import Path

from haven.api import ha_words, phrases
from haven.api.haven_hands import drill_entry, last_drills
from haven.api.outlook import Outlook, VmOutlook, look
from haven.api.routes import Call, Route
from haven.api.starting import start_daemon
from haven.api.state import State
from haven.api.versions import HAVEN_VERSION
from haven.api.vms import uuids_present
from haven.core.records import Hold
from haven.core.sentences import duration
from haven.core.view import View
from haven.core.words import MEND_DAMAGED, HandsOff
from haven.store.protocol import StoreError

Entry = dict[str, object]

LATE_TICKS = 3
NEEDED_BYTES = 1 << 20
_HARM = {"lrm": "a VM that dies now is not restarted", "crm": "changes of what should run wait"}


def status(call: Call) -> object:
    """Told also while the store or libvirt is in trouble."""
    state = call.state
    base: Entry = {"node": state.node, "version": HAVEN_VERSION, "now": state.wall_s()}
    base["policy"] = state.settings.policy.value
    try:
        seen = look(state)
    except StoreError as error:
        text = f"{error}; running VMs stay protected"
        store = {"ok": 0, "text": text}
        answers = uuids_present(state) is not None
        known = {"ok": int(answers), "text": "libvirt answers" if answers else "libvirt does not answer"}
        rest: Entry = {"daemons": [], "vms": [], "problems": [_problem("err", text, "see haven's log")]}
        return base | {"hypervisor": known, "store": store} | rest
    hypervisor: Entry = {"ok": int(not seen.trouble), "text": seen.trouble or "libvirt answers"}
    store, daemons = store_entry(state), _daemons(state, seen)
    last = last_drills(state)
    vms = [vm_entry(vm) | drill_entry(seen.view, vm.sid, last, seen.now_s) for vm in seen.vms()]
    problems = [*_problems(seen, hypervisor, store, daemons), *_stuck_messages(state)]
    return base | {"hypervisor": hypervisor, "store": store, "daemons": daemons, "vms": vms, "problems": problems}


def daemon_troubles(state: State, view: View) -> dict[str, str]:
    """The daemons that do not work now, each with what is wrong and what follows from it."""
    seen = Outlook(state.node, state.wall_s(), view, None, "", {})
    return {
        str(one["name"]): f"haven {one['name']}: {one['state']}; {_HARM[str(one['name'])]}"
        for one in _daemons(state, seen)
        if not one["ok"]
    }


def own_trouble(state: State, seen: Outlook) -> list[str]:
    """What is wrong with haven itself, with its store or with libvirt, as the screen shows it; of VMs nothing."""
    store = store_entry(state)
    trouble = [f"haven {one['name']}: {one['state']}" for one in _daemons(state, seen) if not one["ok"]]
    return [*trouble, *([seen.trouble] if seen.trouble else []), *([] if store["ok"] else [str(store["text"])])]


def vm_entry(vm: VmOutlook) -> Entry:
    """One VM of the screen."""
    trouble, advice = vm.trouble() or (None, None)
    pending = vm.pending
    return {
        "sid": vm.sid if vm.config else None,
        "vmid": vm.vmid,
        "name": vm.name,
        "protected": int(vm.protected),
        "wanted": vm.config.wanted.value if vm.config else None,
        "state": vm.service.state.value if vm.service else None,
        "power": "hung" if vm.hung else vm.power,
        "runs": int(vm.runs and not vm.hung),
        "signs": list(vm.signs),
        "since": vm.since_wall_s,
        "checked_s": vm.checked_s,
        "restarts_24h": vm.all.restarts.get(vm.sid, 0),
        "off_reason": phrases.off_reason(vm.config, vm.all.now_s) if vm.config and vm.off_on_purpose else None,
        "hold": hold_entry(vm.hold, vm.sid) if vm.hold else None,
        "hands_off": hands_entry(vm) if vm.protected else None,
        "pending": {"what": pending.what, "at": pending.at_wall_s} if pending else None,
        "trouble": trouble,
        "advice": advice,
    }


def hands_entry(vm: VmOutlook) -> Entry | None:
    """Why haven does nothing to a VM, until when, and what ends it sooner."""
    hands = vm.hands
    if hands is None:
        return None
    until_s = None if hands.remaining_s is None else vm.all.now_s + hands.remaining_s
    ends = {
        HandsOff.OBSERVE: f"haven protect {vm.sid}",
        HandsOff.MAINTENANCE: f"haven maintenance end {vm.sid}",
        HandsOff.LOCKED: f"qm unlock {vm.vmid}" if until_s else "",
    }
    return {"why": hands.why.value, "sentence": hands.sentence, "until": until_s, "ends": ends[hands.why]}


def hold_entry(hold: Hold, sid: str) -> Entry:
    """Why haven waits, until when, and what ends it sooner."""
    ends = phrases.hold_ends(hold, sid)
    return {"cause": hold.cause.value, "detail": hold.detail, "until": hold.until.wall_s, "ends": ends}


def store_entry(state: State) -> Entry:
    """It could be read just now: all of it? And can it be written?"""
    if state.store.damaged:
        names = ", ".join(sorted(state.store.damaged))
        return {"ok": 0, "text": f"damaged in the store: {names}", "mend": MEND_DAMAGED}
    space = os.statvfs(state.settings.state_dir)
    if space.f_bavail * space.f_frsize >= NEEDED_BYTES:
        return {"ok": 1, "text": "works"}
    text = f"no space left in {state.settings.state_dir}: changes cannot be saved; VMs are still restarted"
    return {"ok": 0, "text": text, "mend": "free some space; nothing else is needed"}


def _daemons(state: State, seen: Outlook) -> list[Entry]:
    manager, lrm = seen.view.manager(), seen.lrm
    crm_word = ha_words.master_word(manager, seen.view, seen.now_s) if manager else ""
    lrm_word = ha_words.lrm_word(lrm, seen.view, seen.now_s) if lrm else ""
    return [
        _daemon(state, "crm", crm_word, manager.timestamp_wall_s if manager else None),
        _daemon(state, "lrm", lrm_word, lrm.timestamp_wall_s if lrm else None),
        {"name": "api", "state": "active", "fresh_s": 0.0, "ok": 1},
    ]


def _daemon(state: State, name: str, word: str, timestamp_wall_s: float | None) -> Entry:
    """It works when its process is there and its record is not older than a few ticks."""
    fresh_s = None if timestamp_wall_s is None else round(max(state.wall_s() - timestamp_wall_s, 0.0), 1)
    if _process_is_gone(Path(state.settings.run_dir) / f"{name}.claim"):
        return {"name": name, "state": "not running", "fresh_s": fresh_s, "ok": 0}
    late_s = max(ha_words.STALE_S, LATE_TICKS * state.settings.tick_s)
    if fresh_s is None or fresh_s > late_s:
        word = "not seen yet" if fresh_s is None else f"silent for {duration(fresh_s)}"
        return {"name": name, "state": word, "fresh_s": fresh_s, "ok": 0}
    return {"name": name, "state": word, "fresh_s": fresh_s, "ok": 1}


def _process_is_gone(claim: Path) -> bool:
    """The daemon's claim names a process that is no longer there. A missing claim says nothing."""
    try:
        pid = claim.read_text().strip()
    except OSError:
        return False
    return pid.isdecimal() and not Path(f"/proc/{pid}").exists()


def _problems(seen: Outlook, hypervisor: Entry, store: Entry, daemons: list[Entry]) -> list[Entry]:
    """What is wrong, the worst first, each with what to do."""
    problems: list[Entry] = []
    if not hypervisor["ok"]:
        problems.append(_problem("err", str(hypervisor["text"]), "VMs run on; haven looks at all when it is back"))
    if not store["ok"]:
        problems.append(_problem("err", str(store["text"]), str(store["mend"])))
    for daemon in daemons:
        if not daemon["ok"]:
            text = f"haven {daemon['name']}: {daemon['state']}; {_HARM[str(daemon['name'])]}"
            problems.append(_problem("err", text, start_daemon(str(daemon["name"]))))
    troubled = [(vm, trouble) for vm in seen.vms() if (trouble := vm.trouble())]
    problems += [_problem("err", f"{vm.sid} ({vm.name}) {text}", advice) for vm, (text, advice) in troubled]
    for text in seen.lrm.low.values() if seen.lrm else ():
        problems.append(_problem("warn", text, "make space there: when it is full, QEMU pauses VMs that write"))
    manager = seen.view.manager()
    if manager and manager.disarm:
        text = f"HA is {ha_words.disarm_words(manager.disarm)}: a VM that dies is not restarted"
        problems.append(_problem("warn", text, "arm it again: ha-manager crm-command arm-ha"))
    return problems


def _stuck_messages(state: State) -> list[Entry]:
    stuck = state.telling.stuck() if state.telling else []
    return [_problem("warn", text, "see haven notify status, and try: haven notify test") for text in stuck]


def _problem(level: str, text: str, advice: str) -> Entry:
    return {"level": level, "text": text, "advice": advice}


ROUTES = (Route("GET", "/haven/status", "Sys.Audit", status),)
