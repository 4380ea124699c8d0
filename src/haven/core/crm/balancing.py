"""Automatic rebalancing (spec 6.7): at most one bundle a round, moved as if a person had asked for it."""

from haven.core.crm.commands import queue_move
from haven.core.crm.desk import Desk
from haven.core.crm.user_moves import can_move_live
from haven.core.placement.rebalance import choose_move
from haven.core.placement.spread import imbalance
from haven.core.words import MOVING, Kind, SchedulerMode, Verb

MOVE_VERBS = (Verb.MIGRATE, Verb.RELOCATE)


def rebalance(desk: Desk, rounds: int) -> int:
    """R-6.1 to R-6.6; returns the count of rounds in a row that were out of balance."""
    options = desk.options
    usage = desk.placement.usage
    if not options.auto_rebalance or usage.mode is SchedulerMode.BASIC or _something_moves(desk):
        return rounds
    if imbalance(usage.node_loads()) <= options.threshold:
        return 0
    if rounds + 1 < options.hold_rounds:
        return rounds + 1
    _move_one(desk)
    return 0


def _something_moves(desk: Desk) -> bool:
    return any(
        service.state in MOVING or (service.cmd and service.cmd.verb in MOVE_VERBS)
        for service in desk.services.values()
    )


def _move_one(desk: Desk) -> None:
    options = desk.options
    move = choose_move(desk.placement, options.method, options.margin, left_alone=_left_alone(desk))
    if move is None:
        return
    verb = Verb.MIGRATE if can_move_live(desk.services[move.leader]) else Verb.RELOCATE
    before, after = round(move.imbalance_from, 2), round(move.imbalance_to, 2)
    desk.say(
        Kind.AUTO_REBALANCE,
        move.leader,
        f"moves to {move.target}: imbalance {before} becomes {after}",
        "R-6.6",
        action=verb,
        target=move.target,
        imbalance_from=before,
        imbalance_to=after,
    )
    queue_move(desk, move.leader, verb, move.target)


def _left_alone(desk: Desk) -> frozenset[str]:
    """Who is not to be moved; and whose configuration is damaged: its move would wait for the mend, and all others
    for its move."""
    exempt = (sid for sid, config in desk.configs.items() if not config.may_be_rebalanced)
    return desk.view.damaged_of("config").union(exempt)
