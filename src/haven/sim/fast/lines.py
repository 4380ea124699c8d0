"""What can happen to a cluster in fast pacing, as lines of text. What lasts names its own length, so that each
line can be left out without the others meaning something else.

| line | meaning |
|---|---|
| `power NODE off [SECONDS]`, `power NODE on` | without SECONDS it stays off until somebody switches it on |
| `power NODE gone` | it never comes back; of one host only, another one is off until somebody switches it on |
| `network NODE off [SECONDS]`, `network NODE on` | |
| `partition NODE,NODE SECONDS` | these see only each other |
| `reboot NODE`, `shutdown NODE [SECONDS]`, `restart-lrm NODE` | in order, by the LRM's plan (spec 8) |
| `kill NODE lrm\\|crm SECONDS` | the process dies, another one starts SECONDS later |
| `cut NODE lrm\\|crm POINT SECONDS` | it dies at that point of its next look: see POINTS |
| `freeze NODE lrm\\|crm\\|host SECONDS` | it does nothing for so long; hardware goes on |
| `stall NODE lrm\\|crm MOMENT SECONDS` | the same, beginning at the next such moment: see MOMENTS |
| `clock NODE SECONDS` | the wall clock is set by so much |
| `store off\\|full SECONDS`, `store slow\\|lossy VALUE SECONDS` | |
| `link NODE slow\\|lossy\\|lag VALUE SECONDS` | calls of that host; `lag`: its watch is so old |
| `libvirtd NODE off SECONDS`, `libvirtd NODE slow FACTOR SECONDS` | |
| `guest SID crash\\|panic\\|power-off\\|destroy\\|suspend\\|start NODE` | by itself, or by others |
| `guest SID fail start\\|move\\|stop TIMES`, `guest SID stubborn`, `guest SID bar NODE` | |
| `guest SID fail start TIMES NODE`, `guest SID obedient`, `guest SID disk gone\\|back` | |
| `guest SID unsure source\\|target` | the outcome of its next live move is lost; it is there then |
| `repeat NODE`, `deaf NODE` | a result comes twice; the events of a moment are lost |
| `service SID WANTED\\|migrate NODE\\|relocate NODE\\|stop SECONDS\\|delete\\|add NODE` | people |
| `crm NODE enable-node-maintenance\\|disable-node-maintenance\\|disarm-ha MODE\\|arm-ha\\|stop\\|start` | |
| `rule ID remove\\|disable\\|enable`, `options KEY VALUE`, `config SID KEY VALUE` | |
| `service SID set-static-stats\\|set-dynamic-stats KEY VALUE...` | its figures |
| `maintain SID SECONDS\\|end`, `lock SID SECONDS\\|end` | people keep haven off a VM |
| `damage SID config\\|service\\|run\\|journal SECONDS`, `damage NODE lrm\\|agent SECONDS` | nobody can read it |
| `fence-confirm NODE` | a person says that it runs nothing |
| `cfs NODE rw fail\\|work`, `pve-manager-version NODE set VERSION` | as in spec 10.3 |
"""

from collections.abc import Callable
from dataclasses import replace

from haven.core.hypervisor import Moment, Power, Why
from haven.core.words import ShutdownKind
from haven.sim.fast import by_hand
from haven.sim.fast.damage import DAMAGE, mend_all
from haven.sim.fast.hands_off import HANDS_OFF
from haven.sim.fast.host import Host, Link
from haven.sim.fast.people import PEOPLE, LineError
from haven.sim.fast.process import Process
from haven.sim.fast.world import World

POINTS = {
    "before-it-performed": "before it performed",
    "after-it-performed": "after it performed",
    "between-commits": "between commits",
    "after-it-wrote": "after it wrote",
}

CONFIRMED_AFTER_S = 40.0
"""So long after all else is well a person has looked at the host that never comes back; its lock has run out."""

MOMENTS = {
    "before-it-performs": "before it performs",
    "before-it-commits": "before it commits",
    "before-its-orders": "before its orders",
    "within-a-renewal": "within a renewal",
}


def carry_out(world: World, line: str) -> None:
    """Let it happen now, whether it makes a difference or not. Raises LineError."""
    words = line.split()
    deed = _TABLE.get(words[0]) if words else None
    if deed is None:
        raise LineError(f"{line!r}: unknown; known are {', '.join(sorted(_TABLE))}")
    try:
        deed(world, words[1:])
    except (IndexError, KeyError, ValueError) as error:
        raise LineError(f"{line!r}: a word is missing, or none that can stand there") from error


