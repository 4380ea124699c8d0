"""A test world grown to a cluster: more nodes on the manager's record, more VMs under protection."""

from haven.core.records import Disarm, ManagerRecord
from haven.core.words import CrmState, NodeState
from tests.api.world import NODE, NOW_S, World, guest

RESOURCES = "/cluster/ha/resources"
NODES = (NODE, "beta", "gamma")


def grow(world: World, *vmids: int, disarm: Disarm | None = None, maintenance: tuple[str, ...] = ()) -> None:
    """Three nodes, and these VMs protected."""
    states = dict.fromkeys(NODES, NodeState.ONLINE) | dict.fromkeys(maintenance, NodeState.MAINTENANCE)
    states["delta"] = NodeState.GONE
    asked = frozenset(maintenance)
    world.put("manager", ManagerRecord(NODE, NOW_S, CrmState.MASTER, states, asked, disarm))
    protect(world, *vmids)


def protect(world: World, *vmids: int) -> None:
    for vmid in vmids:
        world.libvirt.present[f"u-{vmid}"] = guest(f"u-{vmid}", f"guest{vmid}", hint=vmid)
        world.api.post(RESOURCES, sid=f"vm:{vmid}")


def last_told(world: World, sid: str | None = None) -> str:
    """The newest sentence of the story."""
    return world.history.entries(sid, 0, 1, newest_first=True)[0].event.sentence
