"""`/haven/notify`: who is told, what waits, and a test that shows whether it arrives."""

from haven.api.errors import failed
from haven.api.routes import Call, Route
from haven.api.telling.outbox import Standing
from haven.api.telling.outbox_file import OutboxError
from haven.notify.protocol import Receiver


def status(call: Call) -> object:
    telling = call.state.telling
    if telling is None:
        raise failed("this API tells nobody anything")
    try:
        found = telling.standings()
    except OutboxError as error:
        raise failed(f"the queue of messages cannot be read: {error}") from error
    settings, pushed = call.state.settings, dict(telling.beats.trouble)  # its threads go on writing there
    return {
        "receivers": [_entry(receiver, standing) for receiver, standing in found],
        "per_hour": settings.notify_per_hour,
        "trouble": telling.trouble or None,
        "heartbeat": _beat(pushed.get("heartbeat")) if settings.heartbeat_url else None,
        "pushes": {sid: _beat(why) for sid, why in pushed.items() if sid != "heartbeat"},
        "now": call.state.wall_s(),
    }


def test(call: Call) -> object:
    """Past the queue and past the limit; takes as long as the slowest receiver, half a minute at most."""
    telling = call.state.telling
    if telling is None:
        raise failed("this API tells nobody anything")
    tried = telling.test(call.identity.who)
    return [
        {"receiver": one.label, "ok": int(not one.why), "why": one.why or None, "took_s": round(one.took_s, 2)}
        for one in tried
    ]


def _entry(receiver: Receiver, standing: Standing) -> dict[str, object]:
    return {
        "receiver": receiver.label,
        "waiting": standing.waiting,
        "oldest": standing.oldest_wall_s,
        "delivered": standing.delivered,
        "failed": standing.failed,
        "given_up": standing.lost,
        "last_ok": standing.ok_wall_s,
        "trouble": standing.trouble or None,
        "trouble_since": standing.trouble_wall_s,
    }


def _beat(why: str | None) -> dict[str, object]:
    """None: it has not beaten yet."""
    return {"ok": None if why is None else int(not why), "why": why or None}


ROUTES = (
    Route("GET", "/haven/notify", "Sys.Audit", status),
    Route("POST", "/haven/notify/test", "Sys.Modify", test),
)
