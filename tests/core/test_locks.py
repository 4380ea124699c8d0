"""Locks (spec 1.2): who gets one, who keeps it, who may give it back."""

import pytest

from haven.core import locks
from haven.core.records import Lock
from haven.core.transaction import Committed, Put, Refused, Transaction
from haven.core.view import View
from tests.core.fake_store import FakeStore

NAMES = [locks.MANAGER, locks.agent("node1")]


class Shelf:
    """A store with one lock on it."""

    def __init__(self, name: str) -> None:
        self.store, self.name = FakeStore(), name

    def view(self) -> View:
        return self.store.read("anybody")

    def obtain(self, node: str, *, quorate: bool = True) -> Transaction | None:
        return locks.obtain(self.view(), self.name, node, f"{node}-process", quorate=quorate)

    def get(self, node: str) -> Transaction:
        wish = self.obtain(node)
        assert wish is not None
        assert isinstance(self.store.commit(wish), Committed)
        return wish

    def holder(self) -> Lock | None:
        return self.view().lock(self.name)


@pytest.fixture(params=NAMES)
def shelf(request: pytest.FixtureRequest) -> Shelf:
    return Shelf(request.param)


def test_a_free_lock_is_taken_by_whoever_asks_r_1_1(shelf: Shelf) -> None:
    assert locks.is_free(shelf.view(), shelf.name)
    shelf.get("node1")
    assert shelf.holder() == Lock("node1", "node1-process")
    assert locks.is_ours(shelf.view(), shelf.name, "node1")
    assert not locks.is_ours(shelf.view(), shelf.name, "node2")
    assert not locks.is_free(shelf.view(), shelf.name)


def test_of_two_who_saw_it_free_only_one_gets_it(shelf: Shelf) -> None:
    late = shelf.obtain("node2")
    shelf.get("node1")
    assert late is not None
    assert isinstance(shelf.store.commit(late), Refused)
    assert shelf.holder() == Lock("node1", "node1-process")


def test_taking_it_again_renews_it_and_leaves_its_revision_r_1_1(shelf: Shelf) -> None:
    shelf.get("node1")
    before = shelf.view().revision_of(f"lock/{shelf.name}")
    wish = shelf.get("node1")
    assert not any(isinstance(write, Put) for write in wish.writes)
    assert wish.guards[0].revision == before
    assert shelf.holder() == Lock("node1", "node1-process")


def test_another_nodes_lock_cannot_be_had_r_1_1(shelf: Shelf) -> None:
    shelf.get("node1")
    assert shelf.obtain("node2") is None


def test_without_quorum_nothing_is_taken_or_renewed_r_1_2(shelf: Shelf) -> None:
    assert shelf.obtain("node1", quorate=False) is None
    shelf.get("node1")
    assert shelf.obtain("node1", quorate=False) is None


def test_a_renewal_that_comes_after_the_lock_changed_hands_is_refused(shelf: Shelf) -> None:
    shelf.get("node1")
    late = locks.renew(shelf.view(), shelf.name)
    released = locks.release(shelf.view(), shelf.name, "node1")
    assert released is not None
    shelf.store.commit(released)
    shelf.get("node2")
    assert isinstance(shelf.store.commit(late), Refused)
    assert locks.is_ours(shelf.view(), shelf.name, "node2")


def test_a_released_lock_is_free(shelf: Shelf) -> None:
    shelf.get("node1")
    released = locks.release(shelf.view(), shelf.name, "node1")
    assert released is not None
    assert isinstance(shelf.store.commit(released), Committed)
    assert locks.is_free(shelf.view(), shelf.name)


def test_there_is_nothing_to_release_when_nobody_holds_it_c_18(shelf: Shelf) -> None:
    assert locks.release(shelf.view(), shelf.name, "node1") is None


def test_nobody_releases_another_nodes_lock(shelf: Shelf) -> None:
    shelf.get("node1")
    assert locks.release(shelf.view(), shelf.name, "node2") is None


def test_the_news_names_the_lock_and_of_an_agent_lock_the_node() -> None:
    assert locks.acquired(locks.MANAGER).fields == {"lock": "manager"}
    assert locks.acquired(locks.agent("node2"), "node2").fields == {"lock": "agent", "node": "node2"}


def test_the_lock_of_one_who_is_certainly_dead_is_taken_over_once(shelf: Shelf) -> None:
    shelf.get("node1")
    first = locks.take_over(shelf.view(), shelf.name, "node2", "node2-process")
    second = locks.take_over(shelf.view(), shelf.name, "node3", "node3-process")
    assert isinstance(shelf.store.commit(first), Committed)
    assert isinstance(shelf.store.commit(second), Refused)
    assert shelf.holder() == Lock("node2", "node2-process")
