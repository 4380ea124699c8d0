"""The envelope on the wire: status lines, content types, formats, bodies, as clients need them."""

import http.client
import json
import socket
import stat
from pathlib import Path
from typing import Any

import pytest

from haven.api.client import ApiClient, ApiUnreachable
from tests.api.cluster import grow
from tests.api.world import World


class Raw:
    """One HTTP exchange, looked at closely."""

    def __init__(self, world: World, method: str, target: str, body: str = "", **headers: str) -> None:
        connection = http.client.HTTPConnection("localhost")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(str(world.socket))
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, target, body or None, named)
        response = connection.getresponse()
        self.status, self.reason = response.status, response.reason
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.text = response.read().decode()
        connection.close()

    @property
    def json(self) -> Any:
        return json.loads(self.text)


def test_an_answer_is_data_in_exactly_this_content_type(world: World) -> None:
    answer = Raw(world, "GET", "/api2/json/version")
    assert (answer.status, answer.reason) == (200, "OK")
    assert answer.headers["content-type"] == "application/json;charset=UTF-8"
    assert set(answer.json) == {"data"}


def test_an_error_s_text_is_the_reason_phrase_and_the_message(world: World) -> None:
    answer = Raw(world, "GET", "/api2/json/cluster/ha/resources/vm:102")
    assert (answer.status, answer.reason) == (500, "no such resource 'vm:102'")
    assert answer.json == {"data": None, "message": "no such resource 'vm:102'\n"}
    assert "haven-reason" not in answer.headers
    assert answer.headers["connection"] == "close"


def test_wrong_parameters_are_named_one_by_one(world: World) -> None:
    answer = Raw(world, "POST", "/api2/json/cluster/ha/resources", "max_restart=-1")
    assert (answer.status, answer.reason) == (400, "Parameter verification failed.")
    assert answer.json["message"] == "Parameter verification failed.\n"
    assert set(answer.json["errors"]) == {"sid", "max_restart"}


def test_a_reason_phrase_is_one_line_of_latin_1(world: World) -> None:
    answer = Raw(world, "GET", "/api2/json/cluster/ha/resources/vm:%E2%82%AC%0D%0AX-Evil:1")
    assert "x-evil" not in answer.headers
    assert answer.status == 400
    answer = Raw(world, "GET", "/api2/json/cluster/ha/resources/vm:%E2%82%AC")
    assert answer.reason == "no such resource 'vm:?'"
    assert answer.json["message"] == "no such resource 'vm:€'\n"


def test_extjs_says_everything_in_the_body(world: World) -> None:
    answer = Raw(world, "GET", "/api2/extjs/version")
    assert (answer.status, answer.json["success"]) == (200, 1)
    answer = Raw(world, "POST", "/api2/extjs/cluster/ha/resources")
    assert (answer.status, answer.json["success"], answer.json["status"]) == (200, 0, 400)
    assert answer.json["errors"] == {"sid": "property is missing and it is not optional"}


@pytest.mark.parametrize("target", ["/api2/html/version", "/api2/version", "/version", "/", "/api2/json/nope"])
def test_what_is_not_there_is_not_implemented(world: World, target: str) -> None:
    answer = Raw(world, "GET", target)
    assert answer.status == 501
    assert answer.reason.endswith("not implemented")


def test_a_form_may_use_semicolons_and_a_cache_buster(world: World) -> None:
    form = "sid=vm%3A102;comment=a+b%26c&_dc=17"
    answer = Raw(world, "POST", "/api2/json/cluster/ha/resources", form)
    assert (answer.status, answer.json) == (200, {"data": None})
    assert world.config("vm:102").comment == "a b&c"


def test_json_bodies_are_taken(world: World) -> None:
    body = json.dumps({"sid": "102", "max_restart": 3, "failback": True, "comment": None})
    answer = Raw(world, "POST", "/api2/json/cluster/ha/resources", body, content_type="application/json")
    assert answer.status == 200
    config = world.config("vm:102")
    assert (config.max_restart, config.failback, config.comment) == (3, True, None)


