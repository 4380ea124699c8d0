"""What is printed beside a broken promise can be read."""

import pytest

from haven.core.records import AgentEpoch, ManagerRecord, PendingCommand, ServiceStatus
from haven.core.words import CrmState, NodeState, ServiceState, Verb
from haven.sim.fast.short import short


@pytest.mark.parametrize(
    ("what", "told"),
    [
        (
            ServiceStatus("vm:102", ServiceState.RECOVERY, "node2", "u7", failed_nodes=("node3", "node1")),
            "ServiceStatus(sid vm:102, state recovery, node node2, uid u7, failed_nodes node3/node1)",
        ),
        (
            ServiceStatus("vm:2", ServiceState.ERROR, "node2", "u", cmd=PendingCommand(Verb.STOP, 9)),
            "ServiceStatus(sid vm:2, state error, node node2, uid u, cmd PendingCommand(verb stop, timeout_s 9))",
        ),
        (
            ManagerRecord("node1", 1.7e9, CrmState.MASTER, {"node2": NodeState.FENCE}, frozenset({"b", "a"})),
            "ManagerRecord(master_node node1, state master, node_status node2 fence, maintenance a/b)",
        ),
        (AgentEpoch("node1", "e1", "b1", "", armed=True), "AgentEpoch(node node1, epoch e1, boot_id b1, armed)"),
        (None, "None"),
    ],
)
def test_only_what_says_something_is_told(what: object, told: str) -> None:
    assert short(what) == told
