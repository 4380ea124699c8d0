"""Who may run a VM, act as a node or decide: keys, epochs, locks; and VMIDs for life."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RunKey:
    """Who may run a VM (SAFETY 1). While it migrates, `target` may be running it as well as `node`, in its
    epoch `target_epoch`: either may have it, and whoever finds that it has it takes the key over (SAFETY 6).
    `asks`: the move has ended and nobody knows how: the target is to take the key, or to refuse it. `mover`
    is the process that was about to begin the move."""

    uuid: str
    node: str
    epoch: str
    uid: str
    target: str | None = None
    target_epoch: str | None = None
    asks: bool = False
    mover: str = ""


@dataclass(frozen=True, slots=True)
class AgentEpoch:
    """A node's hold on its agent lock (SAFETY 2). On one host the epoch is the boot id.

    `armed`: a watchdog stands behind it. `released`: given back in order, with `running`, the VMs (uuids) that
    still ran. `retired`: a manager has proof that nothing of this epoch runs any more (SAFETY 5).
    """

    node: str
    epoch: str
    boot_id: str
    holder: str
    armed: bool = False
    released: bool = False
    running: tuple[str, ...] = ()
    retired: bool = False


@dataclass(frozen=True, slots=True)
class FenceMark:
    """This node is being fenced: its LRM takes no lock while the mark is there (SAFETY 5)."""

    node: str
    epoch: str


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock's holder: the node and the process that took it."""

    node: str
    holder: str


@dataclass(frozen=True, slots=True)
class VmIdentity:
    """A VMID for life, by libvirt's UUID."""

    uuid: str
    vmid: int
    name: str
