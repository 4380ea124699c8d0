"""The hypervisor's narrow faces: for the LRM, which keeps VMs running, by role; and one for people's tools."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from haven.core.host import DiskTrouble
from haven.core.hypervisor import Happening, Obstacle, Vm
from haven.core.oom import OomTraces
from haven.core.records import Instance


class HypervisorError(Exception):
    """A call failed; the text names the VM, what the hypervisor said and what to do."""


class UnreachableError(HypervisorError):
    """The hypervisor does not answer (its daemon is down): nothing is known of what it did."""


class LockedError(HypervisorError):
    """A job of libvirt's is in the way: it must end before the VM is stopped or reset."""


class StartFailedError(HypervisorError):
    """The VM did not start; `obstacle` names what stood in the way."""

    def __init__(self, obstacle: Obstacle) -> None:
        super().__init__(obstacle.detail)
        self.obstacle = obstacle


class Sight(Protocol):
    """What is seen of VMs: their states, and what happens to them.

    `connect` and `close` belong to the event loop; all other methods of a hypervisor block: call them in a thread.
    Everything may raise UnreachableError; unknown VMs raise HypervisorError.
    """

    async def connect(self, on_happening: Callable[[Happening], None], on_lost: Callable[[str], None]) -> None:
        """Open a connection, register for events *before* anything is listed. Callbacks come in the event
        loop's thread. `on_lost` is called once per connection, when it is gone for good: connect again.
        """

    def vms(self) -> tuple[Vm, ...]:
        """Every VM, with its state read now."""

    def vm(self, uuid: str) -> Vm | None:
        """One VM by `state()`, read now; None when it is not defined (any more)."""

    def definition(self, uuid: str) -> Mapping[str, str]:
        """Its definition's parts in short words (`memory`: `4096 MiB`); empty when it is not defined."""

    async def close(self) -> None: ...


class Hands(Protocol):
    """What is done to VMs. Blocks, and errors, as for Sight."""

    def start(self, uuid: str) -> Instance | None:
        """Start it, or resume what a client suspended; returns its QEMU process. Already running is success.

        Raises StartFailedError.
        """

    def stop(self, uuid: str, timeout_s: int) -> bool:
        """Ask the guest and wait `timeout_s`; 0 forces at once. Whether it is off then; off already is.

        Raises LockedError.
        """

    def reset(self, uuid: str, instance: Instance | None, *, hard: bool) -> None:
        """Reset a VM without life, and let it go on if it is paused; or, `hard`, end its QEMU. Nothing is done to
        another process than `instance`: HypervisorError. So it is for a QEMU that answers nothing, unless `hard`.
        Raises LockedError.
        """

    def resume(self, uuid: str) -> None:
        """Let a VM go on that QEMU paused for an I/O error; in any other state it is left alone.

        Raises HypervisorError when it pauses again at once: its storage still fails.
        """

    def kill_qemu(self, uuid: str, instance: Instance) -> bool:
        """End this QEMU process as a crash would; whether the guest's agent answered just before.

        Raises HypervisorError when it is another process by now, LockedError.
        """

    def prepare(self, uuid: str, *, autostart: bool | None = None, vmid: int | None = None) -> None:
        """Settle what libvirt keeps with the definition: autostart, haven's VMID in the metadata."""

    def favour(self, instance: Instance, oom_score_adj: int) -> None:
        """Set a running QEMU's oom_score_adj; one that is gone is success. Raises HypervisorError; asks nobody."""


class Clues(Protocol):
    """What is found out about one VM: why it ended, what is in its way. Blocks, and errors, as for Sight."""

    def obstacle(self, uuid: str) -> Obstacle | None:
        """What would stand in the way of a start now (a disk image that is not there), or None."""

    def io_errors(self, uuid: str) -> tuple[DiskTrouble, ...]:
        """Which disks of a VM that QEMU paused have errors, and what is free below them; empty if nobody says."""

    def agent_answers(self, uuid: str) -> bool:
        """Whether the guest's agent answers within a second."""

    def evidence(self, uuid: str) -> tuple[str, ...]:
        """The last lines of QEMU's own log, newest last; empty when there are none."""

    def traces(self, instance: Instance) -> OomTraces:
        """What the kernel tells of the end of a QEMU process; asks no hypervisor."""


class Hypervisor(Sight, Hands, Clues, Protocol):
    """All of it: what the LRM is given, to hand each part on to whoever needs it."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What was heard of a guest's agent. `frozen`: by its word, its file systems are frozen. `absent`: the VM has
    no channel by which an agent could be asked."""

    answered: bool
    frozen: bool = False
    absent: bool = False


class LifeSigns(Protocol):
    """What the LRM listens to in VMs that are watched for hangs. All methods block, perhaps for as long as a VM
    hangs: call them in threads of their own, several at once. Errors as for Sight."""

    def agent(self, uuid: str) -> Heard:
        """Ask its agent; within about 5 s. No agent is one that does not answer."""

    def work(self, uuids: Sequence[str]) -> Mapping[str, int]:
        """For each a number that grows when its disks work or its network cards send. Does not return while the
        QEMU of one hangs; calls made meanwhile pass that one over: it, and one that is busy, is left out."""

    def stuck_s(self, uuid: str) -> float | None:
        """For how long its QEMU has not answered libvirt; None when nothing waits for it. Returns at once."""

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Guest:
    """A VM as people's tools show it: sizes in bytes or MiB as named, figures of a running one."""

    uuid: str
    name: str
    status: str  # QMP's word: running, paused, stopped, io-error, ...
    pid: int
    memory_mib: int
    cpus: int
    uptime_s: int
    cpu_share: float  # 0..1 of its cpus, 0 when unknown
    mem_bytes: int
    disk_bytes: int  # capacity of the boot disk
    config: Mapping[str, str]  # qm config's keys and values
    vmid_hint: int | None  # VMID in the domain's metadata
    job: str = ""  # what libvirt is doing to it, as in Vm


@dataclass(frozen=True, slots=True)
class SurveyedDisk:
    """A disk that a start needs. `missing`: the file of it, or below it, that is not there; empty: none."""

    path: str
    missing: str = ""
    cache: str = ""
    writable: bool = True


@dataclass(frozen=True, slots=True)
class Surveyed:
    """A VM as `haven verify` looks at it. `agent_answers`: None when it was not asked. `status`: as in Guest."""

    uuid: str
    name: str
    status: str
    memory_mib: int
    autostart: bool
    persistent: bool = True
    has_agent: bool = False
    agent_answers: bool | None = None
    managed_save: bool = False
    disks: tuple[SurveyedDisk, ...] = ()


class Inventory(Protocol):
    """What the API needs. All methods block. Errors as for Sight."""

    def guests(self) -> tuple[Guest, ...]: ...

    def survey(self) -> tuple[Surveyed, ...]:
        """Every VM, looked at closely; takes seconds when agents do not answer."""

    def start(self, uuid: str) -> Instance | None: ...

    def stop(self, uuid: str, timeout_s: int, *, force: bool = True) -> None:
        """As Hands.stop; without `force` a guest that does not go down is an error."""

    def reset(self, uuid: str) -> None: ...

    def reboot(self, uuid: str, timeout_s: int) -> None: ...

    def set_memory(self, uuid: str, memory_mib: int) -> bool:
        """Change the definition; True when the running VM keeps the old size until its next start."""

    def close(self) -> None: ...
