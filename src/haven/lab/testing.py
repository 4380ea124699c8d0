"""What tests on real lab hosts share; the fixtures themselves are in the tests' conftest files.

No pytest here: this room has the standard library only.
"""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from haven.lab import machine_check
from haven.lab.artifacts import ArtifactFolder, default_folder
from haven.lab.errors import LabError
from haven.lab.guest import GuestArtifacts, blank_domain_xml
from haven.lab.host import LabHost
from haven.lab.namespaces import Process, wait_for

_EVENT = re.compile(r"event '(?P<kind>[\w-]+)' for domain '?(?P<domain>[^':]+)'?:?\s*(?P<detail>.*)")


def why_no_lab() -> str:
    """Why tests on a lab host cannot run here, in words for a skipped test; empty if they can."""
    if os.geteuid() != 0:
        return "a lab needs root"
    status = Path("/proc/self/status").read_text()
    if lacking := machine_check.missing_capabilities(machine_check.parse_effective_capabilities(status)):
        return f"a lab needs {' and '.join(lacking)}"
    for program in ("libvirtd", "virsh", "qemu-system-x86_64"):
        if shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is None:
            return f"a lab needs {program}: run the setup"
    try:
        load_artifacts()
    except LabError as error:
        return str(error)
    return ""


def load_artifacts() -> GuestArtifacts:
    """The guest artefacts of this checkout; LabError if the setup has not made them."""
    return ArtifactFolder(default_folder()).load()


@dataclass(frozen=True)
class DomainEvent:
    """One event as virsh reports it: kind "lifecycle" has details such as "Stopped Failed"."""

    kind: str
    domain: str
    detail: str


def parse_events(text: str) -> tuple[DomainEvent, ...]:
    """The domain events in virsh's output; other lines are passed over."""
    found = (_EVENT.search(line) for line in text.splitlines())
    return tuple(DomainEvent(m["kind"], m["domain"].strip(), m["detail"].strip()) for m in found if m)


class EventLog:
    """libvirt's events on a lab host, heard by a client of their own from the moment of construction."""

    def __init__(self, host: LabHost, name: str = "events") -> None:
        self._log = host.root / "log" / f"{name}.log"
        self._log.unlink(missing_ok=True)
        self._process: Process = host.spawn(["stdbuf", "-oL", "virsh", "event", "--all", "--loop"], self._log)
        self._listening(host)

    def _listening(self, host: LabHost) -> None:
        """Returns once the client hears events: a probe guest is defined over and over until it does."""

        def heard() -> bool:
            host.define(blank_domain_xml("event-probe"))
            return bool(self.of("event-probe"))

        wait_for(heard, 60.0, "virsh listening for events")
        host.virsh("undefine", "event-probe")

    def of(self, domain: str) -> tuple[str, ...]:
        """Lifecycle details of one domain so far, in order: ("Started Booted", "Stopped Failed")."""
        return tuple(event.detail for event in self.all() if (event.kind, event.domain) == ("lifecycle", domain))

    def all(self) -> tuple[DomainEvent, ...]:
        """Every event so far."""
        return parse_events(self._log.read_text())

    def close(self) -> None:
        """Ends the client."""
        self._process.kill()
        self._process.wait(5.0)
