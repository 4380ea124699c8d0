"""The table of all routes, and the ASGI application that serves it."""

import logging
from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route as StarletteRoute

from haven.api import (
    cluster,
    cluster_options,
    ha_commands,
    ha_groups,
    ha_resources,
    ha_rules,
    ha_status,
    haven_care,
    haven_decisions,
    haven_explain,
    haven_hands,
    haven_records,
    haven_report,
    haven_status,
    haven_story,
    haven_verify,
    nodes,
    params,
    qemu,
    task_routes,
)
from haven.api.envelope import FORMATS, failure, success
from haven.api.errors import RefusedError, failed, not_implemented
from haven.api.identity import identify
from haven.api.metrics_server import metrics_endpoint
from haven.api.routes import Call, Route
from haven.api.state import State
from haven.api.telling import routes as telling_routes
from haven.history.model import HistoryError
from haven.hypervisor.protocol import HypervisorError
from haven.store.protocol import StoreError

log = logging.getLogger("haven.api")

ROUTES: tuple[Route, ...] = (
    *cluster.ROUTES,
    *cluster_options.ROUTES,
    *ha_resources.ROUTES,
    *ha_rules.ROUTES,
    *ha_groups.ROUTES,
    *ha_commands.ROUTES,
    *ha_status.ROUTES,
    *nodes.ROUTES,
    *qemu.ROUTES,
    *task_routes.ROUTES,
    *haven_status.ROUTES,
    *haven_story.ROUTES,
    *haven_explain.ROUTES,
    *haven_records.ROUTES,
    *telling_routes.ROUTES,
    *haven_hands.ROUTES,
    *haven_decisions.ROUTES,
    *haven_verify.ROUTES,
    *haven_report.ROUTES,
    *haven_care.ROUTES,
)
MAX_DRAINED_BYTES = 64 << 20
_BASE = "/api2/{format}"

Endpoint = Callable[[Request], Awaitable[Response]]


def build_app(state: State) -> Starlette:
    """The API on this state."""
    routes = [_starlette_route(route, state) for route in ROUTES]
    routes.append(StarletteRoute("/metrics", metrics_endpoint(state), methods=["GET"]))
    return Starlette(routes=routes, exception_handlers={404: _unknown, 405: _unknown})


def _starlette_route(route: Route, state: State) -> StarletteRoute:
    return StarletteRoute(_BASE + route.path, _endpoint(route, state), methods=[route.method])


def _endpoint(route: Route, state: State) -> Endpoint:
    async def endpoint(request: Request) -> Response:
        style = request.path_params["format"]
        if style not in FORMATS:
            return await _unknown(request, None)
        try:
            return success(style, await _answer(route, state, request))
        except RefusedError as problem:
            return failure(style, problem)
        except StoreError as error:
            return failure(style, failed(f"store cannot be read: {error}; running VMs stay protected"))
        except HistoryError as error:
            return failure(style, failed(f"history cannot be read: {error}"))
        except HypervisorError as error:
            return failure(style, failed(str(error)))
        except Exception:
            log.exception("%s %s failed", route.method, request.url.path)
            return failure(style, failed("unexpected error in haven's API: its log has the details"))

    return endpoint


async def _answer(route: Route, state: State, request: Request) -> object:
    """Who asks, with which parameters; then the handler, in a thread: it blocks."""
    identity = identify(request.headers)
    given = await _given(request)
    in_path = {name: text for name, text in request.path_params.items() if name != "format"}
    call = Call(state, identity, params.check(route.schema, in_path, given))
    return await run_in_threadpool(route.handler, call)


async def _given(request: Request) -> params.Given:
    """Parameters of the query and the body; the query wins."""
    body = await _body(request)
    query = params.parse_form(request.url.query)
    if request.method in ("GET", "HEAD", "DELETE"):
        if body:
            raise RefusedError(501, f"a {request.method} request takes its parameters from the query, not a body")
        return query
    return params.parse_body(request.headers.get("content-type", ""), body) | query


async def _body(request: Request) -> bytes:
    """The whole body. One that is too large is read to its end and dropped, so that the answer is heard."""
    body, size = bytearray(), 0
    async for chunk in request.stream():
        size += len(chunk)
        if size <= params.MAX_BODY_BYTES:
            body += chunk
        elif size > MAX_DRAINED_BYTES:
            break
    if size > params.MAX_BODY_BYTES:
        raise RefusedError(413, f"the request's body is larger than {params.MAX_BODY_BYTES // 1024} KiB")
    return bytes(body)


async def _unknown(request: Request, _error: Exception | None) -> Response:
    """No such path, or not with this method: the same answer, as in PVE."""
    parts = request.url.path.split("/")
    style = parts[2] if len(parts) > 2 and parts[2] in FORMATS else "json"
    path = "/" + "/".join(parts[3:])
    return failure(style, not_implemented(request.method, params.shown(path)))
