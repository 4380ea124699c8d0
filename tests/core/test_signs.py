"""Which commits are mere signs of life: nobody is woken for them."""

from dataclasses import replace

import pytest

from haven.core.records import LrmRecord, ManagerRecord, PendingWork, Record
from haven.core.signs import only_signs
from haven.core.transaction import Delete, Put, Transaction, Write
from haven.core.view import Versioned, View
from haven.core.words import CrmState, LrmMode, LrmState, NodeState

FRESH_S = 20.0
LRM = LrmRecord("pve", LrmState.ACTIVE, LrmMode.ACTIVE, 100.0, looked_wall_s=99.0)
MANAGER = ManagerRecord("pve", 100.0, CrmState.MASTER)
ENTRIES: dict[str, Versioned[Record]] = {"lrm/pve": Versioned(LRM, 1), "manager": Versioned(MANAGER, 1)}
VIEW = View.of("i", 1, ENTRIES)


def alone(*writes: Write) -> bool:
    return only_signs(VIEW, (Transaction("i", (), writes),), FRESH_S)


def test_a_later_time_alone_is_a_sign() -> None:
    assert alone(Put("lrm/pve", replace(LRM, timestamp_wall_s=110.0, looked_wall_s=110.0)))
    assert alone(Put("manager", replace(MANAGER, timestamp_wall_s=110.0)))
    assert only_signs(VIEW, (), FRESH_S)


@pytest.mark.parametrize(
    "write",
    [
        Put("lrm/pve", replace(LRM, timestamp_wall_s=110.0, hypervisor_ok=False)),
        Put("lrm/pve", replace(LRM, timestamp_wall_s=110.0, pending={"vm:101": PendingWork("reset", 200.0)})),
        Put("manager", replace(MANAGER, timestamp_wall_s=110.0, node_status={"pve": NodeState.ONLINE})),
        Put("lrm/pve", replace(LRM, timestamp_wall_s=100.0 + FRESH_S + 1.0)),
        Put("lrm/pve", replace(LRM, timestamp_wall_s=90.0)),
        Put("lrm/other", replace(LRM, node="other")),
        Delete("lrm/pve"),
    ],
    ids=["libvirt is gone", "work to do", "a node is back", "back after a while", "time went back", "new", "gone"],
)
def test_anything_else_is_news(write: Write) -> None:
    assert not alone(write)
    assert not alone(Put("manager", replace(MANAGER, timestamp_wall_s=110.0)), write)
