"""Storage that fails below a real VM, on a real host: a full file system, a pool that is not there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from haven.lab.guest import GuestArtifacts, domain_xml
from haven.lab.haven_host import HavenHost
from tests.integration.vms import TestVm, forget, protected, typed

pytestmark = pytest.mark.lab

SMALL = Path("/run/small")
WRITE_6_MIB = "dd if=/dev/zero of=/dev/vda bs=64k count=96 conv=fsync"


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HavenHost]:
    with HavenHost(Path(tmp_path_factory.mktemp("lab")) / "host") as host:
        host.configure("tick_s = 1\n")
        host.haven_start()
        yield host


def done(host: HavenHost, *words: str) -> None:
    ran = host.run(words)
    assert ran.returncode == 0, ran.stderr


def test_a_vm_on_a_full_file_system_is_named_and_goes_on_when_there_is_space(
    host: HavenHost, artifacts: GuestArtifacts
) -> None:
    vm = TestVm(host, 201, "full-201")
    done(host, "mkdir", str(SMALL))
    done(host, "mount", "-t", "tmpfs", "-o", "size=4m", "small", str(SMALL))
    done(host, "truncate", "-s", "8M", str(SMALL / "disk.raw"))
    console = host.console_log(vm.name)
    console.parent.mkdir(parents=True)
    host.define(domain_xml(vm.name, artifacts, console, disk=SMALL / "disk.raw"))
    protected(host, vm)
    host.wait_guest_up(vm.name)
    before = vm.life
    host.guest_exec(vm.name, "sh", "-c", f"{WRITE_6_MIB} && echo written > /dev/console")
    host.wait_for(lambda: "free of 4 MiB" in str(vm.seen()["trouble"]), 10.0, "haven naming the full disk")
    (incident,) = host.incidents(vm.sid)
    assert incident["cause"] == "io_error"
    assert any("vda: /run/small/disk.raw, 0 MiB free of 4 MiB" in line for line in incident["evidence"])
    assert "resumed as soon as there is space" in typed(host, "haven", "explain", vm.sid)
    assert any("/run/small has" in one["text"] for one in host.told("haven", "status", "--json")["problems"])
    done(host, "mount", "-o", "remount,size=32m", str(SMALL))
    host.wait_for(lambda: "written" in host.guest_console(vm.name), 10.0, "the guest's write")
    host.wait_for(lambda: host.incidents(vm.sid)[0]["state"] == "recovered", 5.0, "the incident's end")
    assert host.incidents(vm.sid)[0]["restarts"] == 0
    assert vm.seen()["restarts_24h"] == 0
    assert vm.life == before
    forget(vm)
