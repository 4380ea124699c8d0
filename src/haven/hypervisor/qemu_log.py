"""QEMU's own log of a VM, as libvirt keeps it: how the last run ended, and its last words."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

TAIL_BYTES = 64 * 1024
MAX_LINES = 10
MAX_LINE_CHARACTERS = 300

_RUN_BEGINS = "starting up libvirt version"
_LIBVIRTS_NOTE = " is tainted: "
_SIGNAL = re.compile(r"^(?:\S+ )?qemu\S*: terminating on signal (\d+)(?: from pid \d+ \((.*)\))?$")
# After a guest's own power-off libvirt itself ends QEMU with SIGTERM.
_LIBVIRT_DAEMONS = ("libvirtd", "virtqemud")


def last_run(log: Path) -> tuple[str, ...]:
    """The lines since QEMU was last started, as far as the last TAIL_BYTES hold them; empty without a log."""
    try:
        with log.open("rb") as stream:
            size = stream.seek(0, os.SEEK_END)
            stream.seek(max(0, size - TAIL_BYTES))
            lines = stream.read(TAIL_BYTES).decode(errors="replace").splitlines()
    except OSError:
        return ()
    begins = [number for number, line in enumerate(lines) if _RUN_BEGINS in line]
    return tuple(lines[begins[-1] :]) if begins else tuple(lines)


def last_words(log: Path) -> tuple[str, ...]:
    """The last useful lines of the last run, oldest first: not the command line, not libvirt's greeting."""
    useful = [line[:MAX_LINE_CHARACTERS] for line in _without_preamble(last_run(log)) if line.strip()]
    return tuple(useful[-MAX_LINES:])


def _without_preamble(lines: tuple[str, ...]) -> list[str]:
    """The command line is a block of lines that end in a backslash, and the one after them."""
    kept = []
    continued = False
    for line in lines:
        in_block, continued = continued or line.endswith("\\"), line.endswith("\\")
        if not in_block and _RUN_BEGINS not in line and _LIBVIRTS_NOTE not in line:
            kept.append(line)
    return kept


def ending_signal(log: Path) -> int | None:
    """The signal with which somebody other than libvirt ended QEMU's last run; None when the log has none."""
    for line in reversed(last_run(log)):
        if found := _SIGNAL.match(line):
            sender = Path(found[2] or "").name
            return None if sender in _LIBVIRT_DAEMONS else int(found[1])
    return None


@dataclass(frozen=True, slots=True)
class _Read:
    size: int
    mtime_ns: int
    signal: int | None


class SignalReader:
    """`ending_signal` for many VMs again and again: a log that did not change is not read again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._known: dict[str, _Read] = {}

    def ending_signal(self, name: str) -> int | None:
        """As the function of this name, for the VM called `name`."""
        log = self._folder / f"{name}.log"
        try:
            status = log.stat()
        except OSError:
            self._known.pop(name, None)
            return None
        known = self._known.get(name)
        if known is None or (known.size, known.mtime_ns) != (status.st_size, status.st_mtime_ns):
            known = _Read(status.st_size, status.st_mtime_ns, ending_signal(log))
            self._known[name] = known
        return known.signal
