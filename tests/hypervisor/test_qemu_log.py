"""QEMU's log tells how a run ended. The lines are from QEMU 7.2 below libvirt 9.0."""

import os
from pathlib import Path

import pytest

from haven.hypervisor import qemu_log

STARTING = """\
2026-01-02 10:00:00.000+0000: starting up libvirt version: 9.0.0, package: 9.0.0-4, qemu version: 7.2.22
LC_ALL=C \\
PATH=/usr/bin \\
/usr/bin/qemu-system-x86_64 \\
-name guest=web,debug-threads=on \\
-msg timestamp=on
2026-01-02 10:00:00.300+0000: Domain id=1 is tainted: high-privileges
"""
BY_A_STRANGER = (
    "2026-01-02T10:00:05.0Z qemu-system-x86_64: terminating on signal 15 from pid 118 (/usr/bin/python)\n"
)
BY_AN_OUTER_NAMESPACE = "2026-01-02T10:00:05.0Z qemu-system-x86_64: terminating on signal 2\n"
WITHOUT_A_TIMESTAMP = "qemu-kvm: terminating on signal 1 from pid 118 (sh)\n"
BY_LIBVIRT = (
    "2026-01-02T10:00:05.0Z qemu-system-x86_64: terminating on signal 15 from pid 2 (/usr/sbin/libvirtd)\n"
)
SHUT_DOWN = "2026-01-02 10:00:05.2+0000: shutting down, reason=shutdown\n"


def _log(folder: Path, *parts: str) -> Path:
    log = folder / "web.log"
    log.write_text("".join(parts))
    return log


@pytest.mark.parametrize(
    ("line", "signal"), [(BY_A_STRANGER, 15), (BY_AN_OUTER_NAMESPACE, 2), (WITHOUT_A_TIMESTAMP, 1)]
)
def test_a_signal_from_a_stranger_is_read(tmp_path: Path, line: str, signal: int) -> None:
    assert qemu_log.ending_signal(_log(tmp_path, STARTING, line, SHUT_DOWN)) == signal


@pytest.mark.parametrize("daemon", ["/usr/sbin/libvirtd", "libvirtd", "/usr/sbin/virtqemud"])
def test_libvirts_own_signal_after_a_guests_power_off_is_none(tmp_path: Path, daemon: str) -> None:
    line = BY_LIBVIRT.replace("/usr/sbin/libvirtd", daemon)
    assert qemu_log.ending_signal(_log(tmp_path, STARTING, line, SHUT_DOWN)) is None


def test_a_signal_of_an_earlier_run_does_not_count(tmp_path: Path) -> None:
    assert qemu_log.ending_signal(_log(tmp_path, STARTING, BY_A_STRANGER, SHUT_DOWN, STARTING, SHUT_DOWN)) is None


def test_a_guest_cannot_fake_the_line_through_a_device_that_logs(tmp_path: Path) -> None:
    assert (
        qemu_log.ending_signal(_log(tmp_path, STARTING, "serial0: terminating on signal 15\n", SHUT_DOWN)) is None
    )


def test_without_a_log_there_is_no_signal_and_there_are_no_words(tmp_path: Path) -> None:
    assert qemu_log.ending_signal(tmp_path / "none.log") is None
    assert qemu_log.last_words(tmp_path / "none.log") == ()


def test_the_last_words_leave_out_the_command_line_and_earlier_runs(tmp_path: Path) -> None:
    log = _log(tmp_path, STARTING, SHUT_DOWN, STARTING, "\n", BY_A_STRANGER, SHUT_DOWN)
    assert qemu_log.last_words(log) == (BY_A_STRANGER.strip(), SHUT_DOWN.strip())


def test_a_log_of_any_size_costs_one_bounded_read(tmp_path: Path) -> None:
    chatter = [f"line {number} {'x' * 1000}\n" for number in range(1000)]
    words = qemu_log.last_words(_log(tmp_path, STARTING, *chatter))
    assert len(words) == qemu_log.MAX_LINES
    assert words[-1].startswith("line 999 ")
    assert len(words[-1]) == qemu_log.MAX_LINE_CHARACTERS


def test_a_log_is_read_again_only_when_it_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = _log(tmp_path, STARTING, BY_A_STRANGER)
    reader = qemu_log.SignalReader(tmp_path)
    assert reader.ending_signal("web") == 15
    kept = log.stat()
    log.write_text("?" * kept.st_size)
    os.utime(log, ns=(kept.st_atime_ns, kept.st_mtime_ns))
    assert reader.ending_signal("web") == 15, "same size and time: not read"
    _log(tmp_path, STARTING, SHUT_DOWN, STARTING)
    assert reader.ending_signal("web") is None
    log.unlink()
    assert reader.ending_signal("web") is None
