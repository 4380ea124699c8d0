"""A libvirt definition in the keys and values of `qm config`."""

from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from haven.hypervisor import definition
from haven.hypervisor.image import capacity_bytes, size_text

AGENT_CHANNEL = "org.qemu.guest_agent.0"

_LIBOSINFO = "{http://libosinfo.org/xmlns/libvirt/domain/1.0}"
_CPU_MODES = {"host-passthrough": "host", "maximum": "max", "host-model": "host-model"}
_WINDOWS = {
    "11": "win11",
    "2k22": "win11",
    "2k25": "win11",
    "10": "win10",
    "2k16": "win10",
    "2k19": "win10",
    "8": "win8",
    "8.1": "win8",
    "2k12": "win8",
    "2k12r2": "win8",
    "7": "win7",
    "2k8r2": "win7",
}
_BUSES = ("virtio", "scsi", "ide", "sata")


@dataclass(frozen=True, slots=True)
class Definition:
    """What people's tools show of a definition. `disk_bytes` is the boot disk's capacity, 0 when unknown."""

    config: dict[str, str]
    memory_mib: int
    cpus: int
    disk_bytes: int
    vmid_hint: int | None


@dataclass(frozen=True, slots=True)
class _Device:
    """A disk or a network card under PVE's key, such as scsi0; `order` is its place in the boot order."""

    key: str
    value: str
    order: int | None
    boot_class: str  # libvirt's word in <os><boot dev=...>: hd, cdrom, network
    size_bytes: int | None = None


def read_definition(xml: str) -> Definition:
    """Read a domain's XML; images are opened for their size, and one that is not there has none."""
    root = ElementTree.fromstring(xml)
    devices = _disks(root) + _networks(root)
    boot = _boot_order(root, devices)
    disks = [device for device in devices if device.boot_class == "hd"]
    boot_disk = next((device for device in boot if device in disks), disks[0] if disks else None)
    config = _machine(root)
    config.update({device.key: device.value for device in devices})
    if boot:
        config["boot"] = "order=" + ";".join(device.key for device in boot)
    return Definition(
        config=config,
        memory_mib=memory_mib(root),
        cpus=_cpus(root),
        disk_bytes=(boot_disk.size_bytes or 0) if boot_disk else 0,
        vmid_hint=_hint(root),
    )


def memory_mib(root: Element) -> int:
    """The memory a VM starts with; libvirt's XML has it in KiB."""
    return int(root.findtext("memory", "0")) // 1024


def _machine(root: Element) -> dict[str, str]:
    """The keys that are not devices."""
    sockets, cores = _topology(root)
    config = {
        "name": root.findtext("name", ""),
        "memory": str(memory_mib(root)),
        "cores": str(cores),
        "sockets": str(sockets),
        "ostype": _ostype(root),
        "smbios1": f"uuid={root.findtext('uuid', '')}",
    }
    if root.find(f"devices/channel/target[@name='{AGENT_CHANNEL}']") is not None:
        config["agent"] = "1"
    optional = {
        "cpu": _cpu_model(root),
        "machine": _attribute(root, "os/type", "machine"),
        "bios": "ovmf" if _is_efi(root) else "",
        "vmgenid": root.findtext("genid", ""),
        "description": root.findtext("description", ""),
    }
    return config | {key: value for key, value in optional.items() if value}


def _attribute(root: Element, path: str, name: str) -> str:
    found = root.find(path)
    return "" if found is None else found.get(name, "")


def _cpus(root: Element) -> int:
    vcpu = root.find("vcpu")
    return 1 if vcpu is None else int(vcpu.get("current") or vcpu.text or 1)


def _topology(root: Element) -> tuple[int, int]:
    """Sockets and cores of each; threads and dies count as cores, PVE has no others."""
    topology = root.find("cpu/topology")
    if topology is None:
        return 1, _cpus(root)
    dies, cores, threads = (int(topology.get(name, "1")) for name in ("dies", "cores", "threads"))
    return int(topology.get("sockets", "1")), dies * cores * threads


