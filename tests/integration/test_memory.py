"""A host that runs out of memory, as a real VM meets it. The host's /proc/meminfo is a file of the test's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from haven.core.records import VmCare
from haven.core.transaction import Committed, Put, Transaction
from haven.lab.haven_host import HavenHost
from haven.store.sqlite import open_store
from tests.integration.vms import TestVm, typed

pytestmark = pytest.mark.lab

HOST_MIB = 16384


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HavenHost]:
    with HavenHost(Path(tmp_path_factory.mktemp("lab")) / "host") as host:
        host.configure("tick_s = 2\n")
        has_available(host, 9000)
        host.run(["mount", "--bind", str(host.root / "meminfo"), "/proc/meminfo"])
        host.haven_start()
        yield host


def has_available(host: HavenHost, mib: int) -> None:
    text = f"MemTotal: {HOST_MIB * 1024} kB\nMemFree: 1024 kB\nMemAvailable: {mib * 1024} kB\n"
    (host.root / "meminfo").write_text(text)


def sentences(host: HavenHost, kind: str) -> list[str]:
    told = host.told("haven", "history", "--json")
    return [entry["sentence"] for entry in told if entry["kind"] == kind]


def test_a_vm_is_held_until_there_is_memory_for_it(vm: TestVm) -> None:
    typed(vm.host, "qm", "set", str(vm.vmid), "--memory", "4096")
    has_available(vm.host, 900)
    vm.kill()
    vm.shows("error")
    assert vm.state() == "shut off"
    assert "needs 4096 MiB, 900 available" in vm.host.tool("haven", "explain", vm.sid).stdout
    has_available(vm.host, 9000)
    vm.runs_anew(None)
    vm.shows("started")
    (incident,) = vm.incidents()
    assert (incident["cause"], incident["state"]) == ("crash", "recovered")


def test_a_host_whose_memory_is_short_is_told_of_once_each_way(host: HavenHost) -> None:
    has_available(host, 300)
    host.wait_for(lambda: bool(sentences(host, "host_memory")), 60.0, "the host's memory being told short")
    has_available(host, 9000)
    host.wait_for(lambda: len(sentences(host, "host_memory")) > 1, 60.0, "its being told well")
    short, well = sentences(host, "host_memory")
    assert short.startswith("the host's memory is short: 300 MiB of 16 GiB available (1.8 %); ")
    assert well == "the host's memory is well again: 8.8 GiB of 16 GiB available (54.9 %)"


def test_a_priority_reaches_the_kernel_in_each_life(vm: TestVm) -> None:
    """One below 0: to be killed sooner may be asked without CAP_SYS_RESOURCE, which containers lack."""
    store = open_store(vm.host.root / "var/lib/haven", vm.host.run_dir / "haven", "test")
    care = Put(f"care/{vm.sid}", VmCare(vm.sid, priority=-30))
    assert isinstance(store.commit(Transaction(store.read().incarnation, (), (care,))), Committed)
    store.close()
    vm.host.wait_for(lambda: score(vm) == 270, 60.0, "its oom_score_adj")
    vm.runs_anew(vm.kill())
    vm.host.wait_for(lambda: score(vm) == 270, 60.0, "its oom_score_adj after a restart")


def test_a_higher_priority_is_applied_or_said_not_to_be(vm: TestVm) -> None:
    typed(vm.host, "haven", "set", vm.sid, "--priority", "30")

    def done() -> bool:
        return score(vm) == -270 or any(
            "its priority is not applied" in one for one in sentences(vm.host, "vm_note")
        )

    vm.host.wait_for(done, 60.0, "its priority")


def score(vm: TestVm) -> int:
    pid = vm.host.qemu_pid(vm.name)
    return int(Path(f"/proc/{pid}/oom_score_adj").read_text()) if pid else 0
