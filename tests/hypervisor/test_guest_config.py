"""A libvirt definition reads as an operator of Proxmox VE expects it."""

from pathlib import Path

from haven.hypervisor.guest_config import read_definition
from haven.hypervisor.image import capacity_bytes, size_text
from tests.hypervisor.tiny import qcow2_on

GIB = 1 << 30

WEB = """<domain type='kvm'>
  <name>web</name>
  <uuid>0b6f3f6e-6a0e-4e0c-9d5c-6861766e0101</uuid>
  <genid>12345678-6a0e-4e0c-9d5c-6861766e0101</genid>
  <description>the shop &amp; its db</description>
  <metadata>
    <libosinfo:libosinfo xmlns:libosinfo="http://libosinfo.org/xmlns/libvirt/domain/1.0">
      <libosinfo:os id="{system}"/>
    </libosinfo:libosinfo>
    <haven:vm xmlns:haven="urn:haven:vm" vmid="102"/>
  </metadata>
  <memory unit='KiB'>2097152</memory>
  <currentMemory unit='KiB'>1048576</currentMemory>
  <vcpu placement='static' current='4'>8</vcpu>
  <os firmware='efi'><type arch='x86_64' machine='pc-q35-7.2'>hvm</type>{boot}</os>
  <cpu mode='host-passthrough'><topology sockets='2' dies='1' cores='2' threads='2'/></cpu>
  <devices>
    <disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{image}'/>
      <target dev='vda' bus='virtio'/>{order}</disk>
    <disk type='volume' device='disk'><source pool='fast' volume='vm-102-disk-1'/>
      <target dev='sdb' bus='scsi'/></disk>
    <disk type='network' device='disk'><source protocol='rbd' name='pool/image'/>
      <target dev='sdaa' bus='scsi'/></disk>
    <disk type='file' device='cdrom'><target dev='hdc' bus='ide'/></disk>
    <disk type='file' device='cdrom'><source file='/iso/a.iso'/><target dev='sdc' bus='sata'/></disk>
    <disk type='file' device='floppy'><source file='/f.img'/><target dev='fda' bus='fdc'/></disk>
    <interface type='bridge'><mac address='52:54:00:aa:bb:cc'/><source bridge='br0'/><model type='virtio'/>
    </interface>
    <interface type='network'><mac address='52:54:00:aa:bb:cd'/><source network='default'/></interface>
    <interface type='user'><mac address='52:54:00:aa:bb:ce'/><model type='e1000'/></interface>
    <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
  </devices>
</domain>"""


def _web(image: Path, *, system: str = "http://debian.org/debian/12", boot: str = "", order: str = "") -> str:
    return WEB.format(image=image, system=system, boot=boot, order=order)


def _image(folder: Path) -> Path:
    image = folder / "web.qcow2"
    image.write_bytes(qcow2_on(folder / "base"))
    return image


def test_a_full_definition_in_the_keys_of_qm_config(tmp_path: Path) -> None:
    image = _image(tmp_path)
    boot = "<boot dev='network'/><boot dev='hd'/><boot dev='cdrom'/>"
    assert read_definition(_web(image, boot=boot)).config == {
        "name": "web",
        "memory": "2048",
        "cores": "4",
        "sockets": "2",
        "cpu": "host",
        "ostype": "l26",
        "machine": "pc-q35-7.2",
        "bios": "ovmf",
        "agent": "1",
        "description": "the shop & its db",
        "smbios1": "uuid=0b6f3f6e-6a0e-4e0c-9d5c-6861766e0101",
        "vmgenid": "12345678-6a0e-4e0c-9d5c-6861766e0101",
        "boot": "order=net0;virtio0;ide2",
        "virtio0": f"{image},size=1M",
        "scsi1": "fast:vm-102-disk-1",
        "scsi26": "rbd:pool/image",
        "ide2": "none,media=cdrom",
        "sata2": "/iso/a.iso,media=cdrom",
        "net0": "virtio=52:54:00:AA:BB:CC,bridge=br0",
        "net1": "rtl8139=52:54:00:AA:BB:CD,bridge=default",
        "net2": "e1000=52:54:00:AA:BB:CE",
    }


def test_the_figures_beside_the_keys(tmp_path: Path) -> None:
    definition = read_definition(_web(_image(tmp_path)))
    assert (definition.memory_mib, definition.cpus, definition.vmid_hint) == (2048, 4, 102)
    assert definition.disk_bytes == 1 << 20, "without a boot order it is the first disk"


def test_a_disk_that_is_gone_has_no_size_and_fails_nothing(tmp_path: Path) -> None:
    gone = tmp_path / "gone.qcow2"
    definition = read_definition(_web(gone))
    assert definition.config["virtio0"] == str(gone)
    assert definition.disk_bytes == 0


def test_the_devices_own_boot_order_wins(tmp_path: Path) -> None:
    definition = read_definition(_web(_image(tmp_path), order="<boot order='1'/>"))
    assert definition.config["boot"] == "order=virtio0"


def test_windows_is_told_by_its_libosinfo_name(tmp_path: Path) -> None:
    words = {
        "http://microsoft.com/win/11": "win11",
        "http://microsoft.com/win/2k19": "win10",
        "http://microsoft.com/win/98": "other",
    }
    found = {name: read_definition(_web(tmp_path, system=name)).config["ostype"] for name in words}
    assert found == words


def test_the_barest_definition_is_readable() -> None:
    definition = read_definition("<domain><name>bare</name><memory>65536</memory></domain>")
    assert definition.config == {
        "name": "bare",
        "memory": "64",
        "cores": "1",
        "sockets": "1",
        "ostype": "other",
        "smbios1": "uuid=",
    }
    assert (definition.memory_mib, definition.cpus, definition.disk_bytes, definition.vmid_hint) == (
        64,
        1,
        0,
        None,
    )


def test_the_capacity_of_an_image_is_what_the_guest_sees(tmp_path: Path) -> None:
    raw, qcow2 = tmp_path / "raw", tmp_path / "qcow2"
    with raw.open("wb") as sparse:
        sparse.truncate(8 * GIB)
    qcow2.write_bytes(qcow2_on(raw))
    assert capacity_bytes(raw, "raw") == 8 * GIB
    assert capacity_bytes(qcow2, "qcow2") == 1 << 20


def test_what_is_no_readable_image_has_no_capacity(tmp_path: Path) -> None:
    short = tmp_path / "short"
    short.write_bytes(b"QFI\xfb")
    wrong = tmp_path / "wrong"
    wrong.write_bytes(bytes(1024))
    for path, form in (
        (short, "qcow2"),
        (wrong, "qcow2"),
        (wrong, "vmdk"),
        (tmp_path, "raw"),
        (tmp_path / "x", "raw"),
    ):
        assert capacity_bytes(path, form) is None


def test_sizes_are_written_in_the_largest_exact_unit() -> None:
    sizes = {8 * GIB: "8G", 1536 << 20: "1536M", 3 << 40: "3T", 4096: "4K", 512: "512", 0: "0"}
    assert {size: size_text(size) for size in sizes} == sizes
