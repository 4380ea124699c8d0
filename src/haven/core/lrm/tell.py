"""The LRM's part of the story: its events, with the fields of spec chapter 11 and a sentence for people."""

from haven.core.event import Event
from haven.core.lrm.daemon import IDLE_ROUNDS, LrmTransition
from haven.core.lrm.shutdown import ShutdownPlan
from haven.core.words import Kind, Level, LrmState, ShutdownPolicy

Scalar = str | int | bool


def state(before: LrmState, row: LrmTransition) -> Event:
    """The daemon's state changed."""
    fields = {"from": before.value, "to": row.to.value}
    return Event(Kind.LRM_STATE, row.sentence, rule=row.rule, fields=fields)


def fence_requested(*, during_maintenance: bool) -> Event:
    sentence = "the manager wants to fence this node: its lock is left to expire"
    kind = Kind.LRM_FENCE_REQUESTED
    return _event(kind, sentence, "R-2.14", Level.ERR, during_maintenance=during_maintenance)


def disarm_release(*, during_maintenance: bool) -> Event:
    sentence = "HA is disarmed: the agent lock and the watchdog are released"
    return _event(Kind.LRM_DISARM_RELEASE, sentence, "R-2.14", during_maintenance=during_maintenance)


def idle() -> Event:
    sentence = f"no services here for {IDLE_ROUNDS} rounds: the agent lock and the watchdog are released"
    return _event(Kind.LRM_IDLE, sentence, "R-2.14", rounds=IDLE_ROUNDS)


def cannot_read() -> Event:
    sentence = "the manager's record cannot be read: what was read last stays in force"
    return _event(Kind.CFS_ERROR, sentence, "R-2.11", Level.ERR, operation="read_manager_status")


def cannot_write() -> Event:
    sentence = "this node's record cannot be written: the manager sees the old one"
    return _event(Kind.CFS_ERROR, sentence, "R-1.7", Level.ERR, operation="write_lrm_status")


def aborted() -> Event:
    sentence = "the configuration cannot be read: no more orders in this round"
    return _event(Kind.CFS_ERROR, sentence, "R-2.17", Level.ERR, operation="round_aborted")


def inconsistent() -> Event:
    sentence = "what the store shows may be outdated: nothing is done on it in this round"
    return _event(Kind.CFS_INCONSISTENT_SKIP, sentence, "R-2.15", Level.NOTICE)


def shutdown_request(policy: ShutdownPolicy) -> Event:
    return _event(
        Kind.LRM_SHUTDOWN_REQUEST, f"this node goes down; the policy is {policy}", "8.1", policy=policy.value
    )


def shutdown_plan(plan: ShutdownPlan, policy: ShutdownPolicy | None) -> Event:
    """`policy` is told where the plan did not depend on it."""
    fields = {"kind": plan.kind.value, "plan": plan.name.value}
    if policy:
        fields["policy"] = policy.value
    return Event(Kind.LRM_SHUTDOWN_PLAN, plan.sentence, rule="8.1", fields=fields)


def shutdown_blocked(count: int) -> Event:
    sentence = f"cannot end: the agent lock is lost, and {count} services are still active here"
    return _event(Kind.LRM_SHUTDOWN_BLOCKED, sentence, "R-2.15", Level.ERR, count=count)


def shutdown_gave_up() -> Event:
    sentence = "ends without the agent lock, having waited long enough: the node may reset itself"
    return _event(Kind.LRM_SHUTDOWN_GAVE_UP, sentence, "R-2.15", Level.ERR)


# Orders


def begun(sid: str, action: str, timeout_s: int | None = None) -> Event:
    """A start or a stop begins; the timeout is told when the order carries one (C-1)."""
    fields: dict[str, Scalar] = {"action": action, "phase": "begin"}
    if timeout_s is not None:
        fields["timeout"] = timeout_s
    return Event(Kind.EXEC, f"to be {_PAST[action]}", sid=sid, rule="5.2", fields=fields)


def done(sid: str, action: str) -> Event:
    return _event(Kind.EXEC, f"is {_PAST[action]}", "5.2", sid=sid, action=action, phase="ok")


def failed(sid: str, action: str) -> Event:
    sentence = f"could not be {_PAST[action]}"
    return _event(Kind.EXEC, sentence, "5.2", _FAILED_LEVEL[action], sid, action=action, phase="fail")


_PAST = {"start": "started", "stop": "stopped", "move": "moved"}
_FAILED_LEVEL = {"start": Level.WARN, "stop": Level.INFO, "move": Level.ERR}


def no_config(sid: str) -> Event:
    return _event(Kind.EXEC_NO_CONFIG, "is ordered here, but is not configured", "5.2", Level.ERR, sid)


def error_state(sid: str) -> Event:
    sentence = "is in error and left alone; set it to disabled to clear the error"
    return _event(Kind.EXEC_ERROR_STATE, sentence, "5.2", Level.ERR, sid)


def wrong_node(sid: str, node: str) -> Event:
    sentence = f"is ordered here, but its configuration is on {node}"
    return _event(Kind.EXEC_WRONG_NODE, sentence, "5.2", Level.ERR, sid)


def balance_ignored(sid: str) -> Event:
    return _event(Kind.EXEC_BALANCE_IGNORED, "runs already: not moved for balance", "5.2", sid=sid)


def retry(sid: str, number: int) -> Event:
    sentence = f"start failed; try {number} again here"
    return Event(Kind.RESTART_POLICY_RETRY, sentence, sid, "R-5.4", Level.WARN, {"try": number})


def exhausted(sid: str, tries: int) -> Event:
    sentence = f"start failed; no more tries here after {tries} again: the manager decides"
    return _event(Kind.RESTART_POLICY_EXHAUSTED, sentence, "R-5.4", Level.ERR, sid, tries=tries)


def _event(
    kind: Kind, sentence: str, rule: str, level: Level = Level.INFO, sid: str | None = None, **fields: Scalar
) -> Event:
    return Event(kind, sentence, sid=sid, rule=rule, level=level, fields=dict(fields))
