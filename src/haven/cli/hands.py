"""`haven observe`, `protect`, `lock`, `unlock`, `maintenance`, `drill`: hands off, and the test of the hands."""

import sys
from typing import Annotated, Any

import typer

from haven.api.client import ApiClient
from haven.cli.arguments import OneSid
from haven.cli.console import complain
from haven.cli.session import connect, segment
from haven.cli.text import printable
from haven.cli.times import ago, clock, span, wall_now_s

EXIT_TROUBLE = 1
EXIT_USAGE = 2
DEFAULT_LOCK = "1h"
INTERVALS = ("daily", "weekly", "monthly", "quarterly", "off")
_UNITS_S = {"s": 1, "min": 60, "m": 60, "h": 3600, "d": 86400}
_DRILL_KINDS = ("drill_begun", "vm_down", "vm_up", "vm_held", "drill_done")

Json = Annotated[bool, typer.Option("--json", help="Print the API's answer as JSON.")]
For = Annotated[str | None, typer.Option("--for", metavar="LENGTH", help="How long: 90s, 10min, 2h, 3d.")]
Reason = Annotated[str, typer.Option("--reason", help="Why, for whoever looks at it.")]


def register(app: typer.Typer) -> None:
    """Add these commands to the program."""
    for command in (observe, protect, lock, unlock, maintenance, drill):
        app.command()(command)


def observe(
    sid: OneSid,
    off: Annotated[bool, typer.Option("--off", help="From words to deeds: as haven protect.")] = False,
    as_json: Json = False,
) -> int:
    """Watch a VM: tell what haven would do, and do nothing.

    A VM that is not protected yet is taken as it is found. The first step with a VM you care about: watch it for a
    week, read haven history SID, then: haven protect SID.
    """
    api = connect("haven observe")
    path = f"/haven/observe/{segment(sid)}"
    return _say(api.delete(path) if off else api.put(path), as_json)


def protect(sid: OneSid, as_json: Json = False) -> int:
    """Keep a VM running: ends observing it, or adds it."""
    return _say(connect("haven protect").delete(f"/haven/observe/{segment(sid)}"), as_json)


def lock(sid: OneSid, length: For = DEFAULT_LOCK, reason: Reason = "locked", as_json: Json = False) -> int:
    """Lock a VM, so that nothing stops or resets it.

    For a backup, say. A crash is restarted when the lock ends. It ends by itself, or with: haven unlock SID (or
    qm unlock VMID).
    """
    seconds = _seconds(DEFAULT_LOCK if length is None else length)
    api = connect("haven lock")
    return _say(api.put(f"/haven/locks/{segment(sid)}", seconds=seconds, reason=reason), as_json)


def unlock(sid: OneSid, as_json: Json = False) -> int:
    """Take a lock off a VM."""
    return _say(connect("haven unlock").delete(f"/haven/locks/{segment(sid)}"), as_json)


def maintenance(
    words: Annotated[list[str], typer.Argument(metavar="SID... | all | list | end [ID] | extend [ID]")],
    length: For = None,
    reason: Reason = "maintenance",
    as_json: Json = False,
) -> int:
    """Keep hands off VMs while you work on them.

    Nothing is started, stopped or reset. It ends by itself after --for, reminds of it before, and then what should
    run is started.
    """
    verb, rest = words[0], words[1:]
    api = connect(f"haven maintenance {verb}" if verb in ("list", "end", "extend") else "haven maintenance")
    if verb == "list":
        if rest:
            raise typer.BadParameter(f"'{rest[0]}': list shows all there is, and takes no more words")
        return _list_windows(api.get("/haven/maintenance"), as_json)
    if verb == "end":
        return _say(api.delete("/haven/maintenance", **_id(rest)), as_json)
    if length is None:
        raise typer.BadParameter("say for how long: --for 2h", param_hint="--for")
    if verb == "extend":
        return _say(api.put("/haven/maintenance", seconds=_seconds(length), **_id(rest)), as_json)
    sids, seconds = ",".join(words), _seconds(length)
    return _say(api.post("/haven/maintenance", sids=sids, seconds=seconds, reason=reason), as_json)


def _id(rest: list[str]) -> dict[str, str]:
    if len(rest) > 1:
        raise typer.BadParameter(f"expected one id or VM, got {len(rest)}")
    return {"id": rest[0]} if rest else {}


def _list_windows(windows: list[dict[str, Any]], as_json: bool) -> int:
    if as_json:
        return _json(windows)
    now_s = wall_now_s()
    for window in windows:
        until = f"until {clock(window['until'], now_s)} ({ago(window['until'], now_s)})"
        who = f"by {window['who']} with {window['via']}"
        print(printable(f"{window['id']}  {', '.join(window['sids'])}  {until}  {who}: {window['reason']}"))
    if not windows:
        print("no maintenance")
    return 0


