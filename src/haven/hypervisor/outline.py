"""A definition in short words, part by part: what a person would call a change of it."""

from collections.abc import Iterator
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

_AGENT = "devices/channel/target[@name='org.qemu.guest_agent.0']"


def outline(xml: str) -> dict[str, str]:
    """Its parts by name. Addresses, aliases and metadata are libvirt's and haven's own business."""
    return dict(_parts(ElementTree.fromstring(xml)))


def _parts(root: Element) -> Iterator[tuple[str, str]]:
    yield "name", root.findtext("name", "")
    yield "memory", f"{int(root.findtext('memory', '0')) // 1024} MiB"
    vcpu = root.find("vcpu")
    yield "cpus", "1" if vcpu is None else vcpu.get("current") or vcpu.text or "1"
    yield "cpu", " ".join(filter(None, (_attribute(root, "cpu", "mode"), root.findtext("cpu/model", ""))))
    yield "machine", _attribute(root, "os/type", "machine")
    yield "firmware", _attribute(root, "os", "firmware") or root.findtext("os/loader", "")
    boot = [device.get("dev", "") for device in root.iterfind("os/boot")]
    yield "boot order", ", ".join(boot)
    for event in ("on_poweroff", "on_reboot", "on_crash"):
        yield event, root.findtext(event, "")
    for disk in root.iterfind("devices/disk"):
        yield f"{disk.get('device', 'disk')} {_attribute(disk, 'target', 'dev')}", _disk(disk)
    for card in root.iterfind("devices/interface"):
        yield f"net {_attribute(card, 'mac', 'address')}", _net(card)
    for device in root.iterfind("devices/hostdev"):
        yield f"host device {_host_device(device)}", device.get("type", "")
    for watchdog in root.iterfind("devices/watchdog"):
        yield "guest watchdog", f"{watchdog.get('model', '')} {watchdog.get('action', 'reset')}"
    if root.find("devices/panic") is not None:
        yield "panic device", ""
    if root.find(_AGENT) is not None:
        yield "guest agent's channel", ""


def _attribute(root: Element, path: str, name: str) -> str:
    found = root.find(path)
    return "" if found is None else found.get(name, "")


def _disk(disk: Element) -> str:
    source, driver = disk.find("source"), disk.find("driver")
    place = "" if source is None else "/".join(source.get(name, "") for name in _SOURCES if source.get(name))
    options = {} if driver is None else driver.attrib
    words = [f"{name}={options[name]}" for name in ("cache", "error_policy", "io") if name in options]
    return " ".join([place or "empty", *words])


_SOURCES = ("file", "dev", "dir", "pool", "volume", "protocol", "name")


def _net(card: Element) -> str:
    source = card.find("source")
    names = [] if source is None else [source.get(name, "") for name in ("bridge", "network", "dev")]
    return " ".join(filter(None, (_attribute(card, "model", "type"), *names)))


def _host_device(device: Element) -> str:
    address = device.find("source/address")
    if address is None:
        return "?"
    return ":".join(address.get(name, "").removeprefix("0x") for name in ("domain", "bus", "slot", "function"))
