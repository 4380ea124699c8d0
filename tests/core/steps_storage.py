"""The lines of the scenarios about storage, and about records of the store that cannot be read."""

from haven.core.host import Space
from haven.core.hypervisor import Happening, Moment, Power, Why
from haven.core.order import Inspect, Order, Start
from haven.core.records import LrmRecord
from tests.core.story import Story, step
from tests.core.world import NODE

NEVER_S = 1e7


@step("the storage of <sid> is (full|failing|well again)")
def storage(story: Story, sid: str, how: str) -> None:
    guest = story.world.guest(sid)
    guest.full, guest.failing = how == "full", how == "failing"


@step("the guest of <sid> writes to its disk")
def writes(story: Story, sid: str) -> None:
    story.world.host.write(story.world.guest(sid))
    story.world.tell_lrm()


@step("a disk of <sid> has (\\d+) I/O errors that its guest is told of")
def io_errors(story: Story, sid: str, count: str) -> None:
    for _ in range(int(count)):
        happening = Happening(
            story.world.guest(sid).uuid,
            Moment.IO_ERROR,
            *story.world.host.clock,
            "an I/O error of vda was reported",
        )
        story.world.host.happenings.append(happening)
        story.world.tell_lrm()
        story.world.settle()


@step("starts of <sid> hang in libvirt")
def starts_hang(story: Story, sid: str) -> None:
    _hang(story, sid, Start)


def _hang(story: Story, sid: str, kind: type[Order]) -> None:
    host, uuid = story.world.host, story.world.guest(sid).uuid
    usual_s = host.duration_s

    def duration_s(order: Order) -> float:
        return NEVER_S if isinstance(order, kind) and order.uuid == uuid else usual_s(order)

    host.duration_s = duration_s  # type: ignore[method-assign]


@step("a look at the disks of <sid> hangs in libvirt")
def looks_hang(story: Story, sid: str) -> None:
    _hang(story, sid, Inspect)


@step("libvirt's autostart of <sid> takes long")
def autostart_takes_long(story: Story, sid: str) -> None:
    story.world.guest(sid).starts_slowly = True


@step("libvirt begins to start <sid> for another client")
def is_being_started(story: Story, sid: str) -> None:
    story.world.guest(sid).power = Power.STARTING


@step("another client destroys <sid> and libvirt begins to start it again")
def destroyed_and_started(story: Story, sid: str) -> None:
    _ends_and_is_started(story, sid, Why.DESTROYED, Moment.SHUTDOWN_HOST, Moment.STOPPED_DESTROYED)


@step("QEMU of <sid> dies and libvirt begins to start it again")
def died_and_started(story: Story, sid: str) -> None:
    _ends_and_is_started(story, sid, Why.CRASHED, Moment.STOPPED_FAILED)


def _ends_and_is_started(story: Story, sid: str, why: Why, *moments: Moment) -> None:
    guest = story.world.guest(sid)
    story.world.host.end(guest, why, *moments)
    guest.power = Power.STARTING
    story.world.tell_lrm()


@step("libvirt's start of <sid> comes to nothing")
def start_fails(story: Story, sid: str) -> None:
    story.world.host.end(story.world.guest(sid), Why.CRASHED, Moment.STOPPED_FAILED)
    story.world.tell_lrm()


@step("libvirt's start of <sid> succeeds")
def start_succeeds(story: Story, sid: str) -> None:
    story.world.host.begin(story.world.guest(sid))
    story.world.tell_lrm()


@step("<n> MiB of <n> GiB are free in /srv, with the image of <sid>")
def space(story: Story, free: str, total: str, sid: str) -> None:
    images = (f"/srv/{story.world.guest(sid).name}.qcow2",)
    story.world.host.spaces["/srv"] = Space(int(free), int(float(total) * 1024), images, 15 * 1024)


@step("/srv does not answer any more")
def space_silent(story: Story) -> None:
    story.world.host.spaces.clear()


@step("the monitoring is told of (?:no file system|<n> MiB free in (/\\w+))")
def monitored(story: Story, free: str | None, where: str | None) -> None:
    record = story.world.record(f"lrm/{NODE}", LrmRecord)
    told = {at: space.free_mib for at, space in record.spaces.items()}
    assert told == ({where: int(free)} if free else {})


@step("the (run key|number|journal|state|configuration) of <sid> is damaged in the store")
def damaged(story: Story, what: str, sid: str) -> None:
    story.world.store.damaged |= _keys(story, what, sid)


@step("the (run key|number|journal|state|configuration) of <sid> is still damaged")
def still_damaged(story: Story, what: str, sid: str) -> None:
    assert _keys(story, what, sid) <= story.world.store.damaged


@step("the (run key|number|journal|state|configuration) of <sid> can be read again")
def mended(story: Story, what: str, sid: str) -> None:
    story.world.store.damaged -= _keys(story, what, sid)


def _keys(story: Story, what: str, sid: str) -> set[str]:
    """A number is kept under two keys."""
    if what in ("state", "configuration"):
        return {f"{'service' if what == 'state' else 'config'}/{sid}"}
    kind = {"run key": "run", "number": "vm", "journal": "journal"}[what]
    number = {f"vmid/{sid.partition(':')[2]}"} if what == "number" else set()
    return {f"{kind}/{story.world.guest(sid).uuid}"} | number


@step("the host's agent record is damaged in the store")
def agent_damaged(story: Story) -> None:
    story.world.store.damaged.add(f"agent/{NODE}")


@step("the host's agent record can be read again")
def agent_mended(story: Story) -> None:
    assert not story.world.store.damaged
