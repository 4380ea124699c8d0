"""The node daemon's sign of life in the store: at every tick, and as soon as one was missed."""

from haven.core.clock import Now
from haven.core.contract import NodeObservation
from haven.core.node import step as node
from haven.core.node.memory import NodeMemory
from haven.core.records import AgentEpoch, LrmRecord
from haven.core.transaction import Put
from tests.core.deciding import view_of

KEY = "lrm/alpha"


def record_written(last: LrmRecord | None, at_s: float, *, tick: bool) -> LrmRecord | None:
    """What an idle node writes when it looks at that moment."""
    held = ("agent/alpha", AgentEpoch("alpha", "boot", "boot", "lrm-1"))
    view = view_of(held, (KEY, last)) if last else view_of(held)
    seen = NodeObservation("alpha", "lrm-1", view, {}, tick=tick)
    decision = node.step(NodeMemory(), seen, Now(at_s, at_s, "boot"))
    writes = [write for transaction in decision.transactions for write in transaction.writes]
    found = [write.record for write in writes if isinstance(write, Put) and write.key == KEY]
    assert all(isinstance(record, LrmRecord) for record in found)
    return found[0] if found else None  # type: ignore[return-value]


def test_it_is_written_at_ticks_and_when_the_last_one_is_old() -> None:
    first = record_written(None, 1000.0, tick=True)
    assert first is not None
    assert record_written(first, 1012.0, tick=False) is None
    assert record_written(first, 1010.0, tick=True) is not None
    # The first tick after a start went into taking the agent lock: haven status said "silent" until the second.
    assert record_written(first, 1060.0, tick=False) is not None
