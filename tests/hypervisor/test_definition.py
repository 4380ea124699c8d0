"""What haven reads from a VM's definition."""

from pathlib import Path

from haven.core.words import HoldCause
from haven.hypervisor import definition

DISKS = """<domain><devices>
  <disk type='file' device='disk'><source file='/srv/a.qcow2'/><target dev='vda' bus='virtio'/></disk>
  <disk type='block' device='lun'><source dev='/dev/vg/b'/><target dev='sda' bus='scsi'/></disk>
  <disk type='file' device='cdrom'><target dev='sdb' bus='sata'/></disk>
  <disk type='file' device='cdrom'><source file='/srv/c.iso'/><target dev='sdc' bus='sata'/></disk>
  <disk type='file' device='cdrom'>
    <source file='/srv/d.iso' startupPolicy='optional'/><target dev='sdd' bus='sata'/></disk>
  <disk type='file' device='cdrom'>
    <source file='/srv/e.iso' startupPolicy='requisite'/><target dev='sde' bus='sata'/></disk>
  <disk type='network' device='disk'><source protocol='nbd' name='x'/><target dev='vdb' bus='virtio'/></disk>
  <disk type='volume' device='disk'><source pool='p' volume='v'/><target dev='vdc' bus='virtio'/></disk>
</devices></domain>"""


def test_a_start_needs_files_and_block_devices_but_no_empty_drive_or_optional_medium() -> None:
    assert definition.needed_disks(DISKS) == (
        Path("/srv/a.qcow2"),
        Path("/dev/vg/b"),
        Path("/srv/c.iso"),
        Path("/srv/e.iso"),
    )


def test_a_vm_without_disks_needs_nothing() -> None:
    assert definition.needed_disks("<domain><devices/></domain>") == ()
    assert definition.needed_disks("<domain/>") == ()


def test_the_first_missing_disk_is_named(tmp_path: Path) -> None:
    here, gone, gone_too = tmp_path / "here", tmp_path / "gone", tmp_path / "gone-too"
    here.touch()
    assert definition.first_missing((here,)) is None
    assert definition.first_missing((here, gone, gone_too)) == gone
    assert definition.disk_missing(gone).cause is HoldCause.DISK_MISSING
    assert definition.disk_missing(gone).detail == f"disk {gone} is missing"


def test_a_link_to_a_disk_that_went_away_is_a_missing_disk(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "gone")
    assert definition.first_missing((link,)) == link


def test_a_path_that_cannot_be_asked_for_is_a_missing_disk(tmp_path: Path) -> None:
    too_long = tmp_path / ("x" * 300)
    assert definition.first_missing((too_long,)) == too_long


def test_libvirts_error_names_the_path_in_any_language() -> None:
    english = "Cannot access storage file '/srv/base image.qcow2': No such file or directory"
    german = "Auf Speicherdatei »/srv/a« kann nicht zugegriffen werden"
    assert definition.named_paths(english) == (Path("/srv/base image.qcow2"),)
    assert definition.named_paths("Cannot access storage file '/srv/a' (as uid:64055, gid:64055)") == (
        Path("/srv/a"),
    )
    assert definition.named_paths(german.replace("»", "„").replace("«", "“")) == (Path("/srv/a"),)
    assert definition.named_paths("internal error: process exited") == ()


def test_havens_mark_is_read_back_as_it_was_written() -> None:
    assert definition.metadata_vmid(definition.metadata_xml(102)) == 102
    assert definition.metadata_vmid('<haven:vm xmlns:haven="urn:haven:vm" vmid="7"/>') == 7


def test_a_mark_that_somebody_spoiled_is_no_mark() -> None:
    for spoiled in ('<vm vmid="-1"/>', '<vm vmid="x"/>', "<vm/>", '<vm vmid="²"/>', "<vm"):
        assert definition.metadata_vmid(spoiled) is None