def test_the_query_wins_over_the_body(world: World) -> None:
    Raw(world, "POST", "/api2/json/cluster/ha/resources?comment=query", "sid=102&comment=body")
    assert world.config("vm:102").comment == "query"


@pytest.mark.parametrize(
    ("method", "content_type", "body", "status"),
    [
        ("POST", "text/xml", "<sid/>", 506),
        ("POST", "application/json", "{", 400),
        ("POST", "application/json", "[]", 400),
        ("POST", "application/json", "[" * 5000, 400),
        ("POST", "application/json", '{"sid": %s}' % ("[" * 900 + "]" * 900), 400),
        ("GET", "", "sid=1", 501),
    ],
)
def test_other_bodies_are_refused(world: World, method: str, content_type: str, body: str, status: int) -> None:
    target = "/api2/json/cluster/ha/resources"
    assert Raw(world, method, target, body, content_type=content_type).status == status


def test_a_repeated_parameter_is_refused(world: World) -> None:
    answer = Raw(world, "POST", "/api2/json/cluster/ha/resources", "sid=101&sid=102")
    assert answer.json["errors"] == {"sid": "type check ('string') failed - given 2 times"}


def test_a_list_may_come_as_the_same_name_several_times(world: World) -> None:
    rules = "/cluster/ha/rules"  # as proxmoxer sends Python's lists
    grow(world, 201, 202)
    form = "rule=pair&type=node-affinity&resources=vm:202&resources=201&nodes=beta&nodes=gamma:2&comment=x"
    assert Raw(world, "POST", f"/api2/json{rules}", form).status == 200
    entry = world.api.get(f"{rules}/pair")
    assert (entry["resources"], entry["nodes"]) == ("vm:201,vm:202", "beta,gamma:2")
    body = '{"type": "node-affinity", "nodes": ["beta"], "delete": ["comment", "strict"]}'
    assert Raw(world, "PUT", f"/api2/json{rules}/pair", body, content_type="application/json").status == 200
    entry = world.api.get(f"{rules}/pair")
    assert (entry["nodes"], "comment" in entry) == ("beta", False)


def test_an_empty_list_is_no_value(world: World) -> None:
    target = "/api2/json/cluster/ha/resources"
    answer = Raw(world, "POST", target, '{"sid": "101", "comment": []}', content_type="application/json")
    assert answer.json["errors"] == {"comment": "type check ('string') failed - given 0 times"}


def test_who_asks_must_be_short_and_printable(world: World) -> None:
    assert Raw(world, "GET", "/api2/json/version", X_Haven_User="x" * 200).status == 400
    assert Raw(world, "GET", "/api2/json/version", X_Haven_Via="\x7f").status == 400


def test_an_error_inside_is_one_line_and_the_next_request_is_served(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(world.libvirt, "present", None)
        answer = Raw(world, "GET", "/api2/json/cluster/resources")
    assert (answer.status, answer.reason) == (500, "unexpected error in haven's API: its log has the details")
    assert Raw(world, "GET", "/api2/json/cluster/resources").status == 200


def test_the_socket_is_root_s_alone(world: World) -> None:
    assert stat.S_IMODE(world.socket.stat().st_mode) == 0o600


def test_the_client_says_in_one_line_that_nobody_is_there(tmp_path: Path) -> None:
    with pytest.raises(ApiUnreachable, match=r"/gone\.sock is not there: is `haven up` running\?$"):
        ApiClient(tmp_path / "gone.sock").get("/version")
    stale = tmp_path / "stale.sock"
    socket.socket(socket.AF_UNIX).bind(str(stale))
    with pytest.raises(ApiUnreachable, match="is `haven up` running"):
        ApiClient(stale).get("/version")


def test_the_client_finds_the_socket_by_the_environment(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HAVEN_API_SOCKET", str(world.socket))
    assert ApiClient().get("/version")["release"] == "9.2"
