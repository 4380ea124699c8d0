"""Checks of haven itself: can it do its work, and would a person hear of it?"""

from collections.abc import Iterator
from shlex import quote

from haven.core.sentences import duration, size
from haven.core.settings_change import difference
from haven.ops.verify.facts import Facts, Finding, each, fail, good, warn

UNITS = ("pve-ha-lrm.service", "pve-ha-crm.service", "haven-api.service")
NEEDED_MIB = 64
A_DAY_S = 86400.0
_SANE_S = 1_735_689_600.0
"""The first of January 2025: no haven is older."""
_AHEAD_S = 60.0
_HARM = {
    "lrm": "a VM that dies now is not restarted",
    "crm": "changes of what should run wait",
    "api": "commands and messages do not work",
}


def quorum(facts: Facts) -> Iterator[Finding]:
    """`pvecm status`, as the guide asks for it."""
    if facts.store_trouble:
        yield fail("Quorate: No, the store cannot be read", "see the line about the store")
    else:
        yield good("Quorate: Yes; one host needs nobody else (pvecm status)")


def daemons(facts: Facts) -> Iterator[Finding]:
    """They run, and looked lately."""
    for daemon in facts.daemons:
        if not daemon.ok:
            yield fail(f"haven {daemon.name}: {daemon.state}; {_HARM[daemon.name]}", _start(facts))
    working = [daemon for daemon in facts.daemons if daemon.ok]
    if working and len(working) == len(facts.daemons):
        oldest_s = max((daemon.fresh_s or 0.0 for daemon in working), default=0.0)
        yield good(f"{each([one.name for one in working])} run; the last look is {duration(oldest_s)} old")


def _start(facts: Facts) -> str:
    present = facts.systemd.units if facts.systemd else {}
    known = [name for name in UNITS if name in present]
    return f"systemctl restart {' '.join(known)}" if known else "haven up"


def boot(facts: Facts) -> Iterator[Finding]:
    """Somebody starts haven when the host boots."""
    if facts.systemd is None:
        yield warn(
            "no systemd here: after a boot of the host somebody has to start haven",
            "start `haven up` from what starts this machine's services",
        )
        return
    units = [facts.systemd.units[name] for name in UNITS if name in facts.systemd.units]
    if not units:
        yield warn("haven is not installed as a service: nothing starts it after a boot", "haven setup")
        return
    for unit in units:
        if unit.active != "active":
            yield fail(f"{unit.name} is {unit.active}", f"systemctl start {unit.name}")
        if not unit.starts_at_boot:
            yield fail(f"{unit.name} is {unit.enabled}: not started at boot", f"systemctl enable {unit.name}")
    if all(unit.active == "active" and unit.starts_at_boot for unit in units):
        yield good(f"{each([unit.name.removesuffix('.service') for unit in units])} are enabled and active")


def libvirt(facts: Facts) -> Iterator[Finding]:
    if facts.libvirt_trouble:
        yield fail(f"{facts.libvirt_trouble}; VMs run on, none can be restarted", "systemctl restart libvirtd")
    else:
        yield good(f"libvirt answers; VMs it has: {len([vm for vm in facts.watched if vm.seen])}")


def store(facts: Facts) -> Iterator[Finding]:
    """The store and the history can be read and written, and there is room for them."""
    if facts.store_trouble:
        yield fail(facts.store_trouble, f"haven's log says more; then: {_start(facts)}")
    if facts.history_trouble:
        yield fail(f"the history cannot be used: {facts.history_trouble}", f"ls -l {facts.state_dir}")
    space = facts.state_space
    if space and space.free_mib < NEEDED_MIB:
        yield fail(
            f"{size(space.free_mib)} left in {facts.state_dir}: changes may not be saved", "free some space"
        )
    elif not facts.store_trouble and not facts.history_trouble:
        room = f", {size(space.free_mib)} free" if space else ""
        yield good(f"store and history work ({facts.state_dir}{room})")


def settings(facts: Facts) -> Iterator[Finding]:
    """haven.toml can be read, by haven only if it holds secrets, and the running processes read the same."""
    if facts.settings_trouble:
        yield fail(f"{facts.settings_trouble}; what runs keeps the old settings", "haven config shows all keys")
        return
    stale = {
        daemon.name: changed
        for daemon in facts.daemons
        if daemon.settings is not None and (changed := difference(daemon.settings, facts.settings_file))
    }
    for changed in dict.fromkeys(stale.values()):
        names = each([name for name in stale if stale[name] == changed])
        seen = f"haven.toml was changed since {names} started: {changed}"
        yield warn(seen, f"restart haven, no VM is touched: {_start(facts)}")
    if facts.settings_open:
        seen = f"every user of this host can read the secrets in {facts.settings_open}"
        yield warn(seen, f"chmod 600 {quote(facts.settings_open)}")
    elif not stale:
        in_force = any(daemon.settings is not None for daemon in facts.daemons)
        yield good("haven.toml is valid and in force" if in_force else "haven.toml is valid")


def told(facts: Facts) -> Iterator[Finding]:
    """An incident reaches a person."""
    reach = facts.told
    if not reach.targets:
        yield warn("nobody is told of an incident", 'notify = ["..."] in haven.toml, then: haven notify test')
    elif reach.trouble:
        yield fail(reach.trouble, "haven notify test")
    elif reach.last_ok_s is None:
        yield warn(f"no message was ever sent to {each(reach.targets)}", "haven notify test")
    else:
        ago = duration(facts.now.wall_s - reach.last_ok_s)
        yield good(f"{each(reach.targets)}; the last message went out {ago} ago")


def heartbeat(facts: Facts) -> Iterator[Finding]:
    """Somebody outside notices that this host, or haven, is gone."""
    if facts.told.heartbeat:
        yield good(f"called every minute: {facts.told.heartbeat}")
    else:
        yield warn(
            "nobody outside notices when this host or haven dies",
            'heartbeat_url = "..." in haven.toml, a push monitor of Uptime Kuma for example',
        )


def watchdog(_facts: Facts) -> Iterator[Finding]:
    yield good("not needed: with one host nobody else could run its VMs")


def clock(facts: Facts) -> Iterator[Finding]:
    """The wall clock: only shown, and kept across boots; but a story with wrong times helps nobody."""
    ahead_s = (facts.newest_wall_s or 0.0) - facts.now.wall_s
    sets = "timedatectl set-ntp true" if facts.systemd else "set the clock, and start an NTP client"
    if facts.now.wall_s < _SANE_S:
        yield fail("the clock stands before 2025", sets)
    elif ahead_s > _AHEAD_S:
        yield warn(f"haven's own records are {duration(ahead_s)} ahead of the clock: it was set back", sets)
    elif facts.clock_synced is False:
        yield warn("the clock is not synchronised (no NTP)", sets)
    else:
        synced = " and is synchronised" if facts.clock_synced else ""
        yield good(f"the clock agrees with haven's records{synced}")
