"""Who is told on a real host: by messages, by push monitors, by Prometheus; also when the API is killed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from haven.lab.haven_host import HavenHost
from haven.lab.receiver import Received, Receiver
from tests.integration.vms import TestVm, protected, typed

pytestmark = pytest.mark.lab

PORT = 9177


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HavenHost]:
    with HavenHost(Path(tmp_path_factory.mktemp("lab")) / "host") as host:
        yield host


@pytest.fixture(scope="module")
def receiver(host: HavenHost) -> Receiver:
    receiver = Receiver(host)
    receiver.start()
    lines = (
        "tick_s = 2",
        "brake_window_s = 10",
        f'webhook_url = "{receiver.url("hook")}"',
        f'heartbeat_url = "{receiver.url("heart")}?status=up&msg=OK&ping="',
        f'metrics_listen = "127.0.0.1:{PORT}"',
    )
    host.configure("\n".join(lines) + "\n")
    host.haven_start()
    return receiver


@pytest.fixture(scope="module")
def vm(host: HavenHost, receiver: Receiver) -> TestVm:
    """Protected and running, with a push monitor of its own."""
    vm = protected(host)
    typed(host, "haven", "set", vm.sid, "--push-url", receiver.url("vm"))
    return vm


def came(vm: TestVm, receiver: Receiver, path: str, count: int) -> list[Received]:
    vm.host.wait_for(lambda: len(receiver.received(path)) >= count, 60.0, f"{count} at {path}")
    return receiver.received(path)


def test_a_crash_reaches_the_webhook_and_the_monitor_of_the_vm(vm: TestVm, receiver: Receiver) -> None:
    before = vm.kill()
    vm.runs_anew(before)
    said = came(vm, receiver, "hook", 1)[0].body
    assert said["title"].startswith(f"{vm.sid} ({vm.name}) is back after ")
    assert said["incident"] == vm.incidents()[0]
    beat = came(vm, receiver, "vm", 1)[-1].query
    assert (beat["status"], beat["msg"]) == ("up", said["title"])
    assert abs(float(beat["ping"]) - 1000 * said["outage_s"]) < 1


def test_prometheus_reads_the_restart_and_nothing_else_is_served(vm: TestVm, receiver: Receiver) -> None:
    text = asked(vm.host, "/metrics")
    who = f'name="{vm.name}",sid="{vm.sid}"'
    assert f"haven_vm_up{{{who}}} 1.0" in text
    assert f"haven_vm_restarts_total{{{who}}} 1.0" in text
    assert asked(vm.host, "/api2/json/haven/status") == "only /metrics is here\n"


def asked(host: HavenHost, path: str) -> str:
    program = (
        "import http.client; c = http.client.HTTPConnection('127.0.0.1', 9177);"
        f" c.request('GET', '{path}'); print(c.getresponse().read().decode(), end='')"
    )
    return host.tool("python3", "-c", program).stdout


def test_a_test_says_that_all_were_reached_and_calls_the_heart(vm: TestVm, receiver: Receiver) -> None:
    told = typed(vm.host, "haven", "notify", "test")
    assert told.count("ok, after") == 3, told
    beat = receiver.received("heart")[-1].query
    assert (beat["status"], beat["msg"]) == ("up", f"1 of 1 VMs that should run do, on {vm.host.hostname}")


def test_a_crash_while_the_api_is_dead_is_told_once_when_it_is_back(vm: TestVm, receiver: Receiver) -> None:
    """The second one is braked, so it may be told as down, too."""
    before = len(backs(receiver))
    for number in range(1, 3):
        vm.host.haven_kill("api")
        vm.runs_anew(vm.kill())
        vm.host.wait_for(lambda number=number: len(backs(receiver)) >= before + number, 60.0, "its message")  # type: ignore[misc]
    ids = [one.body["id"] for one in receiver.received("hook")]
    assert len(ids) == len(set(ids))
    assert len(backs(receiver)) == before + 2


def backs(receiver: Receiver) -> list[Received]:
    """Messages of a VM that is back."""
    return [one for one in receiver.received("hook") if one.body["kind"] == "closed"]
