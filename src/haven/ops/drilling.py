"""Drills: asked for, and scheduled."""

from dataclasses import replace

from haven.core import drills
from haven.core.care import hours_of_a_window
from haven.core.clock import Now
from haven.core.event import Event
from haven.core.records import DrillPlan, DrillRequest, Origin
from haven.core.sentences import by, duration
from haven.core.transaction import Put
from haven.core.view import View
from haven.core.words import Kind
from haven.ops.deeds import Deed, OpsError


def ask(view: View, sid: str, uid: str, job: str, origin: Origin, now: Now, late_s: float) -> Deed:
    """Raises OpsError with the reason when the VM is not to be killed now. The node daemon's word does not count
    any more when it is older than `late_s`."""
    if why := drills.refusal(view, sid, job, now) or _nobody_there(view, sid, now, late_s):
        raise OpsError(f"no drill: {why}")
    if sid in drills.under_way(view):
        raise OpsError(f"no drill: one of {sid} is under way already")
    request = DrillRequest(sid, uid, now.wall_s, origin)
    return Deed((Put(f"drill/{sid}", request),), (), f"a drill of {sid} begins", uid)


def schedule(view: View, sids: tuple[str, ...], plan: DrillPlan | None, origin: Origin) -> Deed:
    """None: no more drills by themselves. Raises OpsError."""
    if strange := [sid for sid in sids if sid not in view.configs()]:
        raise OpsError(
            f"{strange[0]} is not protected, so nothing would bring it back: ha-manager add {strange[0]}"
        )
    if plan and not hours_of_a_window(plan.from_hour, plan.to_hour):
        hours = f"{plan.from_hour}-{plan.to_hour}"
        raise OpsError(f"no drill can be between {hours}: expected two hours of the day, like 2-5 or 22-4")
    writes, events = [], []
    for sid in sids:
        care = view.care(sid)
        if care.drill != plan:
            writes.append(Put(f"care/{sid}", replace(care, drill=plan)))
            events.append(_changed(sid, care.drill, plan, origin))
    what = f"drilled {words(plan)}" if plan else "no drills by schedule any more"
    return Deed(tuple(writes), tuple(events), f"{', '.join(sids) or 'no VM'}: {what}")


def _nobody_there(view: View, sid: str, now: Now, late_s: float) -> str:
    """Who would kill it, and bring it back, is away; empty: it is there."""
    node = view.configs()[sid].node
    lrm = view.lrms().get(node)
    if lrm is None or now.wall_s - lrm.timestamp_wall_s > late_s:
        seen = f"was last seen {duration(now.wall_s - lrm.timestamp_wall_s)} ago" if lrm else "was never seen"
        return f"the node daemon of {node} {seen}, so nothing would bring it back: systemctl start pve-ha-lrm"
    if not lrm.hypervisor_ok:
        return f"libvirt of {node} does not answer, so nothing would bring it back: systemctl status libvirtd"
    return ""


def words(plan: DrillPlan | None) -> str:
    """`every 30 days between 2:00 and 5:00`."""
    if plan is None:
        return "never"
    days = "every day" if plan.every_days == 1 else f"every {plan.every_days} days"
    return f"{days} between {plan.from_hour}:00 and {plan.to_hour}:00"


def _changed(sid: str, before: DrillPlan | None, after: DrillPlan | None, origin: Origin) -> Event:
    sentence = f"drill: {words(before)} -> {words(after)}{by(origin)}"
    fields = {"who": origin.who, "via": origin.via, "from": words(before), "to": words(after)}
    return Event(Kind.CONFIG_CHANGED, sentence, sid, fields=fields)
