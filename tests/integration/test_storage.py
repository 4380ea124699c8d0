"""A power cut of a real host, and a storage pool that is there later than the host."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from haven.lab.guest import blank_domain_xml
from haven.lab.haven_host import HavenHost
from tests.integration.vms import TestVm, defined, forget, protected, typed

pytestmark = pytest.mark.lab


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HavenHost]:
    with HavenHost(Path(tmp_path_factory.mktemp("lab")) / "host") as host:
        host.configure("tick_s = 1\n")
        host.haven_start()
        yield host


def test_after_a_power_cut_one_waits_for_another_whose_pool_comes_late(host: HavenHost) -> None:
    router, other = defined(host), defined(host)
    folder = _on_a_pool(host, router)
    for vm in (router, other):
        protected(host, vm)
    typed(host, "haven", "set", other.sid, "--wait-for", router.sid)
    host.wait_for(lambda: "disable" in host.virsh("dominfo", other.name), 60.0, "its autostart off")
    assert "without haven it stays down" in typed(host, "haven", "explain", other.sid)
    host.power_cut()
    aside = folder.rename(folder.with_suffix(".aside"))  # libvirt finds a pool active whose folder is there
    host.start()
    host.haven_start()
    host.wait_for(lambda: "storage pool late" in str(router.seen()["trouble"]), 60.0, "the pool named")
    tries = [one for one in host.told("haven", "history", router.sid, "--json") if one["kind"] == "exec"]
    assert sum("start failed" in one["sentence"] for one in tries) == 1, "held at once, not by max_restart"
    host.wait_for(lambda: f"waits for {router.sid}" in str(other.seen()["trouble"]), 60.0, "the other waiting")
    assert other.life is None
    aside.rename(folder)
    host.virsh("pool-start", "late")
    router.runs_anew(None)
    other.runs_anew(None)
    for vm in (router, other):
        (incident,) = host.incidents(vm.sid)
        assert (incident["cause"], incident["state"]) == ("host_boot", "recovered")
        assert vm.seen()["wanted"] == "started"
    before = other.kill()
    other.runs_anew(before)
    for vm in (router, other):
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
