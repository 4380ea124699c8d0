"""A closer look at every VM, for `haven verify`: its disks down to their backing files, its agent's answer."""

import os
import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import libvirt

from haven.hypervisor import agent, domains, events
from haven.hypervisor.guest_config import AGENT_CHANNEL, memory_mib
from haven.hypervisor.protocol import Surveyed, SurveyedDisk

AGENT_TIMEOUT_S = 2
AGENTS_S = 4.0
"""For all agents together: one behind a stuck command takes far longer than its own time."""
_ASKERS = 8
_BACKING = struct.Struct(">4s4xQI")  # qcow2: magic, version, where the backing file's name is, its length
_DEPTH = 8


def survey(raw: Any) -> tuple[Surveyed, ...]:
    """Every VM. libvirt's errors pass through; VMs that go meanwhile are left out."""
    autostarted = domains.uuids(raw, libvirt.VIR_CONNECT_LIST_DOMAINS_AUTOSTART)
    looked = [(domain, _one(domain, autostarted)) for domain in raw.listAllDomains()]
    found = [(domain, seen) for domain, seen in looked if seen is not None]
    answers = _agents([domain for domain, seen in found if seen.has_agent and seen.status == "running"])
    return tuple(replace(seen, agent_answers=answers.get(seen.uuid)) for _domain, seen in found)


def _one(domain: Any, autostarted: frozenset[str]) -> Surveyed | None:
    return domains.unless_gone(lambda: _look(domain, autostarted))


def _look(domain: Any, autostarted: frozenset[str]) -> Surveyed:
    root = ElementTree.fromstring(domain.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))
    persistent = bool(domain.isPersistent())
    return Surveyed(
        uuid=domain.UUIDString(),
        name=domain.name(),
        status=events.qmp_status(*domain.state()),
        memory_mib=memory_mib(root),
        autostart=domain.UUIDString() in autostarted,
        persistent=persistent,
        has_agent=root.find(f"devices/channel/target[@name='{AGENT_CHANNEL}']") is not None,
        managed_save=persistent and bool(domain.hasManagedSaveImage()),
        disks=tuple(_disks(root)),
    )


def _disks(root: Element) -> Iterator[SurveyedDisk]:
    for disk in root.iterfind("devices/disk"):
        source, driver = disk.find("source"), disk.find("driver")
        path = None if source is None else source.get("file") or source.get("dev")
        if not path or source is None or source.get("startupPolicy") == "optional":
            continue
        cache = "" if driver is None else driver.get("cache", "")
        writable = disk.get("device", "disk") == "disk" and disk.find("readonly") is None
        yield SurveyedDisk(path, missing_of(Path(path)), cache, writable)


def missing_of(image: Path) -> str:
    """The first file of an image and its backing files that is not there; empty when all are."""
    for _ in range(_DEPTH):
        if not _there(image):
            return str(image)
        backing = _backing(image)
        if backing is None:
            return ""
        image = image.parent / backing
    return ""


def _there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False


def _backing(path: Path) -> str | None:
    """The name of a qcow2 image's backing file, as it stands in the image; None without one."""
    with suppress(OSError):
        if not path.is_file():
            return None
        with path.open("rb") as image:
            header = image.read(_BACKING.size)
            if len(header) < _BACKING.size:
                return None
            magic, offset, length = _BACKING.unpack(header)
            if magic != b"QFI\xfb" or not offset or length > os.pathconf("/", "PC_PATH_MAX"):
                return None
            image.seek(offset)
            name = image.read(length).decode("utf-8", "replace")
            return None if ":" in name.partition("/")[0] else name  # json:..., nbd:...: not a file
    return None


def _agents(asked: list[Any]) -> dict[str, bool]:
    """Whether each guest's agent answers; no answer in time counts as none."""
    if not asked:
        return {}
    pool = ThreadPoolExecutor(_ASKERS, "agent")
    answers = {domain.UUIDString(): pool.submit(agent.answers, domain, AGENT_TIMEOUT_S) for domain in asked}
    done, _late = wait(answers.values(), AGENTS_S)
    pool.shutdown(wait=False, cancel_futures=True)
    return {uuid: answer in done and answer.result() for uuid, answer in answers.items()}
