"""A connection to libvirt that fails promptly: opened with a deadline, watched by keepalives, lost exactly once.

libvirt's own event loop runs in one thread of the process. An asyncio loop in its place (libvirtaio) would be
called from the worker threads, which asyncio does not allow: an event that arrives in the middle of another
thread's call would then wait until something else wakes the loop.
"""

import concurrent.futures
import functools
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import libvirt

from haven.hypervisor.protocol import HypervisorError, UnreachableError

OPEN_TIMEOUT_S = 10.0
CLOSE_TIMEOUT_S = 2.0
KEEPALIVE_INTERVAL_S = 5
KEEPALIVE_COUNT = 3
MAX_WORDS = 500
_QEMUS_PREFIX = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z qemu-[\w-]+: (?:-\w+ \{.*?\} ?: )?")

# In the order in which libvirt itself looks for them; it takes the first that exists, even if nobody listens.
SOCKETS = {"direct": Path("/run/libvirt/virtqemud-sock"), "legacy": Path("/run/libvirt/libvirt-sock")}

_CLOSE_REASONS = {
    libvirt.VIR_CONNECT_CLOSE_REASON_ERROR: "the connection broke",
    libvirt.VIR_CONNECT_CLOSE_REASON_EOF: "libvirt's daemon ended",
    libvirt.VIR_CONNECT_CLOSE_REASON_KEEPALIVE: "libvirt's daemon does not answer keepalives",
    libvirt.VIR_CONNECT_CLOSE_REASON_CLIENT: "the connection was closed",
}


@functools.cache
def start_event_loop() -> None:
    """Start libvirt's event loop, once in the life of the process and before anything is opened."""
    # libvirt prints every error on stderr unless told not to; all of them reach us as exceptions as well.
    libvirt.registerErrorHandler(lambda _context, _error: None, None)
    libvirt.virEventRegisterDefaultImpl()
    threading.Thread(target=_run_event_loop, name="libvirt-events", daemon=True).start()


def _run_event_loop() -> None:
    while True:
        libvirt.virEventRunDefaultImpl()


def choose_uri(configured: str) -> str:
    """The URI to open: the configured one, else the system's by the first socket where somebody answers.

    Raises UnreachableError when nobody does.
    """
    if configured:
        return configured
    for mode, path in SOCKETS.items():
        if _answers(path):
            return f"qemu:///system?mode={mode}"
    tried = " or ".join(str(path) for path in SOCKETS.values())
    raise UnreachableError(f"no libvirt daemon answers at {tried}: start it (systemctl start libvirtd), as root")


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(OPEN_TIMEOUT_S)
        with suppress(OSError):
            probe.connect(str(path))
            return True
    return False


class Opener:
    """Opens connections. `libvirt.open` waits for ever on a daemon that is stopped, so it runs in a thread that
    nobody has to wait for; while one attempt hangs, no second one is made.
    """

    def __init__(self, configured_uri: str) -> None:
        self._configured_uri = configured_uri
        self._lock = threading.Lock()
        self._attempt: concurrent.futures.Future[Any] | None = None

    @property
    def in_memory(self) -> bool:
        """libvirt's test driver: its VMs live in one connection and are unknown to the next."""
        return self._configured_uri.startswith("test:")

    def open(self) -> Any:
        """A new virConnect, within OPEN_TIMEOUT_S. Raises UnreachableError."""
        start_event_loop()
        attempt = self._current_attempt()
        try:
            raw = attempt.result(OPEN_TIMEOUT_S)
        except TimeoutError as error:
            raise UnreachableError(
                f"libvirt's daemon did not answer within {OPEN_TIMEOUT_S:g} s: restart it"
            ) from error
        except libvirt.libvirtError as error:
            self._attempt = None
            raise UnreachableError(f"cannot connect to libvirt: {words(error)}") from error
        self._attempt = None
        return raw

    def _current_attempt(self) -> concurrent.futures.Future[Any]:
        with self._lock:
            if self._attempt is None:
                uri = choose_uri(self._configured_uri)
                self._attempt = concurrent.futures.Future()
                threading.Thread(
                    target=_attempt_open, args=(uri, self._attempt), name="libvirt-open", daemon=True
                ).start()
            return self._attempt


def _attempt_open(uri: str, attempt: concurrent.futures.Future[Any]) -> None:
    try:
        raw = libvirt.open(uri)
    except libvirt.libvirtError as error:
        attempt.set_exception(error)
    else:
        attempt.set_result(raw)


