"""A bell between haven's processes on one host: "the store changed, look now". A lost ring costs a tick."""

import contextlib
import fcntl
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from haven.store.locks import lock_within, make_private_dir
from haven.store.protocol import StoreError

_SUFFIX = ".sock"
_BELL_DIR = "bell"
_BIND_LOCK_S = 2.0
_RING = b"\0"


class Ringer:
    """Rings everybody's bell but that of `name`."""

    def __init__(self, run_dir: Path, name: str) -> None:
        self._dir = run_dir / _BELL_DIR
        self._own = name + _SUFFIX
        self._socket = socket.socket(
            socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        )

    def ring_others(self) -> None:
        """One byte to every other bell; never blocks, never raises. A full queue means: is ringing already."""
        with contextlib.suppress(OSError):
            for name in os.listdir(self._dir):  # noqa: PTH208 - called after each commit: no Path objects
                if name.endswith(_SUFFIX) and name != self._own:
                    self._ring(str(self._dir / name))

    def close(self) -> None:
        self._socket.close()

    def _ring(self, path: str) -> None:
        try:
            self._socket.sendto(_RING, path)
        except ConnectionRefusedError:
            self._remove_dead(path)
        except OSError:
            return

    def _remove_dead(self, path: str) -> None:
        """Unlink a socket nobody listens to, unless its owner is back: asked again under the binders' lock."""
        with _binding(self._dir, timeout_s=0.0) as locked:
            if not locked:
                return
            try:
                self._socket.sendto(_RING, path)
            except ConnectionRefusedError:
                with contextlib.suppress(OSError):
                    Path(path).unlink()
            except OSError:
                return


class Doorbell:
    """The bell of one process: `<run_dir>/bell/<name>.sock`, to be watched by an event loop."""

    def __init__(self, run_dir: Path, name: str) -> None:
        """Bind the socket, replacing what an earlier process left there. Raises StoreError."""
        directory = run_dir / _BELL_DIR
        make_private_dir(directory)
        self._path = directory / (name + _SUFFIX)
        self._socket = socket.socket(
            socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        )
        try:
            with _binding(directory, timeout_s=_BIND_LOCK_S):
                self._path.unlink(missing_ok=True)
                self._socket.bind(str(self._path))
        except OSError as error:
            self._socket.close()
            raise StoreError(f"cannot listen on {self._path}: {error}; check run_dir in haven.toml") from error
        self._ringer = Ringer(run_dir, name)

    def fileno(self) -> int:
        """For asyncio's `add_reader`: readable when somebody rang."""
        return self._socket.fileno()

    def drain(self) -> bool:
        """Take all rings; True when there was one."""
        rung = False
        with contextlib.suppress(OSError):
            while True:
                self._socket.recv(1)
                rung = True
        return rung

    def ring_others(self) -> None:
        """One byte to every other bell; never blocks, never raises."""
        self._ringer.ring_others()

    def close(self) -> None:
        """Stop listening. The file stays: whoever rings next removes it."""
        self._ringer.close()
        self._socket.close()


@contextlib.contextmanager
def _binding(directory: Path, timeout_s: float) -> Iterator[bool]:
    """Holds the lock under which sockets are replaced and removed; yields whether it was to be had.

    Without it a ringer could remove the socket that a restarted process has just bound.
    """
    descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield lock_within(descriptor, fcntl.LOCK_EX, timeout_s)
    finally:
        os.close(descriptor)
