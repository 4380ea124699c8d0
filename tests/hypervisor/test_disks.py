"""What is read of a VM's disks: what they are, what is wrong with them, what is free below them."""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import libvirt
import pytest

from haven.core.host import DiskTrouble
from haven.core.hypervisor import Happening, Moment
from haven.core.records import Instance
from haven.core.words import HoldCause
from haven.hypervisor import disks, libvirt_hypervisor, pools, spaces
from haven.hypervisor.protocol import HypervisorError
from tests.hypervisor.tiny import qcow2_on

LIVE = """<domain><devices>
  <disk type='file' device='disk'><source file='/srv/a.qcow2'><x/></source><target dev='vda' bus='virtio'/>
    <backingStore type='file'><source file='/srv/base.qcow2'/></backingStore><alias name='virtio-disk0'/></disk>
  <disk type='network' device='disk'><source protocol='nbd' name='x'/><target dev='vdb' bus='virtio'/>
    <alias name='virtio-disk1'/></disk>
  <disk type='file' device='cdrom'><source file='/srv/c.iso'/><target dev='sda' bus='sata'/><readonly/></disk>
  <disk type='block' device='disk'><source dev='/dev/vg/d'/><target dev='vdc' bus='virtio'/></disk>
  <disk type='file' device='cdrom'><target dev='sdb' bus='sata'/></disk>
</devices></domain>"""


class Domain:
    """A domain that QEMU paused for an I/O error: (3, 5). `again`: it pauses again right after a resume."""

    def __init__(self, *, again: bool = False, stuck: bool = False, state: tuple[int, int] = (3, 5)) -> None:
        self.now, self.again, self.stuck, self.resumes = state, again, stuck, 0

    def XMLDesc(self) -> str:  # noqa: N802
        return LIVE

    def diskErrors(self) -> dict[str, int]:  # noqa: N802
        return {"vdb": 1}

    def controlInfo(self) -> list[int]:  # noqa: N802
        return [libvirt.VIR_DOMAIN_CONTROL_OCCUPIED if self.stuck else libvirt.VIR_DOMAIN_CONTROL_OK, 0, 0]

    def state(self) -> tuple[int, int]:
        return self.now

    def resume(self) -> None:
        self.resumes += 1
        self.now = (3, 5) if self.again else (1, 5)


def test_the_images_of_a_vm_are_what_it_writes_to() -> None:
    assert disks.Images().of(Domain(), "u", None) == ("/srv/a.qcow2", "/dev/vg/d")


def test_a_definition_is_read_once_for_a_life_and_again_when_it_was_changed() -> None:
    reads = []

    class Counting(Domain):
        def XMLDesc(self) -> str:  # noqa: N802
            reads.append(1)
            return LIVE

    images = disks.Images()
    for _ in range(3):
        images.of(Counting(), "u", None)
    assert len(reads) == 1
    images.forget("u")
    images.of(Counting(), "u", Instance(7, 1))
    assert len(reads) == 2
    images.of(Counting(), "u", None)
    assert len(reads) == 2, "its restart would have to wait for it"
    images.of(Counting(), "u", Instance(8, 2))
    assert len(reads) == 3


def test_the_disk_that_an_event_told_of_is_named() -> None:
    (found,) = disks.troubled(Domain(), {"virtio-disk0": "enospc"})
    assert (found.target, found.source, found.no_space) == ("vda", "/srv/a.qcow2", True)


def test_without_an_event_what_qemu_remembers_is_named() -> None:
    assert disks.troubled(Domain(), {}) == (DiskTrouble("vdb", "nbd/x"),)


def test_a_monitor_that_hangs_is_not_asked() -> None:
    with pytest.raises(HypervisorError, match="hangs"):
        disks.troubled(Domain(stuck=True), {})
    stuck = Domain(stuck=True)
    with pytest.raises(HypervisorError, match="hangs"):
        disks.resume(stuck)
    assert stuck.resumes == 0


