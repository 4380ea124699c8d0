"""One decision of the manager from a few records, and what it writes and tells."""

from typing import Any

from haven.core import manager
from haven.core.clock import Now, deadline_after
from haven.core.contract import Decision, ManagerObservation
from haven.core.manager import ManagerMemory
from haven.core.records import (
    Command,
    Hold,
    Lock,
    LrmRecord,
    ManagerRecord,
    Origin,
    Record,
    Result,
    ServiceConfig,
    ServiceStatus,
)
from haven.core.service import Trigger
from haven.core.settings import Settings
from haven.core.transaction import Put
from haven.core.view import Versioned, View
from haven.core.words import (
    CrmState,
    ExitCode,
    HoldCause,
    Kind,
    LrmMode,
    LrmState,
    NodeState,
    Policy,
    ServiceState,
    Verb,
    Wanted,
)

NOW = Now(500.0, 1_700_000_000.0, "boot")
ROOT = Origin("root", "qm stop", NOW.wall_s)
S = ServiceState
T = Trigger


def view_of(*records: tuple[str, Record], revision: int = 40) -> View:
    """Keys and records; each was written at its own revision."""
    entries = {key: Versioned(record, number) for number, (key, record) in enumerate(records, 7)}
    return View.of("incarnation", revision, entries)


def decide(
    *records: tuple[str, Record], policy: Policy = Policy.HAVEN, tick: bool = False, now: Now = NOW
) -> Decision[ManagerMemory]:
    """One round of the manager that holds the lock."""
    known = ManagerRecord("alpha", NOW.wall_s, CrmState.MASTER, {"alpha": NodeState.ONLINE})
    view = view_of(("lock/manager", Lock("alpha", "crm-1")), ("manager", known), *records)
    settings = Settings(node="alpha", policy=policy)
    master = ManagerMemory(CrmState.MASTER)
    return manager.step(master, ManagerObservation("alpha", "crm-1", view, tick, settings), now)


def written(decision: Decision[ManagerMemory], key: str) -> Any:
    """The record that the decision writes at this key; None when it does not."""
    for transaction in decision.transactions:
        for write in transaction.writes:
            if isinstance(write, Put) and write.key == key:
                return write.record
    return None


def kinds(decision: Decision[ManagerMemory]) -> list[Kind]:
    return [event.kind for event in decision.events]


def moves(decision: Decision[ManagerMemory]) -> list[tuple[object, object]]:
    return [(e.fields["from"], e.fields["to"]) for e in decision.events if e.kind is Kind.SERVICE_STATE]


def configured(state: Wanted = Wanted.STARTED, **more: Any) -> tuple[str, Record]:
    return "config/vm:102", ServiceConfig("vm:102", "uuid", "alpha", state, **more)


def service(state: ServiceState, **more: Any) -> tuple[str, Record]:
    return "service/vm:102", ServiceStatus("vm:102", state, "alpha", "uid-1", **more)


def reported(state: ServiceState, code: ExitCode, **more: Any) -> tuple[str, Record]:
    results = {"uid-1": Result("vm:102", state, code, **more)}
    return "lrm/alpha", LrmRecord("alpha", LrmState.ACTIVE, LrmMode.ACTIVE, 0.0, results=results)


def stop(timeout_s: int) -> tuple[str, Record]:
    return "command/1", Command("1", Verb.STOP, "vm:102", timeout_s, ROOT)


def hold(**more: Any) -> Hold:
    return Hold(HoldCause.START_FAILED, "no memory", deadline_after(NOW, 60.0), NOW.wall_s, 1, 9, **more)


FAILED = reported(S.STARTED, ExitCode.ERROR, hold=HoldCause.DISK_MISSING, detail="disk /a is missing")
LOOP = reported(S.STARTED, ExitCode.ERROR, hold=HoldCause.CRASH_LOOP, detail="crash loop: 5 ends", hold_s=600.0)