def heal(world: World) -> None:
    """Nothing is in anybody's way any more; what people want stays as it is, and who is frozen thaws in time. Of
    a host that never comes back a person says so."""
    world.healed = True
    world.store_trouble(up=True)
    mend_all(world)
    world.calls.slow_s = world.calls.lost = 0.0
    world.calls.full = False
    for guest in world.guests.values():
        guest.failing_starts = guest.failing_moves = guest.failing_stops = 0
        guest.obeys, guest.barred, guest.unsure, guest.disk = True, frozenset(), "", True
    for host in world.hosts.values():
        _heal_host(world, host)
        if host.stays_off:
            world.agenda.after(CONFIRMED_AFTER_S, _confirm, world, host)
    world.network_changed()


def _confirm(world: World, host: Host) -> None:
    """Tried again until somebody can take it."""
    if any(map(world.reaches_store, world.hosts.values())):
        carry_out(world, f"fence-confirm {host.name}")
    else:
        world.agenda.after(CONFIRMED_AFTER_S, _confirm, world, host)


def _heal_host(world: World, host: Host) -> None:
    host.link, host.network, host.group = Link(), True, 0
    host.cut_off = False
    for process in (host.lrm, host.crm):
        if process:
            process.dies_at = process.stalls_at = ""
    _libvirtd_back(host)
    host.libvirt.slow = 1.0
    world.power_on(host)
    if not host.going_down:
        world.start_daemons(host)


# Hosts


def _power(world: World, words: list[str]) -> None:
    host = world.hosts[words[0]]
    if words[1] in ("on", "gone"):
        (world.power_on if words[1] == "on" else world.lose)(host)
        return
    world.power_off(host)
    if len(words) > 2:
        world.agenda.after(float(words[2]), world.power_on, host)


def _network(world: World, words: list[str]) -> None:
    host = world.hosts[words[0]]

    def switch(on: bool) -> None:
        host.network = on
        world.network_changed()

    switch(words[1] == "on")
    if len(words) > 2:
        world.agenda.after(float(words[2]), switch, True)


def _partition(world: World, words: list[str]) -> None:
    names, seconds = words[0].split(","), float(words[1])

    def group(number: int) -> None:
        for name in names:
            world.hosts[name].group = number
        world.network_changed()

    group(1)
    world.agenda.after(seconds, group, 0)


def _go_down(kind: ShutdownKind) -> Callable[[World, list[str]], None]:
    def go_down(world: World, words: list[str]) -> None:
        host = world.hosts[words[0]]
        if not host.power:
            return
        world.ask_to_end(host, kind)
        if kind is ShutdownKind.SHUTDOWN and len(words) > 1:
            world.agenda.after(float(words[1]), world.power_on, host)

    return go_down


def _clock(world: World, words: list[str]) -> None:
    world.hosts[words[0]].clock.wall_ahead_s += float(words[1])


# Processes


def _process(world: World, node: str, role: str) -> Process | None:
    host = world.hosts[node]
    return host.lrm if role == "lrm" else host.crm


def _kill(world: World, words: list[str]) -> None:
    process = _process(world, words[0], words[1])
    if process:
        world.crash(process)
        _back_later(world, words[0], words[1], float(words[2]))


def _cut(world: World, words: list[str]) -> None:
    process = _process(world, words[0], words[1])
    if process:
        process.dies_at = POINTS[words[2]]
        _back_later(world, words[0], words[1], float(words[3]))


def _back_later(world: World, node: str, role: str, seconds: float) -> None:
    start = world.start_lrm if role == "lrm" else world.start_crm
    world.agenda.after(seconds, start, world.hosts[node])


def _freeze(world: World, words: list[str]) -> None:
    """Within a longer freeze a shorter one changes nothing: each says how long nothing is done at least."""
    host, until_s = world.hosts[words[0]], world.agenda.now_s + float(words[2])
    if words[1] == "host":
        host.frozen_until_s = max(host.frozen_until_s, until_s)
    elif process := _process(world, words[0], words[1]):
        process.frozen_until_s = max(process.frozen_until_s, until_s)


def _stall(world: World, words: list[str]) -> None:
    if process := _process(world, words[0], words[1]):
        process.stalls_at, process.stall_s = MOMENTS[words[2]], float(words[3])


def _repeat(world: World, words: list[str]) -> None:
    lrm = world.hosts[words[0]].lrm
    if lrm and lrm.last_result:
        lrm.into(lrm.take_result, lrm.last_result)


def _deaf(world: World, words: list[str]) -> None:
    lrm = world.hosts[words[0]].lrm
    if lrm:
        lrm.happenings = []


# The store and the way to it