def test_only_a_vm_that_qemu_paused_is_resumed() -> None:
    well, by_a_person, running = Domain(), Domain(state=(3, 1)), Domain(state=(1, 1))
    for domain in (well, by_a_person, running):
        disks.resume(domain)
    assert [well.resumes, by_a_person.resumes, running.resumes] == [1, 0, 0]


def test_a_resume_that_reports_success_and_pauses_again_is_a_failure() -> None:
    with pytest.raises(HypervisorError, match="paused again"):
        disks.resume(Domain(again=True))


# -- what is free


class Waiting(Domain):
    """One whose disk waits for its server, until `becomes` follows at its 80th look: after more than SETTLES_S."""

    def __init__(self, becomes: tuple[int, int]) -> None:
        super().__init__()
        self.becomes, self.looks = becomes, 0

    def XMLDesc(self) -> str:  # noqa: N802
        return LIVE.replace("name='x'/>", "name='x'><reconnect delay='30'/></source>")

    def state(self) -> tuple[int, int]:
        self.looks += 1
        return self.becomes if self.looks > 80 else self.now


def test_while_a_disk_waits_for_its_server_a_resume_is_not_known_to_be_good() -> None:
    with pytest.raises(HypervisorError, match="paused again"):
        disks.resume(Waiting((3, 5)))


def test_a_vm_that_ends_meanwhile_is_not_waited_for() -> None:
    began_s = time.monotonic()
    disks.resume(Waiting((5, 3)))
    assert time.monotonic() - began_s < 20.0


def test_the_mount_point_of_a_path_is_the_longest_that_it_lies_below() -> None:
    mounts = ("/", "/srv", "/srv/vm", "/srv/vm2")
    assert spaces.mount_of("/srv/vm/a.raw", mounts) == "/srv/vm"
    assert spaces.mount_of("/srv/vm3/a.raw", mounts) == "/srv"
    assert spaces.mount_of("/var/a.raw", mounts) == "/"


def read(reader: spaces.SpaceReader, *images: str) -> dict[str, Any]:
    reader.look(images)
    eventually(lambda: bool(reader.seen()))
    return dict(reader.seen())


def eventually(condition: Callable[[], bool]) -> None:
    end_s = time.monotonic() + 30.0
    while not condition():
        assert time.monotonic() < end_s
        time.sleep(0.005)


def nobody_reads() -> bool:
    return not any(thread.name == "space" for thread in threading.enumerate())


def test_what_is_free_below_an_image_is_what_df_says_and_a_sparse_image_can_grow(tmp_path: Path) -> None:
    raw, link = tmp_path / "a.raw", tmp_path / "link.raw"
    with raw.open("wb") as image:
        image.truncate(64 << 20)
    link.symlink_to(raw)
    (space,) = read(spaces.SpaceReader(), str(link)).values()
    system = os.statvfs(tmp_path)
    assert space.total_mib == system.f_blocks * system.f_frsize >> 20
    assert abs(space.free_mib - (system.f_bavail * system.f_frsize >> 20)) < 1024
    assert (space.images, space.growth_mib) == ((str(link),), 64)


def test_a_qcow2_image_can_grow_to_the_size_that_its_guest_sees(tmp_path: Path) -> None:
    image = tmp_path / "a.qcow2"
    content = bytearray(qcow2_on(tmp_path / "base"))  # 256 KiB
    content[24:32] = (64 << 20).to_bytes(8, "big")
    image.write_bytes(content)
    (space,) = read(spaces.SpaceReader(), str(image)).values()
    assert space.growth_mib == 63


def test_what_is_no_file_has_no_file_system_below(tmp_path: Path) -> None:
    reader = spaces.SpaceReader()
    reader.look(("/dev/null", str(tmp_path / "gone")))
    assert spaces.space_below("/dev/null") is None
    assert spaces.space_below(str(tmp_path / "gone")) is None
    eventually(nobody_reads)
    assert reader.seen() == {}


