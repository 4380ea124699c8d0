"""Checks of the host: memory and room for its VMs, and what happens to them when it goes down."""

from collections.abc import Iterator
from shlex import quote

from haven.core.overcommit import QEMU_OVERHEAD_MIB, Overcommit, weigh
from haven.core.sentences import size
from haven.ops.verify.facts import Facts, Finding, Watched, each, fail, good, warn

GUESTS = "libvirt-guests.service"


def overcommit(facts: Facts) -> Iterator[Finding]:
    """All VMs that run or should, each with all the memory it may use."""
    if facts.host is None:
        return
    weight = _weight(facts, [vm for vm in facts.watched if vm.runs or vm.should_run])
    if weight.is_tight:
        yield warn(f"{weight.sentence}: the kernel may kill one of them", _less(weight))
    else:
        yield good(weight.sentence)


def memory_at_boot(facts: Facts) -> Iterator[Finding]:
    """What starts after a boot of the host fits into its memory."""
    if facts.host is None:
        return
    others = [vm for vm in facts.watched if not vm.protected and vm.seen and vm.seen.autostart]
    starting = [*(vm for vm in facts.protected if vm.should_run), *others]
    weight = _weight(facts, starting)
    needed_mib = weight.configured_mib + QEMU_OVERHEAD_MIB * len(weight.shares)
    who = "1 VM starts at boot and needs" if len(starting) == 1 else f"{len(starting)} VMs start at boot and need"
    text = f"{who} {size(needed_mib)} of {size(facts.host.total_mib)}"
    if needed_mib + facts.reserve_mib > facts.host.total_mib:
        yield fail(f"{text}: not all of them can start", _less(weight))
    else:
        yield good(text)


def _weight(facts: Facts, vms: list[Watched]) -> Overcommit:
    assert facts.host is not None
    memory = {vm.sid: vm.seen.memory_mib for vm in vms if vm.seen}
    return weigh(facts.host.total_mib, memory, facts.reserve_mib)


def _less(weight: Overcommit) -> str:
    if not weight.shares:
        return ""
    sid, memory_mib = weight.shares[0]
    return f"give the largest less: qm set {sid.partition(':')[2]} --memory MIB (now {memory_mib})"


def disks(facts: Facts) -> Iterator[Finding]:
    """Every image of a protected VM is there, down to its backing files; none throws writes away."""
    troubled = False
    for vm in facts.protected:
        for disk in vm.seen.disks if vm.seen else ():
            if disk.missing:
                troubled = True
                below = "" if disk.missing == disk.path else f", below {disk.path}"
                yield fail(f"{vm.label}: {disk.missing} is missing{below}", "bring it back, or virsh edit", vm.sid)
            if disk.cache == "unsafe" and disk.writable:
                troubled = True
                yield warn(
                    f"{vm.label}: {disk.path} has cache=unsafe: a power cut loses what the guest believes written",
                    f"virsh edit {vm.typed}: take cache='unsafe' out",
                    vm.sid,
                )
    if not troubled:
        count = sum(len(vm.seen.disks) for vm in facts.protected if vm.seen)
        many = f"all {count} images of protected VMs are there"
        yield good(many if count > 1 else "the one image is there" if count else "protected VMs have no images")


def space(facts: Facts) -> Iterator[Finding]:
    """Room below the images: a full disk pauses every VM that writes."""
    low = {place: room for place, room in facts.spaces.items() if room.free_percent < facts.low_percent}
    for place, room in low.items():
        seen = f"{place}: {size(room.free_mib)} free, {room.free_percent:.0f} %; when it is full, VMs are paused"
        yield warn(seen, f"free some: du -xh -d1 {quote(place)} | sort -h | tail")
    if facts.spaces and not low:
        rooms = [f"{place} {size(room.free_mib)}" for place, room in sorted(facts.spaces.items())]
        yield good(f"free below the images: {each(rooms)}")


def shutdown(facts: Facts) -> Iterator[Finding]:
    """What a shutdown of the host does to its VMs."""
    if facts.systemd is None:
        yield good("no systemd here: what shuts this host down has to stop the VMs first")
        return
    unit = facts.systemd.units.get(GUESTS)
    if unit is None or not unit.starts_at_boot or unit.active != "active":
        yield warn(
            "libvirt-guests does not run: a shutdown of the host cuts the VMs off",
            f"systemctl enable --now {GUESTS.removesuffix('.service')}",
        )
    elif facts.systemd.guests_on_shutdown == "suspend":
        yield warn(
            "libvirt-guests saves the VMs at shutdown, and they go on in an old state afterwards",
            "ON_SHUTDOWN=shutdown in /etc/default/libvirt-guests",
        )
    else:
        yield good("libvirt-guests shuts the VMs down in order")