def _store(world: World, words: list[str]) -> None:
    calls = world.calls
    match words[0]:
        case "off":
            world.store_trouble(up=False)
            world.agenda.after(float(words[1]), lambda: world.store_trouble(up=True))
        case "full":
            calls.full = True
            world.agenda.after(float(words[1]), setattr, calls, "full", False)
        case "slow":
            calls.slow_s = float(words[1])
            world.agenda.after(float(words[2]), setattr, calls, "slow_s", 0.0)
        case "lossy":
            calls.lost = float(words[1])
            world.agenda.after(float(words[2]), setattr, calls, "lost", 0.0)
        case other:
            raise ValueError(f"store {other}: expected off, full, slow or lossy")


def _link(world: World, words: list[str]) -> None:
    host, field = world.hosts[words[0]], {"slow": "latency_s", "lossy": "lost", "lag": "lag_s"}[words[1]]
    host.link = replace(host.link, **{field: float(words[2])})
    world.agenda.after(float(words[3]), lambda: setattr(host, "link", Link()))


# libvirt and guests


def _libvirtd(world: World, words: list[str]) -> None:
    host = world.hosts[words[0]]
    if words[1] == "slow":
        host.libvirt.slow = float(words[2])
        world.agenda.after(float(words[3]), setattr, host.libvirt, "slow", 1.0)
        return
    if not host.power:
        return
    host.libvirt.lose()
    if host.lrm:
        host.lrm.into(host.lrm.wake)
    world.agenda.after(float(words[2]), _libvirtd_back, host)


def _libvirtd_back(host: Host) -> None:
    if host.power and not host.libvirt.reachable:
        host.libvirt.find()
        if host.lrm:
            host.lrm.into(host.lrm.look_at_all)


def _cfs(world: World, words: list[str]) -> None:
    host = world.hosts[words[0]]
    if words[1] != "rw":
        raise ValueError("only rw can fail here")
    host.cut_off = words[2] == "fail"
    world.ring(host)


def _version(world: World, words: list[str]) -> None:
    world.versions[world.hosts[words[0]].name] = words[2]


def _guest(world: World, words: list[str]) -> None:
    guest = world.guest_named(words[0])
    match words[1:]:
        case ["fail", "start", times, node]:
            guest.failing_starts, guest.starts_fail_on = int(times), world.hosts[node].name
        case ["fail", what, times]:
            setattr(
                guest,
                {"start": "failing_starts", "move": "failing_moves", "stop": "failing_stops"}[what],
                int(times),
            )
            guest.starts_fail_on = None
        case ["stubborn" | "obedient" as word]:
            guest.obeys = word == "obedient"
        case ["disk", "gone" | "back" as word]:
            guest.disk = word == "back"
        case ["bar", node]:
            guest.barred |= {node}
        case ["unsure", side]:
            guest.unsure = side
        case ["start", node]:
            by_hand.start(world, world.hosts[node], guest.uuid)
        case [what]:
            for host in world.hosts.values():
                _happens(host, guest.uuid, what)
        case _:
            raise ValueError("unknown happening of a guest")


_ENDS = {
    "crash": (Why.CRASHED, (Moment.STOPPED_FAILED,)),
    "panic": (Why.CRASHED, (Moment.PANICKED, Moment.STOPPED_CRASHED)),
    "power-off": (Why.SHUTDOWN, (Moment.SHUTDOWN_GUEST, Moment.STOPPED_SHUTDOWN)),
    "destroy": (Why.DESTROYED, (Moment.SHUTDOWN_HOST, Moment.STOPPED_DESTROYED)),
}


def _happens(host: Host, uuid: str, what: str) -> None:
    """Where it executes, and only there."""
    domain = host.libvirt.domains.get(uuid)
    if domain is None or not domain.executes:
        return
    if what == "suspend":
        if host.libvirt.reachable and not domain.leaving:
            domain.power, domain.why = Power.PAUSED, Why.USER
            host.libvirt.say(uuid, Moment.SUSPENDED_PAUSED)
        return
    why, moments = _ENDS[what]
    if host.libvirt.reachable or what in ("crash", "panic", "power-off"):
        host.libvirt.end(uuid, why, *moments)


_TABLE: dict[str, Callable[[World, list[str]], None]] = (
    {
        "power": _power,
        "network": _network,
        "partition": _partition,
        "reboot": _go_down(ShutdownKind.REBOOT),
        "shutdown": _go_down(ShutdownKind.SHUTDOWN),
        "restart-lrm": _go_down(ShutdownKind.RESTART),
        "clock": _clock,
        "kill": _kill,
        "cut": _cut,
        "freeze": _freeze,
        "stall": _stall,
        "repeat": _repeat,
        "deaf": _deaf,
        "store": _store,
        "link": _link,
        "libvirtd": _libvirtd,
        "guest": _guest,
        "cfs": _cfs,
        "pve-manager-version": _version,
    }
    | PEOPLE
    | HANDS_OFF
    | DAMAGE
)

KNOWN = frozenset(_TABLE)
"""The first words of all lines."""
