"""`/metrics`, on the API's socket and, where `metrics_listen` says so, for Prometheus on an address of its own.

On that address nothing else is served: one path, read only, a small request, one answer, and good-bye.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from haven.api.state import State
from haven.core.settings import listen_address

log = logging.getLogger("haven.api")

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
REQUEST_BYTES = 8192
REQUEST_S = 5.0
OPEN_AT_MOST = 32
"""Connections; further ones are closed at once."""
BIND_AGAIN_S = 30.0
_REASONS = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    500: "Internal Server Error",
}


def metrics_endpoint(state: State) -> Callable[[Request], Awaitable[Response]]:
    """For the API's own socket."""

    async def endpoint(_request: Request) -> Response:
        return Response(await run_in_threadpool(_text, state), media_type=CONTENT_TYPE)

    return endpoint


async def serve_metrics(state: State) -> None:
    """Until cancelled. An address that is not to be had is asked for again: it may come up later."""
    host, port = listen_address(state.settings.metrics_listen)
    one_by_one = asyncio.Lock()
    still_open: set[asyncio.StreamWriter] = set()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        still_open.add(writer)
        try:
            if len(still_open) <= OPEN_AT_MOST:
                await _answer(state, reader, writer, one_by_one)
        except (OSError, TimeoutError):
            pass  # who asked has gone, or is too slow
        finally:
            still_open.discard(writer)
            writer.close()

    while True:
        try:
            server = await asyncio.start_server(answer, host, port, limit=REQUEST_BYTES)
        except OSError as error:
            log.error("cannot listen on %s:%d for Prometheus: %s", host, port, error)
            await asyncio.sleep(BIND_AGAIN_S)
            continue
        async with server:
            await server.serve_forever()


async def _answer(
    state: State, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, one_by_one: asyncio.Lock
) -> None:
    """Slow askers hold up nobody: only the reading of the figures is done one by one."""
    try:
        async with asyncio.timeout(REQUEST_S):
            head = await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        _send(writer, 400, "what was asked is no request that is answered here\n")
        return
    method, target, *_ = [*head.split(b"\r\n")[0].decode("latin-1").split(" "), "", ""]
    if target.partition("?")[0] != "/metrics":
        _send(writer, 404, "only /metrics is here\n")
    elif method not in ("GET", "HEAD"):
        _send(writer, 405, "only GET is answered here\n")
    else:
        async with one_by_one:
            text = await asyncio.get_running_loop().run_in_executor(None, _text, state)
        _send(writer, 200, text, with_body=method == "GET")
    async with asyncio.timeout(REQUEST_S):
        await writer.drain()


def _send(writer: asyncio.StreamWriter, status: int, text: str, *, with_body: bool = True) -> None:
    body = text.encode()
    head = (
        f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Type: {CONTENT_TYPE}\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    writer.write(head.encode() + (body if with_body else b""))


def _text(state: State) -> str:
    from haven.api.metrics import render  # prometheus_client only where somebody asks

    return render(state)
