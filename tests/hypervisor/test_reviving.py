"""Ending a QEMU that answers nothing, and what counts as a guest's own work; on ordinary processes."""

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from haven.core.records import Instance
from haven.hypervisor import reviving
from haven.hypervisor.life_signs import work_done
from haven.hypervisor.processes import started_ticks
from haven.hypervisor.protocol import HypervisorError

DEADLINE_S = 30.0


def test_what_a_guest_is_sent_is_no_sign_of_its_life() -> None:
    values: dict[str, int | str] = {
        "block.0.rd.reqs": 3,
        "block.0.wr.reqs": 2,
        "block.0.name": "vda",
        "net.count": 1,
    }
    assert work_done(values | {"net.0.tx.pkts": 10, "net.0.rx.pkts": 999, "block.0.rd.bytes": 999}) == 15


@pytest.fixture
def process() -> Iterator["subprocess.Popen[bytes]"]:
    child = subprocess.Popen(["sleep", "60"])
    yield child
    child.kill()
    child.wait(DEADLINE_S)


def test_a_stuck_process_is_killed_only_if_it_is_the_one_that_was_meant(
    process: "subprocess.Popen[bytes]",
) -> None:
    ticks = started_ticks(Path("/proc"), process.pid)
    assert ticks is not None
    with pytest.raises(HypervisorError, match="of VM web is gone: nothing was killed"):
        reviving.kill("web", Instance(process.pid, ticks + 1))
    assert process.poll() is None
    reviving.kill("web", Instance(process.pid, ticks))
    assert process.wait(DEADLINE_S) == -signal.SIGKILL


def test_a_process_that_is_gone_is_an_error_that_names_it() -> None:
    child = subprocess.Popen(["true"])
    child.wait(DEADLINE_S)
    with pytest.raises(HypervisorError, match=rf"process {child.pid} of VM web"):
        reviving.kill("web", Instance(child.pid, 1))
