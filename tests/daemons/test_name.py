"""A host that is called otherwise than its store remembers would protect nothing, and say nothing."""

from pathlib import Path

import pytest

from haven.core.records import AgentEpoch
from haven.core.settings import Settings
from haven.core.transaction import Committed, Put, Transaction
from haven.daemons.run import refuse_strange_store
from haven.store.protocol import StoreError
from haven.store.sqlite import SqliteStore, open_store


def a_store_of(node: str, folder: Path) -> SqliteStore:
    store = open_store(folder, folder, "test")
    agent = AgentEpoch(node, epoch="boot", boot_id="boot", holder="lrm-1")
    put = Put(f"agent/{node}", agent)
    assert isinstance(store.commit(Transaction(store.read().incarnation, (), (put,))), Committed)
    return store


def test_a_renamed_host_is_told_which_name_to_set(tmp_path: Path) -> None:
    store = a_store_of("pve1", tmp_path)
    with pytest.raises(StoreError, match=r'belongs to host "pve1".*called "web7".*set node = "pve1"'):
        refuse_strange_store(Settings(node="web7", state_dir=str(tmp_path)), store)
    store.close()


def test_its_own_store_and_a_new_one_are_taken(tmp_path: Path) -> None:
    store = open_store(tmp_path, tmp_path, "test")
    refuse_strange_store(Settings(node="pve1"), store)
    store.close()
    store = a_store_of("pve1", tmp_path)
    refuse_strange_store(Settings(node="pve1"), store)
    store.close()
