"""Writing on a person's behalf: other writers, a store that fails, a store that does not say."""

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from haven.api.changes import MAX_TRIES, Change, make_change
from haven.api.errors import RefusedError
from haven.core.records import VmIdentity
from haven.core.transaction import Committed, Outcome, Put, Refused, Transaction, Unavailable, Unknown
from haven.core.view import Versioned, View

KEY = "vm/u"
RECORD = VmIdentity("u", 102, "web")


@dataclass
class Desk:
    """The part of the API's state that a change needs, with a store that answers as told."""

    answers: list[Outcome]
    content: dict[str, Versioned] = field(default_factory=dict)  # type: ignore[type-arg]
    on_commit: Callable[["Desk"], None] = lambda _: None
    commits: int = 0
    told: int = 0

    def view(self) -> View:
        return View.of("i", 1, dict(self.content))

    def commit(self, _transaction: Transaction) -> Outcome:
        self.commits += 1
        self.on_commit(self)
        return self.answers.pop(0)

    def tell(self, _events: object) -> None:
        self.told += 1


def change(desk: Desk) -> None:
    make_change(desk, lambda _view: Change((Put(KEY, RECORD),)))  # type: ignore[arg-type]


def write(record: VmIdentity) -> Callable[[Desk], None]:
    def put(desk: Desk) -> None:
        desk.content[KEY] = Versioned(record, 7)

    return put


def test_another_writer_is_met_by_planning_again() -> None:
    desk = Desk([Refused(KEY), Refused(KEY), Committed(3)])
    change(desk)
    assert desk.commits == 3


def test_it_does_not_try_for_ever() -> None:
    desk = Desk([Refused(KEY)] * MAX_TRIES)
    with pytest.raises(RefusedError, match="detected modified configuration"):
        change(desk)
    assert desk.answers == []


def test_a_store_that_cannot_write_is_named_and_what_stays_true() -> None:
    with pytest.raises(RefusedError, match="store cannot be written: disk full; nothing was changed, running VMs"):
        change(Desk([Unavailable("disk full")]))


def test_an_unknown_commit_that_is_there_was_done() -> None:
    change(Desk([Unknown("timed out")], on_commit=write(RECORD)))


def test_an_unknown_commit_that_is_not_there_was_not_done_and_is_not_repeated() -> None:
    desk = Desk([Unknown("timed out")])
    with pytest.raises(RefusedError, match=r"did not confirm the change \(timed out\) and does not hold it"):
        change(desk)
    assert desk.commits == 1


def test_an_unknown_commit_that_somebody_overwrote_stays_unknown() -> None:
    desk = Desk([Unknown("timed out")], on_commit=write(VmIdentity("u", 999, "other")))
    with pytest.raises(RefusedError, match="look with `ha-manager config` before you repeat it"):
        change(desk)
