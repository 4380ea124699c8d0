"""`/metrics`: figures that Prometheus reads, on the socket and on an address of its own; and the dashboard's."""

import http.client
import json
import re
import socket
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from haven.api.metrics import render
from haven.core.clock import Deadline
from haven.core.records import FreeSpace, Hold, LrmRecord, ServiceConfig, ServiceStatus, VmIdentity, VmJournal
from haven.core.words import HoldCause, LrmMode, LrmState, ServiceState, Wanted
from tests.api.telling import crash, ready, ring, telling_api, until
from tests.api.world import NODE, World
from tests.notify.receivers import free_port, listening

DASHBOARD = Path(__file__).parents[2] / "docs/grafana/haven.json"
PAGE = Path(__file__).parents[2] / "docs/monitoring.md"
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def samples(text: str) -> Samples:
    """By name and labels, as Prometheus's own parser reads them."""
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def of(found: Samples, metric: str, /, **labels: str) -> float:
    return found[metric, tuple(sorted(labels.items()))]


def populate(world: World) -> None:
    """vm:101 runs, vm:102 is down and held."""
    now_s = world.state.wall_s()
    for uuid, sid, name, runs in (("u-1", "vm:101", "opnsense", True), ("u-2", "vm:102", "web", False)):
        world.put(f"config/{sid}", ServiceConfig(sid, uuid, NODE, Wanted.STARTED))
        world.put(f"vm/{uuid}", VmIdentity(uuid, int(sid[3:]), name))
        world.put(f"journal/{uuid}", VmJournal(uuid, runs, now_s - 90, "boot"))
    hold = Hold(HoldCause.DISK_MISSING, "disk a is missing", Deadline("boot", 60.0, now_s, 60.0), now_s, 1, 1)
    world.put("service/vm:101", ServiceStatus("vm:101", ServiceState.STARTED, NODE, "1"))
    world.put("service/vm:102", ServiceStatus("vm:102", ServiceState.ERROR, NODE, "2", held=hold))
    spaces = {"/srv/vm": FreeSpace(1024, 4096, 2048)}
    world.put(f"lrm/{NODE}", LrmRecord(NODE, LrmState.ACTIVE, LrmMode.ACTIVE, now_s - 4, spaces=spaces))


def scraped(port: int, method: str = "GET", path: str = "/metrics") -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request(method, path)
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def test_the_state_of_vms_of_haven_and_of_the_host(tmp_path: Path) -> None:
    with telling_api(tmp_path) as world:
        ready(world)
        populate(world)
        found = samples(render(world.state))
    web = {"sid": "vm:102", "name": "web"}
    assert of(found, "haven_vm_up", sid="vm:101", name="opnsense") == 1
    assert of(found, "haven_vm_up", **web) == 0
    assert of(found, "haven_vm_wanted", **web) == 1
    assert of(found, "haven_vm_held", **web) == 1
    assert of(found, "haven_vm_state", **web, state="error") == 1
    assert 89 < of(found, "haven_vm_down_seconds", **web) < 120
    assert of(found, "haven_vm_restarts_total", **web) == 0
    # Seen at 0 first: else Prometheus would take the first crash for the beginning, and count none.
    assert of(found, "haven_vm_incidents_total", sid="vm:102", cause="crash") == 0
    assert of(found, "haven_vm_holds_total", sid="vm:101", cause="crash_loop") == 0
    assert of(found, "haven_daemon_errors_total", daemon="lrm") == 0
    assert of(found, "haven_daemon_up", daemon="lrm") == 1
    assert of(found, "haven_daemon_up", daemon="crm") == 0
    assert 3 < of(found, "haven_daemon_age_seconds", daemon="lrm") < 30
    assert (of(found, "haven_store_ok"), of(found, "haven_libvirt_ok"), of(found, "haven_history_ok")) == (1, 1, 1)
    images = {"path": "/srv/vm", "use": "images"}
    assert of(found, "haven_space_free_bytes", **images) == 1 << 30
    assert of(found, "haven_space_bytes", **images) == 4 << 30
    assert of(found, "haven_space_growth_bytes", **images) == 2 << 30
    folder = {"path": str(tmp_path / "state"), "use": "haven"}
    assert 0 < of(found, "haven_space_free_bytes", **folder) < of(found, "haven_space_bytes", **folder)
    assert 0 < of(found, "haven_host_memory_available_bytes") < of(found, "haven_host_memory_bytes")


