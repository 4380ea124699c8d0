"""The LifeSigns of the LRM, by libvirt: a guest's agent, its disks and network, whether QEMU itself answers.

Each call has a connection of its own while it lasts: one to a QEMU that hangs lasts until that QEMU is gone.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import libvirt
import libvirt_qemu

from haven.core.settings import Settings
from haven.hypervisor import domains
from haven.hypervisor.connection import Opener, Spares
from haven.hypervisor.protocol import Heard

_ASK = '{"execute":"guest-fsfreeze-status"}'
_FROZEN = '"frozen"'
_PATIENCE_S = 1
"""libvirt waits so long for the first answer, and 5 s for each after one that did not come."""

_STATS = libvirt.VIR_DOMAIN_STATS_BLOCK | libvirt.VIR_DOMAIN_STATS_INTERFACE
_WORK = (".rd.reqs", ".wr.reqs", ".fl.reqs", ".tx.pkts")
"""What a guest does. What it is sent does not count: a dead one is sent things, too."""

# "not responding" and "not in sync"; and it has none at all
_SILENT = (
    libvirt.VIR_ERR_AGENT_UNRESPONSIVE,
    libvirt.VIR_ERR_AGENT_UNSYNCED,
    libvirt.VIR_ERR_ARGUMENT_UNSUPPORTED,
)


class LibvirtLifeSigns:
    """See `protocol.LifeSigns`. For use by several threads at once."""

    def __init__(self, settings: Settings) -> None:
        self._spares = Spares(Opener(settings.libvirt_uri))

    def agent(self, uuid: str) -> Heard:
        with self._domain(uuid, "ask the agent of") as domain:
            try:
                answer = str(libvirt_qemu.qemuAgentCommand(domain, _ASK, _PATIENCE_S, 0))
            except libvirt.libvirtError as error:
                if error.get_error_code() in _SILENT:
                    return Heard(answered=False)
                if error.get_error_code() == libvirt.VIR_ERR_INTERNAL_ERROR:  # "the command has not been found"
                    return Heard(answered=True)
                raise
        return Heard(answered=True, frozen=_FROZEN in answer)

    def work(self, uuid: str) -> int:
        with self._domain(uuid, "read the counters of") as domain:
            [(_, values)] = domain.connect().domainListGetStats([domain], _STATS, 0)
        return work_done(values)

    def stuck_s(self, uuid: str) -> float | None:
        with self._domain(uuid, "look after QEMU of") as domain:
            state, _details, since_ms = domain.controlInfo()
        if state == libvirt.VIR_DOMAIN_CONTROL_ERROR:
            return 0.0
        return since_ms / 1000 if state == libvirt.VIR_DOMAIN_CONTROL_OCCUPIED else None

    def close(self) -> None:
        self._spares.close()

    @contextmanager
    def _domain(self, uuid: str, doing: str) -> Iterator[Any]:
        said = f"{doing} VM {uuid}"
        with self._spares.one() as connection, connection.translated(said):
            yield domains.must_find(connection.raw, uuid)


def work_done(values: Mapping[str, int | str]) -> int:
    """All that the guest's disks have done and its network cards have sent, in requests and packets."""
    return sum(value for name, value in values.items() if isinstance(value, int) and name.endswith(_WORK))