def drill(
    words: Annotated[list[str], typer.Argument(metavar="SID | [SID...] INTERVAL")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    schedule: Annotated[
        bool, typer.Option("--schedule", help="From now on by itself: daily, weekly, monthly, quarterly or off.")
    ] = False,
    window: Annotated[
        str, typer.Option("--window", metavar="HOURS", help="The hours for it, local time.")
    ] = "2-5",
    as_json: Json = False,
) -> int:
    """Kill a VM as a crash would, to see it come back.

    With --schedule: haven drill --schedule vm:102 monthly; without a VM, all protected ones.
    """
    if schedule:
        return _schedule(words, window, as_json)
    if len(words) != 1:
        raise typer.BadParameter("one VM at a time")
    if not yes and not sys.stdin.isatty():
        complain("haven drill: a drill cuts the VM's power, and nobody can be asked here: add --yes")
        return EXIT_USAGE
    api = connect("haven drill")
    if not yes and not _agreed(words[0]):
        complain("nothing was done")
        return EXIT_TROUBLE
    return _run_drill(api, words[0], as_json)


def _schedule(words: list[str], window: str, as_json: bool) -> int:
    *sids, every = words
    if every not in INTERVALS:
        raise typer.BadParameter(f"'{every}': expected one of {', '.join(INTERVALS)}")
    hours = window.split("-")
    if len(hours) != 2 or not all(hour.isdecimal() and int(hour) <= 24 for hour in hours):
        complaint = f"'{window}': expected two hours of the day, like 2-5 or 22-4"
        raise typer.BadParameter(complaint, param_hint="--window")
    given = {"sids": ",".join(sids), "every": every, "from": hours[0], "to": hours[1]}
    return _say(connect("haven drill").put("/haven/drills", **given), as_json)


def _agreed(sid: str) -> bool:
    """Asks whoever sits at the terminal."""
    print(
        f"A drill kills {sid} at once. For its file systems that is a power cut: what it has not written is lost."
    )
    try:
        return input("Go on? [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        print()
        return False


def _run_drill(api: ApiClient, sid: str, as_json: bool) -> int:
    """Begin it, show what happens as it does, end with the figures; exit status 1 unless it passed."""
    newest = max((int(entry["id"]) for entry in api.get("/haven/history", limit=1)), default=0)
    begun = api.post("/haven/drills", sid=sid)
    try:
        return _follow_drill(api, sid, begun["id"], newest, as_json=as_json)
    except KeyboardInterrupt:
        complain(
            "the drill goes on, unless it has not begun within 60 s: haven incidents tells what becomes of it"
        )
        raise


def _follow_drill(api: ApiClient, sid: str, uid: str, newest: int, *, as_json: bool) -> int:
    for entry in api.stream("/haven/watch", sid=sid, after=newest):
        done = entry["kind"] == "drill_done" and entry["fields"].get("uid") == uid
        if not as_json and entry["kind"] in _DRILL_KINDS:
            print(printable(f"{clock(entry['time'], entry['time'])}  {entry['sentence']}"), flush=True)
        if done:
            return _end_drill(entry, as_json)
    complain("haven's API ended before the drill did: haven incidents tells what became of it")
    return EXIT_TROUBLE


def _end_drill(entry: dict[str, Any], as_json: bool) -> int:
    fields = entry["fields"]
    if as_json:
        _json({"sid": entry["sid"], "sentence": entry["sentence"]} | fields)
    elif fields.get("ok"):
        steps = (("noticed", "detect_s"), ("runs", "restart_s"), (fields.get("how") or "serves", "serving_s"))
        for word, key in steps:
            if fields.get(key) is not None:
                print(f"  {word:<24}{span(float(fields[key])):>10}")
        print(f"  {'down in all':<24}{span(float(fields.get('outage_s') or 0)):>10}")
    return 0 if fields.get("ok") else EXIT_TROUBLE


def _say(data: Any, as_json: bool) -> int:
    if as_json:
        return _json(data)
    print(printable(str(data["sentence"])))
    return 0


def _json(data: Any) -> int:
    import json

    print(json.dumps(data, indent=2, ensure_ascii=False))
    return 0


def _seconds(text: str) -> int:
    """Of `90s`, `10min`, `2h`, `3d`. Raises BadParameter."""
    word = text.strip().replace(" ", "")
    number = word.rstrip("abcdefghijklmnopqrstuvwxyz")
    unit_s = _UNITS_S.get(word[len(number) :])
    if not number.isdecimal() or len(number) > 6 or unit_s is None or int(number) < 1:
        raise typer.BadParameter(f"'{text[:40]}': expected a length like 90s, 10min, 2h or 3d", param_hint="--for")
    return int(number) * unit_s
