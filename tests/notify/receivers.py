"""Real HTTP receivers on loopback: they take letters, refuse, hang, or dribble."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

from haven.core.words import Level
from haven.notify.protocol import Letter


def letter(title: str = "vm:102 (maas-102) is back after 0.4 s", level: Level = Level.INFO) -> Letter:
    return Letter(title, "Its QEMU process died.", level, {"id": title, "title": title})


@dataclass
class Ear:
    """What came, and how it is answered: `status`; `says`; `wait`: hold the answer back until it is set."""

    port: int = 0
    status: int = 200
    says: str = "ok"
    wait: threading.Event | None = None
    heard: list[tuple[str, str, Any]] = field(default_factory=list)
    came: threading.Condition = field(default_factory=threading.Condition)

    def url(self, path: str = "/hook/TOKEN-123") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    @property
    def bodies(self) -> list[Any]:
        return [body for _, _, body in self.heard]

    def queries(self) -> list[dict[str, str]]:
        found = [parse_qs(urlsplit(path).query) for _, path, _ in self.heard]
        return [{name: values[0] for name, values in query.items()} for query in found]

    def wait_for(self, count: int, within_s: float = 40.0) -> None:
        with self.came:
            assert self.came.wait_for(lambda: len(self.heard) >= count, within_s), self.heard


@contextmanager
def listening(port: int = 0, **how: Any) -> Iterator[Ear]:
    """A receiver until the end of the block."""
    ear = Ear(**how)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            with ear.came:
                ear.heard.append((self.command, self.path, json.loads(body) if body else None))
                ear.came.notify_all()
            if ear.wait:
                ear.wait.wait(60)
            self.send_response(ear.status)
            self.end_headers()
            self.wfile.write(ear.says.encode())

        do_GET = do_POST  # noqa: N815

        def log_message(self, *_: object) -> None: ...

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None: ...

    with Server(("127.0.0.1", port), Handler) as server:
        ear.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield ear
        finally:
            if ear.wait:
                ear.wait.set()
            server.shutdown()
            thread.join()


@contextmanager
def dribbling() -> Iterator[str]:
    """Accepts, and sends a byte of its answer now and then, for ever; yields its URL."""
    ending = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(30)

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                for byte in b"HTTP/1.1 200 OK" + b" " * 10_000:
                    try:
                        connection.send(bytes([byte]))
                    except OSError:
                        return
                    if ending.wait(0.05):
                        return

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/secret-path"
        ending.set()
        thread.join()


def free_port() -> int:
    """A port at which nobody listens now."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])
