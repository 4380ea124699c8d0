"""One manager round, in the order of spec 4.1."""

from dataclasses import replace

from haven.core.crm import balancing, migrating_groups, rules_in_force
from haven.core.crm.claims import as_claimed, drop_void_keys
from haven.core.crm.commands import handle_commands
from haven.core.crm.desk import Desk
from haven.core.crm.disarming import while_disarmed
from haven.core.crm.memory import ManagerMemory
from haven.core.crm.nodes import update_nodes
from haven.core.crm.passes import run_passes
from haven.core.records import ServiceConfig, ServiceStatus
from haven.core.words import Kind, Level, NodeState, SchedulerMode, ServiceState, Wanted

DECIDING = (NodeState.ONLINE, NodeState.MAINTENANCE)


def run_round(desk: Desk) -> ManagerMemory | None:
    """Change the desk as one round does; returns what is remembered. None: the round ended early, because
    this node itself may not decide (R-3.6); nothing is written then."""
    members_changed = _members_changed(desk)
    update_nodes(desk)
    if desk.node_state(desk.seen.node) not in (DECIDING if desk.pve else (*DECIDING, NodeState.FENCE)):
        desk.tell(Kind.MASTER_OFFLINE, "this node is not online: it decides nothing", "R-3.6")
        return None
    migration_rounds = _migrate_groups(desk)
    rules_in_force.take_group_failback(desk)
    if not desk.pve:
        drop_void_keys(desk)
    if desk.disarm is None:
        _add_and_remove(desk)
    elif not desk.pve:  # disarming would wait for ever for the end of a move that nobody asks for any more
        _remove_taken_out(desk, _tracked(desk))
    scheduler = _open_usage(desk)
    rules = rules_in_force.bring_into_force(desk, desk.memory.rules, nodes_changed=members_changed)
    handle_commands(desk)
    imbalance_rounds = _decide(desk)
    return replace(
        desk.memory.with_settled(desk.settled),
        scheduler=scheduler,
        last_online_s=desk.last_online_s,
        asked_s=desk.asked_s,
        storm_until_s=desk.storm_until_s,
        unwritten_nodes=None,
        imbalance_rounds=imbalance_rounds,
        migration_rounds=migration_rounds,
        rules=rules,
    )


def _members_changed(desk: Desk) -> bool:
    """Step 1. A node that is configured but was never seen counts as a change, every round."""
    members = desk.seen.members
    return members is not None and members.keys() != desk.nodes.keys()


def _open_usage(desk: Desk) -> SchedulerMode:
    """Steps 3 and 7: the table, by the scheduler that is asked for if its figures are there (6.5)."""
    usage = desk.open_usage()
    before, now = desk.memory.scheduler, usage.mode
    if before is not now:
        why = f": no figures of {', '.join(usage.missing[:3])}" if usage.missing else ""
        level = Level.WARN if usage.missing else Level.INFO
        fields = {"from": before, "mode": now}
        sentence = f"nodes are chosen by the {now} scheduler now{why}"
        desk.tell(Kind.SCHEDULER_MODE, sentence, "6.5", level, **fields)
    return now


def _migrate_groups(desk: Desk) -> int:
    """Step 4, counted in rounds, which are ticks."""
    if not desk.seen.tick:
        return desk.memory.migration_rounds
    return migrating_groups.migrate_when_due(desk, desk.memory.migration_rounds)


def _decide(desk: Desk) -> int:
    """Steps 10 and 11; returns the rounds out of balance (R-6.3)."""
    rounds = desk.memory.imbalance_rounds
    if desk.disarm:
        while_disarmed(desk)
        return rounds
    if desk.seen.tick:
        rounds = balancing.rebalance(desk, rounds)
    run_passes(desk)
    return rounds


# Step 6


def _add_and_remove(desk: Desk) -> None:
    tracked = _tracked(desk)
    if tracked == list(desk.services):
        return  # as in nearly every round: both are sorted
    for sid in tracked:
        if sid not in desk.services:
            _add(desk, desk.configs[sid])
    desk.services = dict(sorted(desk.services.items()))
    _remove_taken_out(desk, tracked)


def _tracked(desk: Desk) -> list[str]:
    """Not one whose status cannot be read: as a new one it would be refused, and with it the whole round."""
    damaged = desk.view.damaged_of("service")
    return [
        sid for sid, config in desk.configs.items() if config.state is not Wanted.IGNORED and sid not in damaged
    ]


def _remove_taken_out(desk: Desk, tracked: list[str]) -> None:
    """But not whose configuration is there and cannot be read: nobody took it out."""
    for sid in sorted(desk.services.keys() - tracked - desk.view.damaged_of("config")):
        _remove(desk, sid, "ignored" if sid in desk.configs else "no_config")


def _add(desk: Desk, config: ServiceConfig) -> None:
    found = ServiceStatus(
        config.sid,
        ServiceState.REQUEST_START if config.wanted is Wanted.STARTED else ServiceState.REQUEST_STOP,
        config.node,
        desk.new_uid(),
        reason="added",
        rule="4.1",
        since_wall_s=desk.now.wall_s,
    )
    service = found if desk.pve else as_claimed(desk, config, found)
    desk.put(service)
    sentence = f"protected from now on, wanted {config.wanted}"
    desk.say(Kind.SERVICE_ADDED, config.sid, sentence, "4.1", node=service.node)


def _remove(desk: Desk, sid: str, reason: str) -> None:
    desk.remove(sid)
    words = "wanted state is ignored" if reason == "ignored" else "taken out of haven"
    sentence = f"no longer protected: {words}; the VM is left as it is"
    desk.say(Kind.SERVICE_REMOVED, sid, sentence, "4.1", reason=reason)
