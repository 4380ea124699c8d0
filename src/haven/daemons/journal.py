"""Log records as entries of systemd's journal, in its native protocol (systemd.io/JOURNAL_NATIVE_PROTOCOL).

An entry can be filed under further units (OBJECT_SYSTEMD_UNIT=): the node daemon restarts a VM, and
`journalctl -u pve-ha-crm | grep vm:102` shows it, as people expect it there.
"""

import logging
import struct

SOCKET = "/run/systemd/journal/socket"
UNIT_VARIABLE = "HAVEN_UNIT"
"""Set by haven's units to their own name, so that a daemon knows which one it is."""
ALSO = "also_under"
"""The extra of a log record that names the further units."""

_ERR, _WARNING, _INFO, _DEBUG = 3, 4, 6, 7  # syslog(3)


class JournalHandler(logging.Handler):
    """Sends without waiting: a journal that hangs must not hang a restart. What it refuses goes to stderr."""

    def __init__(self, identifier: str, address: str = SOCKET) -> None:
        import socket  # only where systemd runs the daemon

        super().__init__()
        self._identifier = identifier
        self._address = address
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.setblocking(False)
        self._fallback = logging.StreamHandler()

    def emit(self, record: logging.LogRecord) -> None:
        fields = [
            ("MESSAGE", self.format(record)),
            ("PRIORITY", str(_priority(record.levelno))),
            ("SYSLOG_IDENTIFIER", self._identifier),
            *(("OBJECT_SYSTEMD_UNIT", f"{unit}.service") for unit in getattr(record, ALSO, ())),
        ]
        try:
            self._socket.sendto(b"".join(_field(name, text) for name, text in fields), self._address)
        except OSError:
            self._fallback.emit(record)


def _field(name: str, text: str) -> bytes:
    data = text.encode("utf-8", "replace")
    if b"\n" not in data:
        return f"{name}=".encode() + data + b"\n"
    return f"{name}\n".encode() + struct.pack("<Q", len(data)) + data + b"\n"


def _priority(level: int) -> int:
    for least, priority in ((logging.ERROR, _ERR), (logging.WARNING, _WARNING), (logging.INFO, _INFO)):
        if level >= least:
            return priority
    return _DEBUG
