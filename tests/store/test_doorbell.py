"""The bell rings for the others, survives dead neighbours, and never waits."""

import select
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from haven.core.transaction import Committed
from haven.store.doorbell import Doorbell
from haven.store.protocol import StoreError
from tests.store.rig import lock, opened, put


@pytest.fixture
def lrm(tmp_path: Path) -> Iterator[Doorbell]:
    bell = Doorbell(tmp_path / "run", "lrm")
    yield bell
    bell.close()


@pytest.fixture
def crm(tmp_path: Path) -> Iterator[Doorbell]:
    bell = Doorbell(tmp_path / "run", "crm")
    yield bell
    bell.close()


def rings(bell: Doorbell) -> bool:
    return bool(select.select([bell], [], [], 0)[0])


def test_a_ring_is_heard_by_the_others_and_not_by_oneself(lrm: Doorbell, crm: Doorbell) -> None:
    lrm.ring_others()
    assert rings(crm)
    assert not rings(lrm)


def test_a_drained_bell_is_silent_until_it_rings_again(lrm: Doorbell, crm: Doorbell) -> None:
    assert not crm.drain()
    lrm.ring_others()
    lrm.ring_others()
    assert crm.drain()
    assert not rings(crm)
    lrm.ring_others()
    assert rings(crm)


def test_a_commit_rings_and_a_refused_one_does_not(tmp_path: Path, crm: Doorbell) -> None:
    store = opened(tmp_path, "lrm")
    change = put(store.read(), "lock/manager", lock("a"))
    store.commit(change)
    assert crm.drain()
    store.commit(change)
    assert not rings(crm)
    store.close()


def test_a_quiet_commit_rings_nobody(tmp_path: Path, crm: Doorbell) -> None:
    store = opened(tmp_path, "lrm")
    assert isinstance(store.commit(put(store.read(), "lock/manager", lock("a")), quiet=True), Committed)
    assert not rings(crm)
    store.close()


def test_a_neighbour_who_never_listens_does_not_block(lrm: Doorbell, crm: Doorbell) -> None:
    for _ in range(10_000):
        lrm.ring_others()
    assert crm.drain()


def test_the_socket_of_a_dead_neighbour_is_removed_and_the_living_are_rung(
    tmp_path: Path, lrm: Doorbell, crm: Doorbell
) -> None:
    dead = [tmp_path / "run" / "bell" / f"{name}.sock" for name in ("aaa", "zzz")]
    for path in dead:
        left_behind = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        left_behind.bind(str(path))
        left_behind.close()
    lrm.ring_others()
    assert rings(crm)
    assert not any(path.exists() for path in dead)


def test_a_restarted_process_takes_its_place_again(tmp_path: Path, lrm: Doorbell) -> None:
    first = Doorbell(tmp_path / "run", "crm")
    first.close()
    again = Doorbell(tmp_path / "run", "crm")
    lrm.ring_others()
    assert rings(again)
    again.close()


def test_ringing_without_anybody_or_without_a_directory_does_nothing(tmp_path: Path, lrm: Doorbell) -> None:
    lrm.ring_others()
    (tmp_path / "run" / "bell" / "lrm.sock").unlink()
    (tmp_path / "run" / "bell").rmdir()
    lrm.ring_others()


def test_what_is_no_socket_among_the_bells_is_left_alone(tmp_path: Path, lrm: Doorbell, crm: Doorbell) -> None:
    stray = tmp_path / "run" / "bell" / "stray.sock"
    stray.write_text("x")
    lrm.ring_others()
    assert rings(crm)


def test_a_path_too_long_for_a_socket_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"cannot listen on .*too long.*run_dir in haven.toml"):
        Doorbell(tmp_path / ("x" * 120), "lrm")
