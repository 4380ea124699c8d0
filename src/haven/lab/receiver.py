"""A webhook and push monitor on a lab host; as a program it writes what it gets to a file, a line each."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from haven.lab.machine import Machine
from haven.lab.namespaces import Process

_UP_S = 30.0


@dataclass(frozen=True)
class Received:
    """One request: when it was there whole, its path, its query (of a push), and its body (of a message)."""

    wall_s: float
    path: str
    query: Mapping[str, str]
    body: Mapping[str, Any]


class Receiver:
    """The webhook of a lab host; it can go away and come back, as a network does."""

    def __init__(self, host: Machine, port: int = 8500) -> None:
        self._host = host
        self._port = port
        self._file = host.root / "log/receiver.jsonl"
        self._process: Process | None = None

    def url(self, path: str, scheme: str = "http") -> str:
        return f"{scheme}://127.0.0.1:{self._port}/{path}"

    def start(self) -> None:
        """Returns once it listens."""
        ready = self._host.root / "log/receiver.ready"
        ready.unlink(missing_ok=True)
        words = [sys.executable, "-m", "haven.lab.receiver", str(self._port), str(self._file), str(ready)]
        self._process = self._host.spawn(words, self._host.root / "log/receiver.log")
        self._host.wait_for(ready.exists, _UP_S, "the receiver")

    def stop(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait(_UP_S)

    def received(self, path: str = "") -> list[Received]:
        """What came so far, on one path or on all."""
        try:
            lines = self._file.read_text().split("\n")[:-1]  # the last may be half written
        except FileNotFoundError:
            return []
        found = [Received(**json.loads(line)) for line in lines]
        return [one for one in found if not path or one.path == f"/{path}"]


class _Handler(BaseHTTPRequestHandler):
    file: Path

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        asked = urlsplit(self.path)
        line = {
            "wall_s": time.time(),
            "path": asked.path,
            "query": dict(parse_qsl(asked.query)),
            "body": json.loads(body or b"{}"),
        }
        with self.file.open("a") as file:
            file.write(json.dumps(line) + "\n")
        self.send_response(200)
        self.end_headers()

    def do_GET(self) -> None:
        self.do_POST()

    def log_message(self, *_: object) -> None: ...


def main(argv: Sequence[str]) -> int:
    port, _Handler.file, ready = int(argv[0]), Path(argv[1]), Path(argv[2])
    with ThreadingHTTPServer(("127.0.0.1", port), _Handler) as server:
        ready.touch()
        server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
