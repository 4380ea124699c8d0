"""`haven api`: the process that talks to people, on a unix socket that is root's alone."""

import asyncio
import logging
import os
import signal
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path

from uvicorn.config import Config
from uvicorn.server import Server as UvicornServer

from haven.api.app import build_app
from haven.api.metrics_server import serve_metrics
from haven.api.state import State
from haven.api.telling.telling import Telling
from haven.api.wire import Protocol
from haven.core.settings import Settings
from haven.daemons.logs import set_up_logging
from haven.daemons.notify import Systemd
from haven.store.claim import claim_daemon
from haven.store.protocol import StoreError

BACKLOG = 64
STOP_S = 3


class Server(UvicornServer):
    """uvicorn without its ten wake-ups a second, and ended by a signal as an orderly end."""

    def __init__(self, config: Config, state: State) -> None:
        super().__init__(config)
        self._state = state
        self._told_to_stop = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGINT):
                asyncio.get_running_loop().add_signal_handler(number, self.stop)
        yield

    async def main_loop(self) -> None:
        feeding = asyncio.ensure_future(Systemd().keep_feeding())  # uvicorn listens by now
        async with beside(self._state):
            await self._told_to_stop.wait()
        feeding.cancel()

    def stop(self) -> None:
        """End in order: no new requests, streams are closed. Call it in the loop's thread."""
        self.should_exit = True
        self._state.stopping.set()
        self._state.bell.wake()
        self._told_to_stop.set()


def run_api(settings: Settings) -> int:
    """Serve until SIGTERM or SIGINT. Raises StoreError when it cannot start, or another one runs already."""
    from haven.api.opening import open_state  # libvirt's library only where it is used

    set_up_logging(settings.log_level)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)  # its own chatter
    run_dir = Path(settings.run_dir)
    with ExitStack() as stack:
        claim = claim_daemon(run_dir, "api")
        stack.callback(claim.release)
        state = stack.enter_context(open_state(settings))
        state.telling = Telling(state)
        stack.callback(state.telling.close)
        listener = listen(run_dir / "api.sock")
        stack.callback(listener.close)
        asyncio.run(make_server(state).serve(sockets=[listener]))
    return 0


@asynccontextmanager
async def beside(state: State) -> AsyncIterator[None]:
    """What runs beside the answering: the telling, and the address that Prometheus asks."""
    tasks = [asyncio.create_task(state.telling.run())] if state.telling else []
    if state.settings.metrics_listen:
        tasks.append(asyncio.create_task(serve_metrics(state)))
    for task in tasks:
        task.add_done_callback(_ended)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()


def _ended(task: "asyncio.Task[None]") -> None:
    if not task.cancelled() and (error := task.exception()):
        logging.getLogger("haven.api").error("a task beside the API ended", exc_info=error)


def make_server(state: State) -> Server:
    """The server of this state; its `serve(sockets=[...])` runs until `stop`."""
    config = Config(
        build_app(state),
        http=Protocol,
        ws="none",
        lifespan="off",
        loop="asyncio",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=STOP_S,
    )
    return Server(config, state)


def listen(path: Path) -> socket.socket:
    """The socket, root's alone. What an earlier process left there is replaced: the claim says it is dead."""
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    mask = os.umask(0o177)
    try:
        listener.bind(str(path))
    except OSError as error:
        listener.close()
        raise StoreError(f"cannot listen on {path}: {error}; check run_dir in haven.toml") from error
    finally:
        os.umask(mask)
    listener.listen(BACKLOG)
    return listener
