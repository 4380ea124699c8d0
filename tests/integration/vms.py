"""One protected VM of a test, by its own name: what is done to it, and what becomes of it."""

from __future__ import annotations

import itertools
import signal
from dataclasses import dataclass
from typing import Any

from haven.lab.guest import blank_domain_xml
from haven.lab.haven_host import HavenHost

ADD = ("--state", "started", "--max_restart", "3")
_VMIDS = itertools.count(200)
SOON_S = 60.0


@dataclass(frozen=True)
class TestVm:
    """`life` is the name of its present QEMU: another one means that it was started again."""

    __test__ = False

    host: HavenHost
    vmid: int
    name: str

    @property
    def sid(self) -> str:
        return f"vm:{self.vmid}"

    @property
    def life(self) -> str | None:
        return self.host.qemu_life(self.name)

    def kill(self, sig: signal.Signals = signal.SIGKILL) -> str | None:
        """Signals its QEMU; returns the life that ends."""
        before = self.life
        self.host.kill_qemu(self.name, sig)
        return before

    def state(self) -> str:
        """libvirt's word."""
        return self.host.guest_state(self.name)

    def seen(self) -> dict[str, Any]:
        """As `haven status` shows it."""
        return self.host.haven_vm(self.sid)

    def word(self) -> str:
        """Its state as `ha-manager status` prints it; empty when it is not there."""
        for line in self.host.tool("ha-manager", "status").stdout.splitlines():
            if line.startswith(f"service {self.sid} "):
                return line.rpartition(", ")[2].rstrip(")")
        return ""

    def incidents(self, count: int = 1) -> list[dict[str, Any]]:
        """Its incidents, newest first, once there are so many and each has ended: what happened is written down
        shortly after it can be seen."""

        def ended() -> bool:
            told = self.host.incidents(self.sid)
            return len(told) >= count and all(one["state"] != "open" for one in told)

        self.host.wait_for(ended, SOON_S, f"the end of {count} incidents of {self.sid}")
        return self.host.incidents(self.sid)

    def runs_anew(self, before: str | None, within_s: float = SOON_S) -> None:
        """Waits until it runs in another life."""
        what = f"{self.sid} running again"
        self.host.wait_for(lambda: self.life not in (None, before) and self.state() == "running", within_s, what)

    def is_off(self, within_s: float = SOON_S) -> None:
        self.host.wait_for(lambda: self.state() == "shut off", within_s, f"{self.sid} off")

    def is_wanted(self, word: str, within_s: float = SOON_S) -> None:
        self.host.wait_for(lambda: self.seen()["wanted"] == word, within_s, f"{self.sid} wanted {word}")

    def shows(self, word: str, within_s: float = SOON_S) -> None:
        """Waits for a word of `ha-manager status`."""
        self.host.wait_for(lambda: self.word() == word, within_s, f"{self.sid} {word}")

    def stays(self, state: str) -> None:
        """That haven leaves it as it is over its next two looks at everything."""
        looks = {last_look_s(self.host)}

        def looked() -> bool:
            looks.add(last_look_s(self.host))
            return len(looks) > 2

        self.host.wait_for(looked, 60.0, "haven's next looks")
        assert self.state() == state


def last_look_s(host: HavenHost) -> int:
    """When the node daemon last looked at everything, to the second."""
    status = host.told("haven", "status", "--json")
    fresh_s = float(next(one["fresh_s"] for one in status["daemons"] if one["name"] == "lrm"))
    return round(float(status["now"]) - fresh_s)


def typed(host: HavenHost, *words: str) -> str:
    """A command that has to work; its output."""
    done = host.tool(*words)
    assert done.returncode == 0, f"{' '.join(words)}: {done.stderr}"
    return done.stdout


def tells(host: HavenHost, text: str, *words: str) -> None:
    """Waits until `haven history` with these words has that text: it is written shortly after what it tells of."""
    host.wait_for(lambda: text in typed(host, "haven", "history", *words), SOON_S, f"{text!r} in the history")


def refused(host: HavenHost, *words: str) -> str:
    """A command that has to fail with one line on stderr; that line."""
    done = host.tool(*words)
    assert done.returncode != 0
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr.strip()


def defined(host: HavenHost, name: str = "") -> TestVm:
    """A blank guest that haven knows and does not protect; off."""
    vmid = next(_VMIDS)
    vm = TestVm(host, vmid, name or f"blank-{vmid}")
    host.define(blank_domain_xml(vm.name))
    return vm


def protected(host: HavenHost, vm: TestVm | None = None) -> TestVm:
    """A VM that haven keeps running, and that runs: a blank one if none is given."""
    vm = vm or defined(host)

    def known() -> bool:
        return any(one["vmid"] == vm.vmid for one in host.told("haven", "status", "--json")["vms"])

    host.wait_for(known, SOON_S, f"haven knowing {vm.name}")
    typed(host, "ha-manager", "add", vm.sid, *ADD)
    vm.shows("started")
    vm.runs_anew(None)
    return vm


def forget(vm: TestVm) -> None:
    """Takes a VM away, so that it costs the next test nothing."""
    vm.host.tool("ha-manager", "remove", vm.sid)
    vm.host.run(["virsh", "destroy", vm.name])
    vm.host.run(["virsh", "undefine", vm.name, "--managed-save"])
