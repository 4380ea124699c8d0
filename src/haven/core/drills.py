"""Drills: whether a VM may be killed to see that it comes back, and when the next scheduled one is due."""

from collections.abc import Iterable

from haven.core.clock import Now
from haven.core.hands_off import judge
from haven.core.records import DrillPlan, ServiceConfig
from haven.core.view import View
from haven.core.words import MEND_DAMAGED, ServiceState, Wanted

DAY_S = 86400.0
HOUR_S = 3600.0
AFTER_BOOT_S = 600.0
"""No scheduled drill so soon after the host's boot: everything is still coming up."""
TOO_LONG_S = 900.0
"""A drill whose VM does not serve after so long has failed."""
BEGIN_WITHIN_S = 60.0
"""A drill that has not begun so long after it was asked for is not held: who asked expects it no more."""


def _nobody_would(view: View, sid: str) -> str:
    if sid in view.damaged_of("config"):
        return f"the configuration of {sid} is damaged in the store, nothing would bring it back: {MEND_DAMAGED}"
    return f"{sid} is not protected, so nothing would bring it back: ha-manager add {sid}"


def refusal(view: View, sid: str, job: str, now: Now) -> str:
    """Why this VM is not to be killed now, and what to do about it; empty when it may be. `job`: what libvirt is
    doing to it."""
    config, service, manager = view.configs().get(sid), view.services().get(sid), view.manager()
    if config is None:
        return _nobody_would(view, sid)
    if manager and manager.disarm:
        return "HA is disarmed, so nothing would bring it back: ha-manager crm-command arm-ha"
    if hands := judge(view, sid, job, now):
        return f"{sid} is {hands.sentence}"
    if config.wanted is Wanted.IGNORED:
        return f"{sid} is ignored, so nothing would bring it back: ha-manager set {sid} --state started"
    if config.wanted is not Wanted.STARTED:
        return f"{sid} is wanted {config.wanted.value}: qm start {sid.partition(':')[2]}"
    if view.run_key_is_damaged(config.uuid):
        return f"the run key of {sid} is damaged in the store, so nothing would bring it back: {MEND_DAMAGED}"
    if service and service.held:
        return f"{sid} is held: {service.held.detail}"
    if service is None or service.state is not ServiceState.STARTED or not runs(view, config):
        return f"{sid} does not run as it should: haven explain {sid}"
    if view.journals()[config.uuid].incident:
        return in_trouble_words(sid)
    others = [other for other in under_way(view) if other != sid]
    return f"a drill of {others[0]} is under way: one at a time" if others else ""


def is_stale(asked_wall_s: float, now: Now) -> bool:
    """Asked for too long ago to be held now; or later than now, for then the clock was set, and nobody knows."""
    return abs(now.wall_s - asked_wall_s) > BEGIN_WITHIN_S


def in_trouble_words(sid: str) -> str:
    """It hangs, or waits for its disk: a kill would cost what it still holds, and show nothing."""
    return f"{sid} is in trouble already: haven explain {sid}"


def runs(view: View, config: ServiceConfig) -> bool:
    journal = view.journals().get(config.uuid)
    return journal is not None and journal.running


def under_way(view: View) -> tuple[str, ...]:
    """The VMs that are being drilled, or are about to be."""
    journals, asked = view.journals(), view.drills()
    return tuple(
        sid
        for sid, config in view.configs().items()
        if sid in asked or ((journal := journals.get(config.uuid)) and journal.drill)
    )


def in_trouble(view: View, node: str) -> str:
    """A VM of this node that should run and does not, or is not done with its last incident; empty: none."""
    services, journals = view.services(), view.journals()
    for sid, config in view.configs().items():
        if config.node != node or config.wanted is not Wanted.STARTED:
            continue
        service, journal = services.get(sid), journals.get(config.uuid)
        well = service and service.state is ServiceState.STARTED and journal and journal.running
        if not well or (journal and journal.incident):
            return sid
    return ""


def due(view: View, node: str, now: Now, utc_offset_s: int) -> Iterable[str]:
    """The VMs of this node whose scheduled drill is to be now, the longest waiting first; none of them while any
    VM of this host is in trouble, or just after its boot."""
    if now.boottime_s < AFTER_BOOT_S or in_trouble(view, node) or under_way(view):
        return ()
    waiting = []
    for sid, config in view.configs().items():
        plan, journal = view.care(sid).drill, view.journals().get(config.uuid)
        last_s = journal.drilled_wall_s if journal else None
        if plan and config.node == node and next_s(plan, last_s, now.wall_s, utc_offset_s) <= now.wall_s:
            waiting.append((last_s or 0.0, sid))
    return tuple(sid for _last_s, sid in sorted(waiting))


def next_s(plan: DrillPlan, last_s: float | None, wall_s: float, utc_offset_s: int) -> float:
    """When the next drill may begin, in wall time: now, inside its hours, if it is due. Days are those of the
    host's local time, so that a drill does not wander through the night; hours across midnight are of one night,
    and for them a day begins with the first of these hours."""
    hours = (plan.to_hour - plan.from_hour) % 24 or 24
    begins_h = plan.from_hour if plan.from_hour + hours > 24 else 0
    zero_s = begins_h * HOUR_S - utc_offset_s
    today = int((wall_s - zero_s) // DAY_S)
    day = today if last_s is None else max(today, int((last_s - zero_s) // DAY_S) + plan.every_days)
    opens_s = zero_s + day * DAY_S + (plan.from_hour - begins_h) * HOUR_S
    if wall_s < opens_s + hours * HOUR_S:
        return max(opens_s, wall_s)
    return opens_s + DAY_S
