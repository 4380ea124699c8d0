"""Storage of a real host: a pool and a server that are there later than the host, and a server that goes away."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from haven.lab.guest import blank_domain_xml
from haven.lab.haven_host import HavenHost
from haven.lab.namespaces import Process
from tests.integration.vms import TestVm, defined, forget, protected, tells, typed

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HavenHost]:
    with HavenHost(Path(tmp_path_factory.mktemp("lab")) / "host") as host:
        host.configure("tick_s = 1\n")
        host.haven_start()
        yield host


# A boot sector that reads its disk's second sector for ever, by way of the BIOS.
READS = bytes.fromhex("31c0 8ec0 bb007e b80102 b90200 ba8000 cd13 ebf3").ljust(510, b"\0") + b"\x55\xaa"
POLICY = "<driver name='qemu' type='raw' cache='none' error_policy='stop' rerror_policy='stop'/>"
PORT = 10809


def test_a_server_of_disks_that_goes_away_is_waited_for(host: HavenHost) -> None:
    vm, server = defined(host), _serves(host)
    _on_a_server(host, vm)
    protected(host, vm)
    life = vm.life
    server.kill()
    host.wait_for(lambda: vm.state() == "paused", 60.0, "QEMU's pause")
    where = f"paused by QEMU (io-error): vda: nbd/x at 127.0.0.1:{PORT}"
    host.wait_for(lambda: where in str(vm.seen()["trouble"]), 60.0, "the disk named")
    server = _serves(host)
    host.wait_for(lambda: vm.state() == "running" and vm.seen()["trouble"] is None, 60.0, "its being resumed")
    assert vm.life == life
    assert [(one["cause"], one["state"]) for one in vm.incidents()] == [("io_error", "recovered")]
    forget(vm)
    server.kill()


def _on_a_server(host: HavenHost, vm: TestVm) -> None:
    """A disk that an NBD server of this host has to serve."""
    source = f"<source protocol='nbd' name='x'><host name='127.0.0.1' port='{PORT}'/></source>"
    disk = f"<disk type='network' device='disk'>{POLICY}{source}<target dev='vda' bus='virtio'/></disk>"
    host.define(blank_domain_xml(vm.name).replace("</devices>", f"{disk}</devices>"))


def _serves(host: HavenHost) -> Process:
    """QEMU's own NBD server, listening."""
    (host.root / "nbd.raw").write_bytes(READS.ljust(1 << 20, b"\0"))
    image = f"driver=file,node-name=file,filename={host.root}/nbd.raw"
    server = host.spawn(
        [
            *("qemu-storage-daemon", "--blockdev", image, "--blockdev", "driver=raw,node-name=raw,file=file"),
            *("--nbd-server", f"addr.type=inet,addr.host=127.0.0.1,addr.port={PORT}"),
            *("--export", "nbd,id=export,node-name=raw,name=x,writable=on"),
        ],
        host.root / "log/nbd.log",
    )
    host.wait_for(lambda: _listens(host), 60.0, "the server")
    return server


def _listens(host: HavenHost) -> bool:
    return f"0100007F:{PORT:04X} 00000000:0000 0A" in Path(f"/proc/{host.init_pid}/net/tcp").read_text()


def _failed_starts(host: HavenHost, vm: TestVm) -> int:
    told = host.told("haven", "history", vm.sid, "--json")
    return sum(one["kind"] == "exec" and "start failed" in one["sentence"] for one in told)


def test_after_a_power_cut_one_waits_for_another_whose_pool_comes_late(host: HavenHost) -> None:
    """And a third one for the server of its disk."""
    router, other, far = defined(host), defined(host), defined(host)
    folder = _on_a_pool(host, router)
    _on_a_server(host, far)
    _serves(host)
    for vm in (router, other, far):
        protected(host, vm)
    typed(host, "haven", "set", other.sid, "--wait-for", router.sid)
    host.wait_for(lambda: "disable" in host.virsh("dominfo", other.name), 60.0, "its autostart off")
    assert "without haven it stays down" in typed(host, "haven", "explain", other.sid)
    host.power_cut()
    aside = folder.rename(folder.with_suffix(".aside"))  # libvirt finds a pool active whose folder is there
    host.start()
    host.haven_start()
    host.wait_for(lambda: "storage pool late" in str(router.seen()["trouble"]), 60.0, "the pool named")
    missing = f"disk nbd/x is missing: 127.0.0.1:{PORT} does not answer (connection refused)"
    host.wait_for(lambda: missing in str(far.seen()["trouble"]), 60.0, "the server named")
    for vm in (router, far):
        host.wait_for(lambda vm=vm: _failed_starts(host, vm) > 0, 60.0, "the story")  # type: ignore[misc]
        assert _failed_starts(host, vm) == 1, "held at once, not by max_restart"
    host.wait_for(lambda: f"waits for {router.sid}" in str(other.seen()["trouble"]), 60.0, "the other waiting")
    assert other.life is None
    aside.rename(folder)
    host.virsh("pool-start", "late")
    _serves(host)
    for vm in (router, other, far):
        vm.runs_anew(None)
        (incident,) = vm.incidents()
        assert (incident["cause"], incident["state"]) == ("host_boot", "recovered")
        assert vm.seen()["wanted"] == "started"
    before = other.kill()
    other.runs_anew(before)
    for vm in (router, other, far):
        forget(vm)


def _on_a_pool(host: HavenHost, vm: TestVm) -> Path:
    """A disk in a storage pool that libvirt does not start at boot; the folder of the pool."""
    folder = host.root / "pool"
    folder.mkdir()
    host.virsh("pool-define-as", "late", "dir", "--target", str(folder))
    host.virsh("pool-start", "late")
    host.virsh("vol-create-as", "late", "disk.raw", "1M")
    disk = "<disk type='volume'><source pool='late' volume='disk.raw'/><target dev='vda' bus='virtio'/></disk>"
    host.define(blank_domain_xml(vm.name).replace("</devices>", f"{disk}</devices>"))
    return folder


SILENT = f"""
import socket
server, clients = socket.create_server(("127.0.0.1", {PORT})), []
while True:
    clients.append(server.accept())
"""


def test_a_vm_that_libvirt_is_only_starting_does_not_run_yet(host: HavenHost) -> None:
    """The server of its disk takes its call and says nothing: its QEMU may never come up."""
    vm, server = defined(host), _serves(host)
    _on_a_server(host, vm)
    protected(host, vm)
    server.kill()
    host.power_cut()
    host.start()
    silent = host.spawn([sys.executable, "-c", SILENT], host.root / "log/silent.log")
    host.wait_for(lambda: _listens(host), 60.0, "the server that says nothing")
    host.wait_for(lambda: vm.state() == "shut off", 60.0, "the end of libvirt's autostart")
    host.spawn(["virsh", "start", vm.name], host.root / "log/start.log")
    host.wait_for(lambda: "starting up" in host.virsh("domstate", "--reason", vm.name), 60.0, "its being started")
    host.haven_start()
    host.wait_for(lambda: "libvirt is starting it" in str(vm.seen()["trouble"]), 60.0, "what is waited for")
    tells(host, "the host was rebooted or lost power", vm.sid)
    assert [(one["cause"], one["state"]) for one in host.incidents(vm.sid)] == [("host_boot", "open")]
    silent.kill()
    host.wait_for(lambda: f"{PORT} does not answer" in str(vm.seen()["trouble"]), 60.0, "the server named")
    _serves(host)
    vm.runs_anew(None)
    assert [(one["cause"], one["state"]) for one in vm.incidents()] == [("host_boot", "recovered")]
    forget(vm)
