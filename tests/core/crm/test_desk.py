"""The desk of one round: what its usage table knows, and what it is not told."""

from dataclasses import replace

import pytest

from haven.core.contract import ManagerObservation
from haven.core.crm.desk import Desk
from haven.core.crm.memory import ManagerMemory
from haven.core.records import ManagerRecord, ServiceStatus
from haven.core.words import CrmState, NodeState, ServiceState
from tests.core.deciding import NOW, view_of

SERVICE = ServiceStatus("vm:101", ServiceState.STARTED, "alpha", "uid")


@pytest.mark.parametrize("changed_before", [False, True])
def test_the_usage_table_is_told_of_moves_alone(changed_before: bool) -> None:
    """Of 4.1: other data may change meanwhile, before the table is first asked."""
    nodes = dict.fromkeys(("alpha", "beta"), NodeState.ONLINE)
    known = ManagerRecord("alpha", NOW.wall_s, CrmState.MASTER, nodes)
    view = view_of(("manager", known), ("service/vm:101", SERVICE))
    desk = Desk(ManagerMemory(CrmState.MASTER), ManagerObservation("alpha", "crm", view, tick=True), NOW)
    if changed_before:
        desk.put(replace(SERVICE, running=True))
    usage = desk.open_usage()
    desk.put(replace(SERVICE, node="beta"))
    assert usage.score("vm:101") == {"alpha": 1, "beta": 0}
    assert view.services() == {"vm:101": SERVICE}