def test_a_file_system_that_hangs_delays_nobody_and_is_not_asked_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead, asked = threading.Event(), []
    eventually(nobody_reads)

    def hangs(image: str, real: str) -> None:
        asked.append(image)
        dead.wait(30)

    monkeypatch.setattr(spaces, "_space", hangs)
    monkeypatch.setattr(spaces, "ANSWER_S", 0.05)
    reader = spaces.SpaceReader()
    for _ in range(3):
        reader.look(("/srv/a.raw",))
        eventually(lambda: bool(asked))
    assert reader.seen() == {}
    assert asked == ["/srv/a.raw"]
    assert spaces.space_below("/srv/a.raw") is None
    dead.set()


# -- pools


POOL_XML = "<pool type='dir'><name>images</name><target><path>/images</path></target></pool>"
NEEDS = "<domain><devices><disk type='volume'><source pool='{}' volume='{}'/></disk></devices></domain>"


def test_a_pool_that_is_not_active_or_a_volume_that_is_not_there_is_named() -> None:
    raw = libvirt.open("test:///default")
    try:
        assert pools.missing_volume(raw, NEEDS.format("default-pool", "x")).detail == (  # type: ignore[union-attr]
            "disk x is missing in storage pool default-pool"
        )
        assert "is not defined" in pools.missing_volume(raw, NEEDS.format("nowhere", "x")).detail  # type: ignore[union-attr]
        raw.storagePoolDefineXML(POOL_XML)
        off = pools.missing_volume(raw, NEEDS.format("images", "x"))
        assert off is not None
        assert off.cause is HoldCause.DISK_MISSING
        assert (
            off.detail == "storage pool images, with disk x, is not active (to start it: virsh pool-start images)"
        )
        assert pools.missing_volume(raw, "<domain><devices/></domain>") is None
    finally:
        raw.close()


def test_an_optional_volume_is_not_needed() -> None:
    xml = (
        "<domain><devices><disk type='volume'><source pool='p' volume='v' startupPolicy='optional'/></disk>"
        "</devices></domain>"
    )
    assert pools.needed_volumes(xml) == ()


# -- events


class Listening:
    """A connection that keeps the callbacks."""

    over = False

    def __init__(self) -> None:
        self.callbacks: dict[int, Callable[..., None]] = {}

    def subscribe(self, event: int, callback: Callable[..., None]) -> None:
        self.callbacks[event] = callback

    def io_error(self, uuid: str, action: int, why: str = "") -> None:
        tell = self.callbacks[libvirt.VIR_DOMAIN_EVENT_ID_IO_ERROR_REASON]
        tell(None, Named(uuid), "/srv/a.qcow2", "virtio-disk0", action, why, None)


class Named:
    def __init__(self, uuid: str) -> None:
        self.uuid = uuid

    def UUIDString(self) -> str:  # noqa: N802
        return self.uuid


def test_errors_after_which_a_vm_runs_on_are_passed_on_once_in_a_while_and_pauses_always() -> None:
    connection, errors, heard = Listening(), disks.IoErrors(), list[Happening]()
    libvirt_hypervisor._subscribe(connection, heard.append, errors)  # type: ignore[arg-type]
    for _ in range(300):
        connection.io_error("u-1", libvirt.VIR_DOMAIN_EVENT_IO_ERROR_REPORT)
    connection.io_error("u-2", libvirt.VIR_DOMAIN_EVENT_IO_ERROR_NONE)
    assert [(one.uuid, one.moment, one.detail) for one in heard] == [
        ("u-1", Moment.IO_ERROR, "an I/O error of /srv/a.qcow2 was reported to its guest"),
        ("u-2", Moment.IO_ERROR, "an I/O error of /srv/a.qcow2 was ignored: its guest believes that all is well"),
    ]
    assert errors.of("u-1") == {}
    for _ in range(2):
        connection.io_error("u-1", libvirt.VIR_DOMAIN_EVENT_IO_ERROR_PAUSE, "enospc")
    assert [one.moment for one in heard[2:]] == [Moment.SUSPENDED_IOERROR] * 2
    assert errors.of("u-1") == {"virtio-disk0": "enospc"}
    errors.over("u-1")
    assert errors.of("u-1") == {}
