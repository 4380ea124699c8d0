"""What libvirt is doing to a VM just now, from the status file that it keeps for each running one.

libvirt writes that file when a job begins and when it ends, in order to find its way after a restart. It tells of
jobs of the whole VM and of its disks' jobs alike, costs one `stat` while nothing changes, and answers at once
when QEMU's monitor hangs: `jobInfo` would then block for half a minute.
"""

from pathlib import Path
from xml.etree import ElementTree

from haven.core.hypervisor import BLOCK_JOB

_NO_JOB = frozenset({"", "none", "start"})
"""`start` is the VM's own start, which haven asked for itself."""

_WORDS = {"migration out": "migration", "migration in": "migration"}


class Jobs:
    """Reads status files, each only when it was written anew."""

    def __init__(self, status_dir: Path) -> None:
        self._dir = status_dir
        self._known: dict[str, tuple[int, str]] = {}

    def job(self, name: str) -> str:
        """`backup`, `save`, `migration`, `snapshot`, `block job` ...; empty when nothing is done to the VM
        `name`, or nothing is known of it."""
        path = self._dir / f"{name}.xml"
        try:
            written_ns = path.stat().st_mtime_ns
            known_ns, word = self._known.get(name, (0, ""))
            if known_ns != written_ns:
                word = _read(path.read_text())
                self._known[name] = (written_ns, word)
        except (OSError, ElementTree.ParseError):
            return ""
        return word

    def keep_only(self, names: frozenset[str]) -> None:
        """Forget VMs that are gone."""
        self._known = {name: known for name, known in dict(self._known).items() if name in names}


def _read(xml: str) -> str:
    status = ElementTree.fromstring(xml)
    job = status.find("job")
    word = job.get("async", "") if job is not None else ""
    if word not in _NO_JOB:
        return _WORDS.get(word, word)
    disks = status.find("blockjobs")
    return BLOCK_JOB if disks is not None and disks.get("active") == "yes" else ""
