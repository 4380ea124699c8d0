"""Choosing the socket of the system's libvirt, and connecting with a deadline."""

import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import libvirt
import pytest

from haven.hypervisor import connection
from haven.hypervisor.connection import Opener, Spares, choose_uri
from haven.hypervisor.protocol import UnreachableError


@contextmanager
def listener(path: Path) -> Iterator[None]:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        yield


@pytest.fixture
def sockets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """The two places where a daemon may listen; nobody does yet."""
    places = {"direct": tmp_path / "virtqemud-sock", "legacy": tmp_path / "libvirt-sock"}
    monkeypatch.setattr(connection, "SOCKETS", places)
    return places


@pytest.mark.parametrize(
    ("listening", "uri"),
    [
        ({"legacy"}, "qemu:///system?mode=legacy"),
        ({"direct"}, "qemu:///system?mode=direct"),
        ({"direct", "legacy"}, "qemu:///system?mode=direct"),
    ],
)
def test_the_daemon_that_answers_is_chosen(sockets: dict[str, Path], listening: set[str], uri: str) -> None:
    with ExitStack() as stack:
        for mode in listening:
            stack.enter_context(listener(sockets[mode]))
        assert choose_uri("") == uri


def test_a_socket_that_a_dead_daemon_left_behind_is_passed_over(sockets: dict[str, Path]) -> None:
    with listener(sockets["direct"]):
        pass
    assert sockets["direct"].exists()
    with listener(sockets["legacy"]):
        assert choose_uri("") == "qemu:///system?mode=legacy"


def test_when_nobody_answers_the_error_names_both_places_and_what_to_do(sockets: dict[str, Path]) -> None:
    with pytest.raises(UnreachableError) as failure:
        choose_uri("")
    assert all(str(path) in str(failure.value) for path in sockets.values())
    assert "systemctl start libvirtd" in str(failure.value)


def test_a_configured_uri_is_taken_as_it_is(sockets: dict[str, Path]) -> None:
    assert choose_uri("test:///default") == "test:///default"


def test_a_daemon_that_accepts_and_says_nothing_does_not_hang_the_caller(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "OPEN_TIMEOUT_S", 0.05)
    mute = tmp_path / "mute"
    opener = Opener(f"qemu:///system?socket={mute}")
    with listener(mute):
        for _attempt in range(2):
            with pytest.raises(UnreachableError, match="did not answer within"):
                opener.open()


def test_after_a_failed_attempt_the_next_one_is_fresh(sockets: dict[str, Path]) -> None:
    opener = Opener("")
    for _attempt in range(2):
        with pytest.raises(UnreachableError, match="no libvirt daemon answers"):
            opener.open()


def words_of(said: str) -> str:
    """In a thread of its own: libvirt keeps a thread's last error, and makes later ones of it."""
    with ThreadPoolExecutor(1) as apart:
        return apart.submit(lambda: connection.words(libvirt.libvirtError(said))).result()


def test_libvirts_words_come_on_one_bounded_line() -> None:
    said = words_of("two\n  lines " + "x" * 10_000)
    assert said.startswith("two lines x")
    assert len(said) == connection.MAX_WORDS


def test_of_many_connections_at_once_a_few_stay_open() -> None:
    spares = Spares(Opener("test:///default"), kept=2)
    with ExitStack() as stack:
        first = [stack.enter_context(spares.one()) for _ in range(3)]
        assert not any(one.over for one in first)
    assert [one.over for one in first].count(True) == 1
    with ExitStack() as stack:
        again = [stack.enter_context(spares.one()) for _ in range(3)]
        assert len({id(one) for one in first if not one.over} & {id(one) for one in again}) == 2
    spares.close()


def test_of_a_qemu_that_ended_at_once_the_option_is_left_out_and_what_was_wrong_is_kept() -> None:
    said = (
        "internal error: process exited while connecting to monitor: qemu: a warning\n2026-11-30T02:12:24.65Z "
        'qemu-system-x86_64: -blockdev {"driver":"nbd","server":{"host":"h"},"export":"x"}: '
        "Failed to connect to 'h:10809': Connection refused"
    )
    assert words_of(said) == (
        "internal error: process exited while connecting to monitor: qemu: a warning "
        "Failed to connect to 'h:10809': Connection refused"
    )
