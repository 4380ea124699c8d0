"""`haven api` as a process, on libvirt's own test driver: alone on its host, kept honest by kill -9."""

import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from haven.api.client import ApiClient, ApiError, ApiUnreachable
from haven.store.sqlite import open_store

DEADLINE_S = 40.0
RESOURCES = "/cluster/ha/resources"


class Process:
    """One `haven api` in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = folder / "run" / "api.sock"
        self.api = ApiClient(self.socket)
        config = folder / "haven.toml"
        config.write_text(
            f'node = "alpha"\nstate_dir = "{folder}/state"\nrun_dir = "{folder}/run"\n'
            'libvirt_uri = "test:///default"\n'
        )
        self._environ = os.environ | {"HAVEN_CONFIG": str(config)}
        self._child: subprocess.Popen[str] | None = None

    def start(self) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "haven", "api"]
        self._child = subprocess.Popen(command, env=self._environ, stderr=subprocess.PIPE, text=True)
        return self._child

    def up(self) -> subprocess.Popen[str]:
        """Start it and wait until it answers."""
        child = self.start()
        wait_until(self._answers)
        return child

    def end(self) -> None:
        if self._child and self._child.poll() is None:
            self._child.kill()
            self._child.communicate()

    def _answers(self) -> bool:
        try:
            self.api.get("/version")
        except ApiUnreachable:
            return False
        return True


def wait_until(condition: Callable[[], bool]) -> None:
    deadline_s = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline_s, "it did not come about in time"
        time.sleep(0.02)


@pytest.fixture
def haven(tmp_path: Path) -> Iterator[Process]:
    process = Process(tmp_path)
    yield process
    process.end()


def test_it_serves_a_socket_of_root_s_own_and_ends_in_order(haven: Process) -> None:
    child = haven.up()
    assert stat.S_IMODE(haven.socket.stat().st_mode) == 0o600
    [vm] = haven.api.get("/nodes/localhost/qemu")
    assert (vm["vmid"], vm["name"], vm["status"]) == (100, "test", "running")
    child.terminate()
    assert child.wait(DEADLINE_S) == 0
    with pytest.raises(ApiUnreachable, match="is `haven up` running"):
        haven.api.get("/version")


def test_a_socket_that_a_dead_process_left_is_replaced(haven: Process) -> None:
    haven.socket.parent.mkdir(mode=0o700)
    socket.socket(socket.AF_UNIX).bind(str(haven.socket))
    haven.up()


def test_a_second_one_is_refused_in_one_line_and_the_first_goes_on(haven: Process) -> None:
    first = haven.up()
    second = haven.start()
    _, said = second.communicate(timeout=DEADLINE_S)
    assert second.returncode != 0
    assert (
        said
        == f"haven api: haven api already runs on this host (pid {first.pid}): use that one, or end it first\n"
    )
    assert haven.api.get("/version")
    first.kill()
    first.communicate()


def test_nothing_acknowledged_is_lost_by_kill_9(haven: Process) -> None:
    child = haven.up()
    haven.api.post(RESOURCES, sid="100", comment="0")
    acknowledged: list[int] = []

    def write() -> None:
        for number in range(1, 100_000):
            try:
                haven.api.put(f"{RESOURCES}/100", comment=str(number))
            except (ApiError, ApiUnreachable):
                return
            acknowledged.append(number)

    writer = threading.Thread(target=write)
    writer.start()
    wait_until(lambda: len(acknowledged) > 20)
    child.send_signal(signal.SIGKILL)
    writer.join(DEADLINE_S)
    child.communicate()
    store = open_store(haven.folder / "state", haven.folder / "run", "test")
    comment = store.read().configs()["vm:100"].comment
    store.close()
    assert comment in (str(acknowledged[-1]), str(acknowledged[-1] + 1))
    haven.up()
    assert haven.api.get(f"{RESOURCES}/100")["comment"] == comment


def test_what_became_of_a_damaged_store_is_a_line_of_the_story(haven: Process) -> None:
    (haven.folder / "state").mkdir(mode=0o700)
    (haven.folder / "state" / "haven.db").write_bytes(b"no database" * 1000)
    haven.up()
    [first, *_] = haven.api.get("/haven/history")
    assert (first["kind"], first["level"], first["source"]) == ("store_trouble", "err", "api")
    assert "set aside" in first["sentence"]


def test_an_unprotected_vm_is_started_and_stopped_through_libvirt(haven: Process) -> None:
    haven.up()
    for action, status in (("stop", "stopped"), ("start", "running")):
        upid = haven.api.post(f"/nodes/alpha/qemu/100/status/{action}")
        path = f"/nodes/alpha/tasks/{upid}/status"
        wait_until(lambda path=path: haven.api.get(path)["status"] == "stopped")  # type: ignore[misc]
        assert haven.api.get(path)["exitstatus"] == "OK"
        assert haven.api.get("/nodes/alpha/qemu/100/status/current")["status"] == status
