"""`/haven/decisions`: steps that did something, as they are kept: listed, and whole, to be replayed elsewhere."""

import json
from typing import Any

from haven.api.errors import failed
from haven.api.ha_resources import SID
from haven.api.haven_story import story_sid
from haven.api.params import Parameter
from haven.api.routes import Call, Route
from haven.api.versions import HAVEN_VERSION
from haven.core.masking import mask_data
from haven.history.model import SavedDecision
from haven.ops.saved import FORMAT

DEFAULT_LIMIT = 20
MAX_LIMIT = 500


def index(call: Call) -> object:
    """Oldest first, the newest ones."""
    limit = call.params.number("limit", DEFAULT_LIMIT)
    found = call.state.chronicle.book().decisions(story_sid(call), limit)
    return [_entry(saved) for saved in reversed(found)]


def read(call: Call) -> object:
    """Enough to decide it again, anywhere: what is secret in it is masked."""
    number = call.params.number("id")
    saved = call.state.chronicle.book().decision(number)
    if saved is None:
        raise failed(f"no saved decision {number}: see those that are kept: haven decisions")
    return mask_data(
        {
            "format": FORMAT,
            "haven": HAVEN_VERSION,
            "id": saved.id,
            "time": saved.at_wall_s,
            "source": saved.source,
            "memory": json.loads(saved.memory),
            "asked": json.loads(saved.observation),
            "decision": json.loads(saved.decision),
        }
    )


def _entry(saved: SavedDecision) -> dict[str, Any]:
    decision = json.loads(saved.decision)["record"]
    return {
        "id": saved.id,
        "time": saved.at_wall_s,
        "source": saved.source,
        "sids": sorted(saved.sids),
        "orders": len(decision.get("performed_first", ())) + len(decision.get("orders", ())),
        "sentences": [event["sentence"] for event in decision.get("events", ())],
    }


_SID = Parameter(max_length=SID.max_length, check=SID.check)
_LIMIT = Parameter(int, minimum=1, maximum=MAX_LIMIT)
_ID = Parameter(int, required=True, minimum=1)

ROUTES = (
    Route("GET", "/haven/decisions", "Sys.Audit", index, {"sid": _SID, "limit": _LIMIT}),
    Route("GET", "/haven/decisions/{id}", "Sys.Audit", read, {"id": _ID}),
)