class Connection:
    """One virConnect from its opening to its end. Once lost it stays lost: open a new one."""

    def __init__(self, raw: Any, on_lost: Callable[[str], None]) -> None:
        """Watches `raw` from now on. `on_lost` is called at most once, with the reason, in any thread."""
        self.raw = raw
        self._on_lost = on_lost
        self._lock = threading.Lock()
        self._over = False
        self._event_ids: list[int] = []
        with self.translated("watch the connection"):
            self._watch()

    def _watch(self) -> None:
        with _unsupported_is_fine():  # the in-memory test driver has neither
            self.raw.registerCloseCallback(self._closed, None)
            self.raw.setKeepAlive(KEEPALIVE_INTERVAL_S, KEEPALIVE_COUNT)

    def subscribe(self, event: int, callback: Callable[..., None]) -> None:
        """Have libvirt's event thread call `callback` for an event of any VM."""
        with self.translated("register for events"):
            self._event_ids.append(self.raw.domainEventRegisterAny(None, event, callback, None))

    @property
    def over(self) -> bool:
        """Lost or closed: callbacks that still come are to be ignored."""
        return self._over

    def _closed(self, _raw: Any, reason: int, _opaque: object) -> None:
        self._lose(_CLOSE_REASONS.get(reason, f"closed by libvirt, reason {reason}"))

    def _lose(self, reason: str) -> None:
        if self._end():
            self._on_lost(reason)

    def _end(self) -> bool:
        """True for the first caller only."""
        with self._lock:
            first, self._over = not self._over, True
            return first

    def close(self) -> None:
        """Let go of it, within CLOSE_TIMEOUT_S; `on_lost` is not called any more."""
        self.drop().join(CLOSE_TIMEOUT_S)

    def drop(self) -> threading.Thread:
        """Let go of it, and do not wait for the end of that."""
        self._end()
        # Even a farewell waits for the daemon's answer. A daemon that hangs gets it when it wakes up.
        farewell = threading.Thread(target=self._release, name="libvirt-close", daemon=True)
        farewell.start()
        return farewell

    def _release(self) -> None:
        with suppress(libvirt.libvirtError):
            self.raw.unregisterCloseCallback()
        for event_id in self._event_ids:
            with suppress(libvirt.libvirtError):
                self.raw.domainEventDeregisterAny(event_id)
        with suppress(libvirt.libvirtError):
            self.raw.close()

    @contextmanager
    def translated(self, doing: str) -> Iterator[None]:
        """libvirt's errors as ours: UnreachableError when the connection is gone, else HypervisorError."""
        try:
            yield
        except libvirt.libvirtError as error:
            if self.broke(error):
                self._lose(words(error))
                raise UnreachableError(f"cannot {doing}, libvirt is gone: {words(error)}") from error
            raise HypervisorError(f"cannot {doing}: {words(error)}") from error

    def broke(self, error: libvirt.libvirtError) -> bool:
        """Whether an error means that the connection, not the call, is the trouble."""
        return error.get_error_domain() == libvirt.VIR_FROM_RPC or not _is_alive(self.raw)


def _is_alive(raw: Any) -> bool:
    try:
        return bool(raw.isAlive())
    except libvirt.libvirtError:
        return False


class Spares:
    """Connections for orders, each used by one thread at a time.

    libvirt 9's client loses wake-ups: a call made while another thread's waits on the same connection may be sent
    only when that one is answered. A look would then last as long as the start of some VM (or its hang), and
    starts would queue up.

    Some moments want many (a host's VMs all die at once). `kept` of them stay open: each costs memory, and a
    keepalive every few seconds.
    """

    def __init__(self, opener: Opener, kept: int) -> None:
        self._opener = opener
        self._kept = kept
        self._lock = threading.Lock()
        self._free: list[Connection] = []

    @contextmanager
    def one(self) -> Iterator[Connection]:
        """A connection of one's own. Raises UnreachableError."""
        connection = self._take()
        try:
            yield connection
        finally:
            self._put_back(connection)

    def _put_back(self, connection: Connection) -> None:
        with self._lock:
            if connection.over:
                return
            if len(self._free) < self._kept:
                self._free.append(connection)
                return
        connection.drop()

    def open_one(self) -> None:
        """Have one ready, so that the first order does not wait for it. Raises UnreachableError."""
        with self.one():
            pass

    def _take(self) -> Connection:
        with self._lock:
            while self._free:
                connection = self._free.pop()
                if not connection.over:
                    return connection
            return Connection(self._opener.open(), lambda _why: None)

    def close(self) -> None:
        """Let go of those that nobody uses."""
        with self._lock:
            free, self._free = self._free, []
        for connection in free:
            connection.close()


@contextmanager
def _unsupported_is_fine() -> Iterator[None]:
    try:
        yield
    except libvirt.libvirtError as error:
        if error.get_error_code() != libvirt.VIR_ERR_NO_SUPPORT:
            raise


def words(error: libvirt.libvirtError) -> str:
    """What libvirt said, on one line of bounded length; of a QEMU that ended at once without the option, in JSON
    often longer than what is wrong with it."""
    text = " ".join((error.get_error_message() or str(error)).split())
    text = _QEMUS_PREFIX.sub("", text)
    return text if len(text) <= MAX_WORDS else text[: MAX_WORDS - 1] + "…"
