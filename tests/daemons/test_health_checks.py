"""The looks from outside, against real servers on the loopback address."""

import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from haven.core.records import HealthCheck
from haven.core.words import CheckKind
from haven.daemons.health_checks import Look, look

SOON_S = 15.0


class _Pages(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response({"/gone": 404, "/moved": 302}.get(self.path, 200))
        self.end_headers()
        self.wfile.write(b"<h1>MAAS is up</h1>")

    def log_message(self, format: str, *args: object) -> None:
        pass


def serving(server: HTTPServer) -> Iterator[int]:
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture(scope="module")
def web() -> Iterator[int]:
    yield from serving(HTTPServer(("127.0.0.1", 0), _Pages))


@pytest.fixture(scope="module")
def router(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A page behind a certificate that it signed itself, as a router's."""
    pem = Path(tmp_path_factory.mktemp("tls")) / "both.pem"
    words = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "2",
    ]
    files = ["-subj", "/CN=router", "-keyout", str(pem), "-out", f"{pem}.crt"]
    subprocess.run([*words, *files], check=True, capture_output=True)
    server = HTTPServer(("127.0.0.1", 0), _Pages)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{pem}.crt", pem)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    yield from serving(server)


@pytest.fixture
def mute() -> Iterator[int]:
    """A port that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def dripping() -> Iterator[Callable[[bytes], int]]:
    """Ports that answer with some words at once and go on byte by byte, until who asked has had enough."""
    with ExitStack() as opened:

        def drip(server: socket.socket, words: bytes) -> None:
            with suppress(OSError), server.accept()[0] as connection:
                connection.recv(4096)
                connection.sendall(words)
                until_s = time.monotonic() + SOON_S
                while time.monotonic() < until_s:
                    time.sleep(0.02)
                    connection.sendall(b"x")

        def serve(words: bytes) -> int:
            server = opened.enter_context(socket.create_server(("127.0.0.1", 0)))
            thread = threading.Thread(target=drip, args=(server, words))
            thread.start()
            opened.callback(thread.join)
            return int(server.getsockname()[1])

        yield serve


def http(target: str, status: int | None = None, text: str = "") -> HealthCheck:
    return HealthCheck("web", CheckKind.HTTP, target, status=status, text=text, timeout_s=SOON_S)


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_http_by_status_and_text(web: int) -> None:
    url = f"http://127.0.0.1:{web}"
    assert look(http(f"{url}/MAAS/")) == Look(True, "HTTP 200")
    assert look(http(f"{url}/moved")) == Look(True, "HTTP 302")
    assert look(http(f"{url}/gone")) == Look(False, "HTTP 404")
    assert look(http(f"{url}/gone", status=404)) == Look(True, "HTTP 404")
    assert look(http(url, status=204)) == Look(False, "HTTP 200 instead of 204")
    assert look(http(url, text="MAAS is up")) == Look(True, "HTTP 200")
    assert look(http(url, text="pfSense")) == Look(False, "HTTP 200, but without the text 'pfSense'")


def test_https_takes_a_certificate_that_nobody_signed(router: int) -> None:
    assert look(http(f"https://127.0.0.1:{router}/")) == Look(True, "HTTP 200")


def test_a_refused_connection_a_silent_port_and_a_strange_answer_are_told_apart(mute: int) -> None:
    port = closed_port()
    assert look(http(f"http://127.0.0.1:{port}")) == Look(False, "connection refused")
    late = replace(http(f"http://127.0.0.1:{mute}"), timeout_s=0.2)
    assert look(late) == Look(False, "no answer within 0.2 s")


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\nServer: ", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_a_server_that_answers_byte_by_byte_has_the_same_time_as_any(
    dripping: Callable[[bytes], int], said: bytes
) -> None:
    slow = replace(http(f"http://127.0.0.1:{dripping(said)}", text="MAAS"), timeout_s=0.5)
    began_s = time.monotonic()
    assert look(slow) == Look(False, "no answer within 0.5 s")
    assert time.monotonic() - began_s < SOON_S / 2


def test_https_has_the_same_time_for_all_its_steps(mute: int) -> None:
    late = replace(http(f"https://127.0.0.1:{mute}"), timeout_s=0.2)
    assert look(late) == Look(False, "no answer within 0.2 s")


def test_a_name_with_an_address_where_nobody_answers_has_time_for_the_next(
    web: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def both(_host: str, port: int, **_kind: object) -> list[object]:
        stream = (socket.AF_INET, socket.SOCK_STREAM, 0, "")
        return [(*stream, ("127.0.0.1", closed_port())), (*stream, ("127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", both)
    assert look(http(f"http://two.lan:{web}")) == Look(True, "HTTP 200")
    assert look(HealthCheck("t", CheckKind.TCP, f"two.lan:{web}", timeout_s=SOON_S)).ok


def test_tcp() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        target = f"127.0.0.1:{server.getsockname()[1]}"
        assert look(HealthCheck("t", CheckKind.TCP, target)) == Look(True, "accepts connections")
    assert look(HealthCheck("t", CheckKind.TCP, target)) == Look(False, "connection refused")


def test_ping() -> None:
    seen = look(HealthCheck("p", CheckKind.PING, "127.0.0.1", timeout_s=SOON_S))
    if "may not send pings" in seen.detail:
        pytest.skip(seen.detail)
    assert seen.ok
    assert seen.detail.startswith("answers in ")


@pytest.mark.parametrize("kind", list(CheckKind))
def test_a_name_that_nobody_knows_is_a_failure_not_an_error(kind: CheckKind) -> None:
    target = {CheckKind.HTTP: "http://nobody.invalid", CheckKind.TCP: "nobody.invalid:80"}
    check = HealthCheck("n", kind, target.get(kind, "nobody.invalid"), timeout_s=SOON_S)
    assert look(check) == Look(False, "its name is not known")


@pytest.mark.parametrize(
    ("kind", "target"),
    [(CheckKind.PING, "a..b"), (CheckKind.TCP, "a..b:80"), (CheckKind.HTTP, "http://router..lan/")],
)
def test_a_name_that_cannot_be_one_is_a_failure_not_an_error(kind: CheckKind, target: str) -> None:
    assert look(HealthCheck("odd", kind, target, timeout_s=SOON_S)) == Look(False, "its address makes no sense")
