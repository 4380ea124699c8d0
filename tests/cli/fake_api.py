"""haven's API as the command line sees it: a small HTTP server on a unix socket with canned answers."""

import json
import socketserver
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.message import Message
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote

import pytest

BASE = "/api2/json"
TASK = "UPID:pve:00001A2B:0000F00D:6921F0A0:{kind}:{vmid}:root@pam:"


@dataclass(frozen=True)
class Request:
    """What a command asked: `POST /cluster/ha/resources` with its parameters."""

    line: str
    params: dict[str, str]
    headers: Message


@dataclass(frozen=True)
class Answer:
    status: int = 200
    body: dict[str, Any] = field(default_factory=dict)
    lines: tuple[dict[str, Any], ...] | None = None
    stays_open: bool = False


@dataclass
class FakeApi:
    """Answers by request line. A line with several answers gives them in turn, then repeats the last."""

    path: Path
    requests: list[Request] = field(default_factory=list)
    answers: dict[str, list[Answer]] = field(default_factory=dict)
    ending: threading.Event = field(default_factory=threading.Event)

    def answer(self, line: str, *data: object) -> None:
        """Answer this request line with `data`; several: one after the other."""
        self.answers[line] = [Answer(body={"data": item}) for item in data]

    def fail(self, line: str, status: int, message: str, errors: dict[str, str] | None = None) -> None:
        body = {"data": None, "message": message + "\n"} | ({"errors": errors} if errors else {})
        self.answers[line] = [Answer(status, body)]

    def stream(self, line: str, *batches: Sequence[dict[str, Any]]) -> None:
        """Answer with ndjson: each batch is one connection. The last stays open, the others break off."""
        last = len(batches) - 1
        self.answers[line] = [
            Answer(lines=tuple(batch), stays_open=at == last) for at, batch in enumerate(batches)
        ]

    def task(self, line: str, kind: str, vmid: int, ending: str = "OK", log: Sequence[str] = ()) -> None:
        """Answer this request line with a task that is still running at the first look."""
        upid = TASK.format(kind=kind, vmid=vmid)
        self.answer(line, upid)
        path = f"/nodes/pve/tasks/{upid}"
        stopped = {"upid": upid, "status": "stopped", "exitstatus": ending, "type": kind}
        self.answer(f"GET {path}/status", {"upid": upid, "status": "running"}, stopped)
        texts = [*log, "TASK OK" if ending == "OK" else f"TASK ERROR: {ending}"]
        half = [{"n": number, "t": text} for number, text in enumerate(log[:1] or ["no content"], 1)]
        rest = [{"n": number, "t": text} for number, text in enumerate(texts, 1)]
        self.answer(f"GET {path}/log", half, rest[len(log[:1]) :])

    def asked(self, line: str) -> list[dict[str, str]]:
        """The parameters of each request with this line."""
        return [request.params for request in self.requests if request.line == line]

    def take(self, request: Request) -> Answer:
        self.requests.append(request)
        left = self.answers.get(request.line)
        if left is None:
            return Answer(501, {"data": None, "message": f"Method '{request.line}' not implemented\n"})
        return left.pop(0) if len(left) > 1 else left[0]


class _Server(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True
    block_on_close = False


@contextmanager
def serving(path: Path) -> Iterator[FakeApi]:
    """A fake API that listens on `path` while the block runs."""
    api = FakeApi(path)
    server = _Server(str(path), _handler(api))
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield api
    finally:
        api.ending.set()
        server.shutdown()
        server.server_close()
        path.unlink()


def _handler(api: FakeApi) -> Callable[..., BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            path, _, query = self.path.partition("?")
            body = self.rfile.read(int(self.headers.get("content-length") or 0)).decode()
            given = parse_qs(f"{query}&{body}".strip("&"), keep_blank_values=True)
            params = {name: values[-1] for name, values in given.items()}
            line = f"{self.command} {unquote(path.removeprefix(BASE))}"
            self._send(api.take(Request(line, params, self.headers)))

        def _send(self, answer: Answer) -> None:
            content = json.dumps(answer.body).encode()
            if answer.lines is not None:
                content = b"".join(json.dumps(line).encode() + b"\n" for line in answer.lines)
            self.send_response(answer.status)
            if answer.lines is None:
                self.send_header("content-length", str(len(content)))
            self.send_header("content-type", "application/json;charset=UTF-8")
            self.end_headers()
            self.wfile.write(content)
            if answer.stays_open:
                self.wfile.flush()
                api.ending.wait()

        do_GET = do_POST = do_PUT = do_DELETE = _answer  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:
            """Requests are asserted on, not printed."""

        def address_string(self) -> str:
            return "unix socket"

    return Handler


def talk_to(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the commands speak to the API at `path`."""
    monkeypatch.setenv("HAVEN_API_SOCKET", str(path))
