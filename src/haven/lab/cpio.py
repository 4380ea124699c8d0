"""A small writer of initramfs archives (cpio, "newc" format).

Written here because `cpio` is on few machines, and because an archive from Python can hold device nodes and
root's files without being root.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePosixPath

_TRAILER = "TRAILER!!!"
_BLOCK_BYTES = 512


@dataclass(frozen=True)
class Entry:
    """One member: ``path`` without a leading slash, ``mode`` with its file type, ``device`` for nodes."""

    path: str
    mode: int
    data: bytes = b""
    device: tuple[int, int] = (0, 0)


def directory(path: str) -> Entry:
    """A directory, 0755."""
    return Entry(path, stat.S_IFDIR | 0o755)


def file(path: str, data: bytes, *, executable: bool = False) -> Entry:
    """A regular file, 0644 or 0755."""
    return Entry(path, stat.S_IFREG | (0o755 if executable else 0o644), data)


def symlink(path: str, target: str) -> Entry:
    """A symbolic link to ``target``."""
    return Entry(path, stat.S_IFLNK | 0o777, target.encode())


def character_device(path: str, major: int, minor: int) -> Entry:
    """A character device, 0600."""
    return Entry(path, stat.S_IFCHR | 0o600, b"", (major, minor))


def with_parents(entries: Iterable[Entry]) -> list[Entry]:
    """The entries with every missing parent directory put before its first child.

    The kernel unpacks in order and drops, without a word, files whose directory does not exist yet.
    """
    result: list[Entry] = []
    seen: set[str] = set()
    for entry in entries:
        for parent in reversed(PurePosixPath(entry.path).parents):
            name = str(parent)
            if name != "." and name not in seen:
                seen.add(name)
                result.append(directory(name))
        if entry.path not in seen:
            seen.add(entry.path)
            result.append(entry)
    return result


def archive(entries: Iterable[Entry]) -> bytes:
    """The archive, uncompressed; the same entries always give the same bytes.

    Compressing it would cost a guest under TCG half a second of its boot.
    """
    parts = [_member(number, entry) for number, entry in enumerate(with_parents(entries), start=1)]
    parts.append(_member(0, Entry(_TRAILER, 0)))
    body = b"".join(parts)
    return body + b"\0" * (-len(body) % _BLOCK_BYTES)


def _member(number: int, entry: Entry) -> bytes:
    name = entry.path.encode() + b"\0"
    fields = (
        number,
        entry.mode,
        0,  # uid
        0,  # gid
        2 if stat.S_ISDIR(entry.mode) else 1,  # links
        0,  # mtime
        len(entry.data),
        0,  # device of the file itself
        0,
        *entry.device,
        len(name),
        0,  # checksum, unused in this format
    )
    header = b"070701" + b"".join(b"%08X" % field for field in fields)
    return _padded(header + name) + _padded(entry.data)


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)
