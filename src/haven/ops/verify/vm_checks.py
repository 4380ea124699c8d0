"""Checks of the protected VMs: each wanted and real, and what would keep it from coming back."""

from collections.abc import Iterator
from shlex import quote

from haven.core import sentences
from haven.core.boot_order import started_by_haven
from haven.core.hands_off import reserve
from haven.core.sentences import duration
from haven.core.words import HandsOff, ServiceState, Wanted
from haven.ops.verify.facts import Facts, Finding, Watched, each, fail, good, warn

STALE_DRILL_S = 90 * 86400.0


def protected(facts: Facts) -> Iterator[Finding]:
    """`ha-manager config`: the VMs are in haven's care."""
    free = [vm for vm in facts.running if not vm.protected]
    if facts.protected:
        yield good(f"{len(facts.protected)} protected: {each([vm.label for vm in facts.protected])}")
    elif not free:
        yield warn("no VM is protected", "ha-manager add vm:ID --state started --max_restart 3")
    if free:
        verb = "runs and is" if len(free) == 1 else "run and are"
        mend = f"ha-manager add {quote(free[0].sid)} --state started --max_restart 3"
        yield warn(f"{each([vm.label for vm in free])} {verb} not protected: if it stops, it stays off", mend)


def running(facts: Facts) -> Iterator[Finding]:
    """`ha-manager status`: what should run does, and nothing is in error or held."""
    found = [finding for vm in facts.protected if (finding := _trouble(facts, vm))]
    yield from found
    if found:
        return
    wanted = [vm for vm in facts.protected if vm.should_run]
    off = len(facts.protected) - len(wanted)
    rest = f"; {off} off on purpose" if off else ""
    if wanted and not facts.libvirt_trouble:
        yield good(f"{each([vm.sid for vm in wanted])}: wanted started, running{rest}")
    elif not wanted:
        yield good(f"no VM is wanted to run{rest}")


def _trouble(facts: Facts, vm: Watched) -> Finding | None:
    """What is wrong with one VM, the most telling first."""
    assert vm.config is not None
    if vm.seen is None:
        if facts.libvirt_trouble:
            return None
        gone = f"{vm.label}: libvirt has no such VM any more"
        return fail(gone, f"define it again, or: ha-manager remove {vm.sid}", vm.sid)
    if vm.service and vm.service.held:
        left_s = vm.service.held.until.remaining_s(facts.now)
        seen = f"{vm.label} is held: {vm.service.held.detail}; tried again in {duration(left_s)}"
        return fail(seen, f"haven explain {vm.sid}; when it is mended: qm start {vm.vmid}", vm.sid)
    if vm.service and vm.service.state is ServiceState.ERROR:
        seen = f"{vm.label} is in error: {vm.service.reason}"
        return fail(seen, f"mend it, then: ha-manager set {vm.sid} --state disabled", vm.sid)
    if vm.should_run and not vm.runs:
        return fail(f"{vm.label} should run and is {vm.seen.status}", f"haven explain {vm.sid}", vm.sid)
    if not vm.should_run and vm.runs:
        return warn(f"{vm.label} should be off and runs", f"haven explain {vm.sid}", vm.sid)
    return None


def autostart(facts: Facts) -> Iterator[Finding]:
    """libvirt starts at boot what should run, even if haven does not; but not what has its turn (boot order)."""
    seen = [vm for vm in facts.protected if vm.seen and not _is_its_owners(facts, vm)]
    wrong = [vm for vm in seen if vm.seen and vm.seen.persistent and vm.seen.autostart != _by_libvirt(facts, vm)]
    for vm in wrong:
        too_early = "haven starts it in its turn" if vm.should_run else "it should be off"
        word = f"on, though {too_early}" if vm.seen and vm.seen.autostart else "off, though it should run"
        off = " --disable" if vm.seen and vm.seen.autostart else ""
        mend = f"virsh autostart {vm.typed}{off} (haven does it by itself while it runs)"
        yield warn(f"{vm.label}: libvirt's autostart is {word}", mend, vm.sid)
    for vm in seen:
        if vm.seen and not vm.seen.persistent:
            mend = f"virsh dumpxml {vm.typed} > haven.xml; virsh define haven.xml"
            yield fail(f"{vm.label} is transient: gone for good when it stops", mend, vm.sid)
    if seen and not wrong:
        yield good("libvirt's autostart is as wanted")


def _is_its_owners(facts: Facts, vm: Watched) -> bool:
    """haven leaves the autostart of an observed VM, and of one in maintenance, as it is."""
    kept = facts.view and reserve(facts.view, vm.sid, None, facts.now)
    return bool(kept and kept.why in (HandsOff.OBSERVE, HandsOff.MAINTENANCE))


def _by_libvirt(facts: Facts, vm: Watched) -> bool:
    """Whether libvirt is to start it at host boot."""
    in_turn = facts.view and vm.config and started_by_haven(facts.view, vm.config.node, vm.sid)
    return vm.should_run and not in_turn


def saved(facts: Facts) -> Iterator[Finding]:
    """A managed-save image: the next start would go on in the state of an earlier day (SAFETY 7)."""
    found = [vm for vm in facts.protected if vm.seen and vm.seen.managed_save]
    for vm in found:
        seen = f"{vm.label} has a saved state: its next start goes on where it was saved, not afresh"
        yield warn(seen, f"virsh managedsave-remove {vm.typed}", vm.sid)
    if facts.protected and not found:
        yield good("no saved states of older runs")