def _cpu_model(root: Element) -> str:
    mode = _attribute(root, "cpu", "mode")
    return _CPU_MODES[mode] if mode in _CPU_MODES else root.findtext("cpu/model", "")


def _is_efi(root: Element) -> bool:
    return _attribute(root, "os", "firmware") == "efi" or _attribute(root, "os/loader", "type") == "pflash"


def _ostype(root: Element) -> str:
    """From the note that virt-manager and virt-install leave; `other` without one."""
    system = _attribute(root, f"metadata/{_LIBOSINFO}libosinfo/{_LIBOSINFO}os", "id")
    if "microsoft.com/" in system:
        return _WINDOWS.get(system.rpartition("/")[2], "other")
    return "l26" if system else "other"


def _hint(root: Element) -> int | None:
    mark = root.find(f"metadata/{{{definition.METADATA_URI}}}vm")
    return None if mark is None else definition.metadata_vmid(ElementTree.tostring(mark, encoding="unicode"))


def _disks(root: Element) -> list[_Device]:
    found = []
    for disk in root.iterfind("devices/disk"):
        bus, index = _attribute(disk, "target", "bus"), _disk_index(_attribute(disk, "target", "dev"))
        if bus in _BUSES and index is not None:
            found.append(_disk(disk, f"{bus}{index}"))
    return found


def _disk(disk: Element, key: str) -> _Device:
    if disk.get("device") == "cdrom":
        return _Device(key, f"{_source(disk) or 'none'},media=cdrom", _order(disk), "cdrom")
    source = _source(disk)
    local = disk.get("type") in ("file", "block")
    form = _attribute(disk, "driver", "type") or "raw"
    size_bytes = capacity_bytes(Path(source), form) if local and source else None
    value = source if size_bytes is None else f"{source},size={size_text(size_bytes)}"
    return _Device(key, value, _order(disk), "hd", size_bytes)


def _source(disk: Element) -> str:
    """A path; `pool:volume` as PVE has it; `protocol:name` on the network; empty for an empty drive."""
    source = disk.find("source")
    if source is None:
        return ""
    if disk.get("type") in ("volume", "network"):
        first, second = ("pool", "volume") if disk.get("type") == "volume" else ("protocol", "name")
        return f"{source.get(first, '')}:{source.get(second, '')}"
    return source.get("file") or source.get("dev") or source.get("dir") or ""


def _disk_index(target: str) -> int | None:
    """vda, sda, hda are 0; the letters count on as in a spreadsheet's columns. None for what is no disk's name."""
    letters = target[2:]
    if not letters or not all("a" <= letter <= "z" for letter in letters):
        return None
    index = 0
    for letter in letters:
        index = index * 26 + ord(letter) - ord("a") + 1
    return index - 1


def _order(device: Element) -> int | None:
    boot = device.find("boot")
    return None if boot is None else int(boot.get("order", "0"))


def _networks(root: Element) -> list[_Device]:
    return [_network(card, f"net{number}") for number, card in enumerate(root.iterfind("devices/interface"))]


def _network(card: Element, key: str) -> _Device:
    model, mac = _attribute(card, "model", "type") or "rtl8139", _attribute(card, "mac", "address")
    source = card.find("source")
    names = [] if source is None else [source.get(name, "") for name in ("bridge", "network", "dev")]
    bridge = next(filter(None, names), "")
    value = f"{model}={mac.upper()}" + (f",bridge={bridge}" if bridge else "")
    return _Device(key, value, _order(card), "network")


def _boot_order(root: Element, devices: list[_Device]) -> list[_Device]:
    """By the devices' own order, else by the classes named in <os>: the first of each class."""
    ordered = [device for device in devices if device.order is not None]
    if ordered:
        return sorted(ordered, key=lambda device: device.order or 0)
    classes = [boot.get("dev", "") for boot in root.iterfind("os/boot")]
    firsts = (next((device for device in devices if device.boot_class == name), None) for name in classes)
    return [device for device in firsts if device is not None]
