"""Legacy groups become rules, once every node can read rules (spec 6.8)."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from haven.core.active import active_services
from haven.core.crm.desk import Desk
from haven.core.event import Scalar
from haven.core.rules.groups import migrate_groups
from haven.core.transaction import Delete, Guard, Put, Transaction
from haven.core.words import Kind, Level, LrmMode, LrmState, NodeState

RETRY_ROUNDS = 6
RETRY_S = 60
MIN_VERSION = "9.0.0~16"
_MIN_NUMBERS, _MIN_REV = (9, 0, 0), 16

_VERSION = re.compile(r"(\d+)\.(\d+)[.-](\d+)(?:~(\d+))?")


def can_read_rules(version: str) -> bool:
    """R-6.13: `major.minor(.|-)patch[~rev]`, at least 9.0.0~16; no rev is newer than any."""
    match = _VERSION.match(version)
    if match is None:
        return False
    numbers = (int(match[1]), int(match[2]), int(match[3]))
    if numbers != _MIN_NUMBERS:
        return numbers > _MIN_NUMBERS
    return match[4] is None or int(match[4]) >= _MIN_REV


def migrate_when_due(desk: Desk, rounds_left: int) -> int:
    """R-6.11: in the third round of a manager, then in every sixth; returns the counter. Not while a record of
    them cannot be read: its service would be left without its rule."""
    if not desk.view.groups() or any(map(desk.view.damaged_of, ("config", "group", "rule"))):
        return rounds_left
    if rounds_left > 1:
        return rounds_left - 1
    _attempt(desk)
    return RETRY_ROUNDS


def _attempt(desk: Desk) -> None:
    """R-6.12."""
    _step(desk, "start", "groups are to become rules")
    if _first_refusal(desk) is None:
        _write(desk)
        return
    _step(desk, "failed", "groups stay as they are for now", Level.ERR)
    sentence = f"tried again in {RETRY_ROUNDS} rounds"
    _step(desk, "retry", sentence, rounds=RETRY_ROUNDS, seconds=RETRY_S)


@dataclass(frozen=True, slots=True)
class _Check:
    """`told` is reported before it is judged; `reason` names the refusal."""

    step: str
    told: dict[str, Scalar]
    fine: bool
    reason: str


def _first_refusal(desk: Desk) -> str | None:
    if not desk.seen.quorate or not desk.nodes:
        _step(desk, "abort", "not yet: no quorum", Level.ERR, reason="no_quorum")
        return "no_quorum"
    for node in sorted(desk.nodes):
        for check in _CHECKS:
            found = check(desk, node)
            said = ", ".join(f"{name} {value}" for name, value in found.told.items())
            _step(desk, found.step, f"{node}: {said}", node=node, **found.told)
            if not found.fine:
                version = {"min_version": MIN_VERSION} if found.reason == "version_too_old" else {}
                sentence = f"not yet: {node}: {said}"
                _step(desk, "abort", sentence, Level.ERR, node=node, reason=found.reason, **version)
                return found.reason
    return None


def _check_node(desk: Desk, node: str) -> _Check:
    state = desk.node_state(node)
    return _Check("check_node", {"state": state}, state is NodeState.ONLINE, "node_not_online")


def _check_lrm(desk: Desk, node: str) -> _Check:
    record = desk.view.lrms().get(node)
    state = record.state if record else LrmState.STARTUP
    mode = record.mode if record else LrmMode.ACTIVE
    idle = state is LrmState.WAIT_FOR_AGENT_LOCK and active_services(node, desk.services.values()) == 0
    fine_state = state is LrmState.ACTIVE or idle
    reason = "lrm_mode" if fine_state else "lrm_state"
    return _Check("check_lrm", {"state": state, "mode": mode}, fine_state and mode is LrmMode.ACTIVE, reason)


def _check_version(desk: Desk, node: str) -> _Check:
    """Every haven can read rules; only `pve` has to ask for the version."""
    member = (desk.seen.members or {}).get(node)
    version = member.version if member else ""
    return _Check(
        "check_version", {"version": version}, not desk.pve or can_read_rules(version), "version_too_old"
    )


_CHECKS: tuple[Callable[[Desk, str], _Check], ...] = (_check_node, _check_lrm, _check_version)


def _write(desk: Desk) -> None:
    """R-6.14; the same round works with the result."""
    view = desk.view
    migration = migrate_groups(view.rules(), view.groups(), view.configs().values())
    for config in migration.services:
        desk.write_config(config.sid, group=config.group, failback=config.failback)
    puts = tuple(Put(f"rule/{rule.id}", rule) for rule in migration.rules)
    deletes = tuple(Delete(f"group/{group}") for group in migration.groups)
    writes: tuple[Put | Delete, ...] = (*puts, *deletes)
    guards = tuple(Guard(write.key, view.revision_of(write.key)) for write in writes)
    desk.also(Transaction(view.incarnation, guards, writes))
    desk.migrated_rules = migration.rules
    for step, sentence in (
        ("rules_written", f"{len(migration.rules)} groups are rules now"),
        ("resources_written", f"{len(migration.services)} services have left their groups"),
        ("groups_deleted", "the groups are gone"),
        ("success", "groups have become rules"),
    ):
        _step(desk, step, sentence)


def _step(desk: Desk, step: str, sentence: str, level: Level = Level.NOTICE, /, **fields: Scalar) -> None:
    desk.tell(Kind.GROUP_MIGRATION, sentence, "R-6.12", level, step=step, **fields)