def agents(facts: Facts) -> Iterator[Finding]:
    """The guest's agent: orderly shutdowns, frozen backups, and seeing a hang need it."""
    up = [vm for vm in facts.protected if vm.seen and vm.seen.status == "running"]
    silent = [vm for vm in up if vm.seen and vm.seen.has_agent and not vm.seen.agent_answers]
    without = [vm for vm in up if vm.seen and not vm.seen.has_agent]
    for vm in silent:
        mend = "in the guest: systemctl enable --now qemu-guest-agent"
        yield warn(f"{vm.label}: the guest agent does not answer", mend, vm.sid)
    if without:
        seen = f"{each([vm.label for vm in without])}: no channel for a guest agent"
        yield warn(seen, f"virsh edit {without[0].typed}: add <channel type='unix'> org.qemu.guest_agent.0")
    if answering := [vm.sid for vm in up if vm.seen and vm.seen.agent_answers]:
        yield good(f"{each(answering)}: the guest agent answers")


def hangs(facts: Facts) -> Iterator[Finding]:
    """A VM that hangs is noticed only where somebody asked for it, and only if it has a way to show life."""
    if facts.view is None:
        return
    blind, deaf, watched = [], [], []
    for vm in facts.protected:
        care = facts.view.care(vm.sid)
        if care.hang is None and not care.checks:
            blind.append(vm)
        elif care.hang and not care.checks and vm.seen and vm.runs and not vm.seen.agent_answers:
            deaf.append(vm)
        else:
            watched.append(vm)
    for vm in deaf:
        seen = f"{vm.label}: looks for hangs, but neither agent nor check would tell"
        yield warn(seen, f"haven set {vm.sid} --check 'ping ADDRESS'", vm.sid)
    if blind:
        seen = f"a hang of {each([vm.label for vm in blind])} is not noticed"
        yield warn(seen, f"haven set {blind[0].sid} --hang-after 300")
    if watched:
        yield good(f"{each([vm.sid for vm in watched])}: a hang is noticed")


def drills(facts: Facts) -> Iterator[Finding]:
    """Nothing is known to work that was never tried (the guide: test restart functionality)."""
    never = [vm for vm in facts.protected if vm.sid not in facts.drills]
    for vm in facts.protected:
        drill = facts.drills.get(vm.sid)
        if drill is None:
            continue
        ago = duration_days(facts.now.wall_s - drill.at_wall_s)
        if drill.outage_s is None:
            seen = f"{vm.label} did not come back in its drill, {ago} ago"
            yield fail(seen, f"haven incidents {vm.sid}", vm.sid)
        elif facts.now.wall_s - drill.at_wall_s > STALE_DRILL_S:
            yield warn(f"{vm.label}: the last drill was {ago} ago", f"haven drill {vm.sid}", vm.sid)
        else:
            yield good(f"{vm.label}: drilled {ago} ago, back after {drill.outage_s:.1f} s")
    if never:
        yield warn(f"never drilled: {each([vm.label for vm in never])}", f"haven drill {never[0].sid}")


def duration_days(length_s: float) -> str:
    """`3 days`, or shorter lengths in their own units."""
    return f"{length_s / 86400:.0f} days" if length_s >= 2 * 86400 else duration(length_s)


def hands_off(facts: Facts) -> Iterator[Finding]:
    """What somebody asked for that keeps haven from acting: forgotten, it is an outage waiting to happen."""
    view = facts.view
    if view is None:
        return
    found = []
    manager = view.manager()
    if manager and manager.disarm:
        found.append(fail("HA is disarmed: a VM that dies is not restarted", "ha-manager crm-command arm-ha"))
    for vm in facts.protected:
        kept = reserve(view, vm.sid, None, facts.now)
        if kept:
            left = f", for {duration(kept.remaining_s)} more" if kept.remaining_s is not None else ""
            seen = f"{vm.label}: hands off, {kept.sentence}{left}"
            found.append(warn(seen, _ENDS[kept.why].format(vm=vm), vm.sid))
    for vm in facts.watched:
        if vm.config and vm.config.wanted is Wanted.IGNORED:
            seen = f"{vm.label} is ignored{sentences.by(vm.config.origin)}: haven leaves it alone"
            found.append(warn(seen, f"ha-manager set {vm.sid} --state started", vm.sid))
    yield from found
    if not found:
        yield good("no maintenance, no locks, nothing only observed")


_ENDS = {
    HandsOff.OBSERVE: "haven protect {vm.sid}",
    HandsOff.MAINTENANCE: "haven maintenance list; haven maintenance end ID",
    HandsOff.LOCKED: "qm unlock {vm.vmid}",
}


def incidents(facts: Facts) -> Iterator[Finding]:
    """Outages that have not ended."""
    for incident in facts.open_incidents:
        age = duration(facts.now.wall_s - incident.opened_wall_s)
        name = f"{incident.sid} ({incident.name})" if incident.name else incident.sid
        seen = f"{name} has been down for {age} ({incident.cause})"
        yield fail(seen, f"haven explain {incident.sid}", incident.sid)
    if not facts.open_incidents and not facts.history_trouble:
        yield good("no open incident")
