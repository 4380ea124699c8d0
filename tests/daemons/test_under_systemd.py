"""What a daemon says to systemd and to its journal."""

import asyncio
import logging
import os
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from haven.core.event import Event
from haven.core.words import Kind
from haven.daemons import journal, units
from haven.daemons.journal import ALSO, JournalHandler
from haven.daemons.machine import now
from haven.daemons.notify import Systemd


@pytest.fixture
def receiver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """systemd's end of NOTIFY_SOCKET."""
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(str(tmp_path / "notify"))
        heard.settimeout(30.0)
        yield heard


def test_the_first_round_makes_it_ready_and_a_status_is_said_when_it_changes(receiver: socket.socket) -> None:
    systemd = Systemd()
    for status in ("libvirt answers", "libvirt answers", "libvirt cannot be reached"):
        systemd.alive(status)
    assert [receiver.recv(4096).decode().split("\n") for _ in range(3)] == [
        ["WATCHDOG=1", "READY=1", "STATUS=libvirt answers"],
        ["WATCHDOG=1"],
        ["WATCHDOG=1", "STATUS=libvirt cannot be reached"],
    ]


def test_without_systemd_nothing_is_said_and_nothing_is_earlier(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    systemd = Systemd()
    systemd.alive()
    assert (systemd.cap(None), systemd.cap(12.0)) == (None, 12.0)


def test_a_systemd_that_does_not_listen_is_survived(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    Systemd().alive()


def test_with_a_watchdog_the_loop_wakes_three_times_within_its_time(
    receiver: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "6000000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    systemd, moment = Systemd(), now().boottime_s
    assert systemd.cap(None) == pytest.approx(moment + 2.0, abs=0.5)
    assert systemd.cap(moment + 0.1) == moment + 0.1
    monkeypatch.setenv("WATCHDOG_PID", "1")
    assert Systemd().cap(None) is None


def test_an_event_loop_that_turns_is_alive(receiver: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "30000")
    monkeypatch.delenv("WATCHDOG_PID", raising=False)

    async def for_a_while() -> None:
        feeding = asyncio.ensure_future(Systemd().keep_feeding())
        received = [await asyncio.to_thread(receiver.recv, 4096) for _ in range(3)]
        feeding.cancel()
        assert received[0] == b"WATCHDOG=1\nREADY=1"
        assert received[1:] == [b"WATCHDOG=1", b"WATCHDOG=1"]

    asyncio.run(for_a_while())


# -- the journal


@pytest.fixture
def entries(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as heard:
        heard.bind(str(tmp_path / "journal"))
        heard.settimeout(30.0)
        yield heard


def _logger(tmp_path: Path) -> logging.Logger:
    logger = logging.Logger("haven.lrm")
    handler = JournalHandler("pve-ha-lrm", str(tmp_path / "journal"))
    handler.setFormatter(logging.Formatter("%(message)s"))
    logger.addHandler(handler)
    return logger


def test_an_entry_names_its_daemon_its_weight_and_where_else_it_is_looked_for(
    tmp_path: Path, entries: socket.socket
) -> None:
    _logger(tmp_path).warning("vm:%d down", 102, extra={ALSO: ("pve-ha-crm",)})
    assert entries.recv(4096).decode().splitlines() == [
        "MESSAGE=vm:102 down",
        "PRIORITY=4",
        "SYSLOG_IDENTIFIER=pve-ha-lrm",
        "OBJECT_SYSTEMD_UNIT=pve-ha-crm.service",
    ]


def test_a_text_of_several_lines_stays_one_entry(tmp_path: Path, entries: socket.socket) -> None:
    _logger(tmp_path).error("one\nPRIORITY=0\ntwo")
    data = entries.recv(4096)
    length = len(b"one\nPRIORITY=0\ntwo")
    assert data.startswith(b"MESSAGE\n" + struct.pack("<Q", length) + b"one\nPRIORITY=0\ntwo\nPRIORITY=3\n")


def test_what_the_journal_does_not_take_goes_to_stderr(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    _logger(tmp_path).info("nobody listens")
    assert "nobody listens" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (Event(Kind.VM_DOWN, "its QEMU process died", "vm:102"), "VM 102: its QEMU process died"),
        (Event(Kind.EXEC, "started", "vm:102", fields={"phase": "ok"}), "VM 102: started"),
        (Event(Kind.EXEC, "is being started", "vm:102", fields={"phase": "begin"}), None),
        (Event(Kind.VM_EVIDENCE, "a line of QEMU's log", "vm:102"), None),
        (Event(Kind.DAEMON_STARTED, "lrm started"), None),
    ],
)
def test_starts_and_ends_are_also_lines_of_qmeventd(event: Event, line: str | None) -> None:
    assert units.start_or_stop(event) == line
    assert units.further_units(event) == (("pve-ha-crm",) if event.sid else ())


# -- what cannot start


@pytest.mark.parametrize(("config", "status"), [("tick_s = 'often'\n", 78), ("run_dir = '/proc/nowhere'\n", 75)])
def test_only_what_a_person_must_mend_keeps_systemd_from_trying_again(
    config: str, status: int, tmp_path: Path, receiver: socket.socket
) -> None:
    path = tmp_path / "haven.toml"
    path.write_text(f"state_dir = '{tmp_path}/state'\n{config}")
    program = (
        "import haven.__main__ as m, sys; m.TRY_AGAIN_S = 0.1; sys.argv = ['haven', 'crm']; sys.exit(m.main())"
    )
    env = os.environ | {"HAVEN_CONFIG": str(path)}
    done = subprocess.run(
        [sys.executable, "-c", program], env=env, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == status, done.stderr
    assert done.stderr.count("\n") == 1
    if status == 75:
        assert receiver.recv(4096).decode().startswith("STATUS=cannot start: cannot create /proc/nowhere")


def test_a_daemon_that_systemd_aborts_says_where_it_hung(tmp_path: Path) -> None:
    program = (
        "import time\nfrom haven.daemons.logs import set_up_logging\n"
        "set_up_logging('info')\ndef hangs_here(): print('up', flush=True); time.sleep(60)\nhangs_here()"
    )
    env = os.environ | {journal.UNIT_VARIABLE: "pve-ha-lrm"}
    with subprocess.Popen(
        [sys.executable, "-c", program], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as daemon:
        assert daemon.stdout is not None and daemon.stderr is not None
        up = daemon.stdout.readline()
        daemon.send_signal(signal.SIGABRT)
        said = daemon.stderr.read()
    assert up == "up\n", said
    assert "in hangs_here" in said, said