def test_totals_of_outages_and_messages(tmp_path: Path) -> None:
    with listening() as ear, telling_api(tmp_path, webhook_url=ear.url()) as world:
        ready(world)
        populate(world)
        crash(world)
        ring(world)
        ear.wait_for(1)
        receiver = {"receiver": f"webhook (http://127.0.0.1:{ear.port}/***)"}
        until(
            lambda: of(samples(render(world.state)), "haven_notifications_delivered_total", **receiver) == 1,
            "it is counted",
        )
        found = samples(render(world.state))
    assert of(found, "haven_vm_restarts_total", sid="vm:102", name="web") == 1
    assert of(found, "haven_vm_outage_seconds_total", sid="vm:102", name="web") == 0.4
    assert of(found, "haven_vm_incidents_total", sid="vm:102", cause="crash") == 1
    assert of(found, "haven_notifications_queued", **receiver) == 0


def test_the_socket_and_the_address_tell_the_same_and_the_address_nothing_else(tmp_path: Path) -> None:
    port = free_port()
    with telling_api(tmp_path, metrics_listen=f"127.0.0.1:{port}") as world:
        ready(world)
        until(lambda: _listens(port), "Prometheus's address")
        status, text = scraped(port)
        assert status == 200
        assert "haven_build_info" in text
        assert scraped(port, "HEAD") == (200, "")
        assert scraped(port, path="/api2/json/version")[0] == 404
        assert scraped(port, path="/")[0] == 404
        assert scraped(port, "POST")[0] == 405
        with socket.create_connection(("127.0.0.1", port)) as talker:
            talker.sendall(b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\n\r\n")
            assert talker.recv(100).startswith(b"HTTP/1.1 400")
        with socket.socket(socket.AF_UNIX) as own:
            own.connect(str(world.socket))
            own.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            heard = b"".join(iter(lambda: own.recv(65536), b""))
        assert b"200 OK" in heard
        assert b"text/plain; version=0.0.4; charset=utf-8" in heard
        assert b"haven_build_info" in heard


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def test_somebody_who_holds_connections_open_holds_up_nobody(tmp_path: Path) -> None:
    port = free_port()
    with telling_api(tmp_path, metrics_listen=f"127.0.0.1:{port}") as world:
        until(lambda: _listens(port), "Prometheus's address")
        idle = [socket.create_connection(("127.0.0.1", port)) for _ in range(20)]
        assert world.api.get("/haven/status")["node"] == NODE
        assert scraped(port)[0] == 200
        for one in idle:
            one.close()


def test_every_metric_of_the_dashboard_exists_and_every_metric_is_on_it_or_meant_not_to_be(tmp_path: Path) -> None:
    board = json.loads(DASHBOARD.read_text())
    expressions = " ".join(_expressions(board))
    used = set(re.findall(r"\bhaven_\w+", expressions))
    documented = set(re.findall(r"\bhaven_\w+", PAGE.read_text()))
    with listening() as ear, telling_api(tmp_path, webhook_url=ear.url()) as world:
        ready(world)
        populate(world)
        names = set(re.findall(r"^# TYPE (\w+)", render(world.state), re.MULTILINE))
    assert used - names == set()
    assert documented - names == set()
    beside = {
        "haven_vm_state",
        "haven_vm_down_seconds",
        "haven_notifications_oldest_seconds",
        "haven_notifications_last_success_timestamp_seconds",
    }
    assert names - used == beside


def test_the_dashboard_is_one_that_grafana_reads() -> None:
    board: dict[str, Any] = json.loads(DASHBOARD.read_text())
    ids = [panel["id"] for panel in board["panels"]]
    assert len(ids) == len(set(ids))
    for panel in board["panels"]:
        place = panel["gridPos"]
        assert 0 <= place["x"] < place["x"] + place["w"] <= 24
        assert panel["targets"]
        assert panel["description"]


def _expressions(node: object) -> list[str]:
    if isinstance(node, dict):
        own = [node[key] for key in ("expr", "definition") if isinstance(node.get(key), str)]
        return own + [text for value in node.values() for text in _expressions(value)]
    return [text for item in node for text in _expressions(item)] if isinstance(node, list) else []
