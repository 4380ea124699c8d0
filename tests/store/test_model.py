"""The SQLite store behaves as a dict does, whatever two processes do to it."""

import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from haven.core.records import Record, VmIdentity
from haven.core.transaction import ABSENT, Committed, Delete, Guard, Put, Transaction
from haven.core.view import View
from haven.store.protocol import Store
from tests.store.model import ModelStore, Shelf
from tests.store.rig import config, lock, opened

KEYS = ("lock/manager", "config/vm:1", "config/vm:2", "vm/u")
keys = st.sampled_from(KEYS)
texts = st.text(max_size=5)


def record(key: str, text: str) -> Record:
    match key.split("/"):
        case ["lock", _]:
            return lock(text)
        case ["config", sid]:
            return config(sid, text)
        case _:
            return VmIdentity("u", 100, text)


puts = st.builds(lambda key, text: Put(key, record(key, text)), keys, texts)
writes = st.lists(st.one_of(puts, st.builds(Delete, keys)), max_size=4)
who = st.integers(0, 1)


class BothStores(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp())
        self.stores = [opened(self.directory, name) for name in ("lrm", "crm")]
        shelf = Shelf()
        self.models: list[Store] = [ModelStore(shelf), ModelStore(shelf)]
        self.views: list[View | None] = [None, None]

    @rule(who=who, writes=writes, guarded=st.sets(keys), wrong=st.integers(-1, 3))
    def commit(self, who: int, writes: list[Put | Delete], guarded: set[str], wrong: int) -> None:
        known = self._known(who)
        guards = [Guard(key, known.revision_of(key)) for key in sorted(guarded)]
        if 0 <= wrong < len(guards):
            guards[wrong] = Guard(guards[wrong].key, guards[wrong].revision + 1)
        real = self.stores[who].commit(Transaction(known.incarnation, tuple(guards), tuple(writes)))
        expected = self.models[who].commit(Transaction("model", tuple(guards), tuple(writes)))
        assert real == expected

    @rule(who=who)
    def commit_for_another_incarnation(self, who: int) -> None:
        change = Transaction("another", (Guard("lock/manager", ABSENT),), ())
        assert self.stores[who].commit(change) == self.models[who].commit(change)

    @rule(who=who)
    def read(self, who: int) -> None:
        before, view, expected = self.views[who], self.stores[who].read(), self.models[who].read()
        assert (view.entries, view.revision, view.changed) == (
            expected.entries,
            expected.revision,
            expected.changed,
        )
        for key in view.entries.keys() - view.changed:
            assert before and view.entries[key].record is before.entries[key].record
        self.views[who] = view

    @rule(who=who)
    def restart(self, who: int) -> None:
        self.stores[who].close()
        self.stores[who] = opened(self.directory, f"again-{who}")
        model = self.models[who]
        assert isinstance(model, ModelStore)
        self.models[who] = ModelStore(model.shelf)
        self.views[who] = None

    @invariant()
    def nothing_is_damaged(self) -> None:
        assert all(store.damaged == {} and store.notices == () for store in self.stores)

    def teardown(self) -> None:
        for store in self.stores:
            store.close()
        shutil.rmtree(self.directory)

    def _known(self, who: int) -> View:
        """What that process read last, which may be old by now."""
        if self.views[who] is None:
            self.read(who)
        view = self.views[who]
        assert view
        return view


TestBothStores = BothStores.TestCase
TestBothStores.settings = settings(
    max_examples=30, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
)


def test_the_model_refuses_and_commits_as_the_contract_says() -> None:
    model = ModelStore()
    change = Transaction("model", (Guard("lock/manager", ABSENT),), (Put("lock/manager", lock("a")),))
    assert model.commit(change) == Committed(1)
    assert model.read().changed == {"lock/manager"}
    assert repr(model.commit(change)) == "Refused(key='lock/manager')"
