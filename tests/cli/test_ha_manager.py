"""`ha-manager` prints what Proxmox VE's does, and asks the API what was meant."""

import json
import os
import sys

import pytest

from haven.cli import ha_manager
from haven.cli.person import acting_user, login_name
from tests.cli.fake_api import FakeApi

CURRENT = "GET /cluster/ha/status/current"
RESOURCES = "/cluster/ha/resources"
STATUS = [
    {"id": "quorum", "type": "quorum", "node": "pve", "status": "OK", "quorate": 1},
    {"id": "master", "type": "master", "node": "pve", "status": "pve (active, Sun Nov 22 17:00:05 2026)"},
    {"id": "fencing", "type": "fencing", "node": "pve", "status": "standby (CRM watchdog standby)"},
    {"id": "lrm:pve", "type": "lrm", "status": "pve (active, watchdog standby, Sun Nov 22 17:00:01 2026)"},
    {"id": "service:vm:101", "type": "service", "node": "pve", "sid": "vm:101", "status": "vm:101 (pve, started)"},
    {"id": "service:vm:102", "type": "service", "node": "pve", "sid": "vm:102", "status": "vm:102 (pve, stopped)"},
]  # fmt: skip
Output = pytest.CaptureFixture[str]


def run(line: str) -> int:
    return ha_manager.main(line.split())


def test_status_prints_one_line_for_each_entry(api: FakeApi, capsys: Output) -> None:
    api.answer(CURRENT, STATUS)
    assert run("status") == 0
    assert capsys.readouterr().out == (
        "quorum OK\n"
        "master pve (active, Sun Nov 22 17:00:05 2026)\n"
        "fencing standby (CRM watchdog standby)\n"
        "lrm pve (active, watchdog standby, Sun Nov 22 17:00:01 2026)\n"
        "service vm:101 (pve, started)\n"
        "service vm:102 (pve, stopped)\n"
    )


def test_verbose_status_adds_the_whole_state_as_sorted_json(api: FakeApi, capsys: Output) -> None:
    api.answer(CURRENT, STATUS[:1])
    full = {"quorum": {"quorate": 1, "node": "pve"}, "manager_status": {}, "lrm_status": {}}
    api.answer("GET /cluster/ha/status/manager_status", full)
    assert run("status --verbose") == 0
    assert capsys.readouterr().out == (
        "quorum OK\n"
        "full cluster state:\n"
        "{\n"
        '   "lrm_status" : {},\n'
        '   "manager_status" : {},\n'
        '   "quorum" : {\n'
        '      "node" : "pve",\n'
        '      "quorate" : 1\n'
        "   }\n"
        "}\n"
    )


def test_status_of_a_host_that_protects_nothing_is_no_error(api: FakeApi, capsys: Output) -> None:
    api.answer(CURRENT, [])
    assert run("status") == 0
    assert capsys.readouterr() == ("", "")


def test_config_prints_sorted_blocks_of_what_was_set(api: FakeApi, capsys: Output) -> None:
    digest = "1b2c"
    web = {"sid": "vm:102", "type": "vm", "digest": digest, "state": "started", "max_relocate": 2,
           "comment": "web frontend"}  # fmt: skip
    api.answer(f"GET {RESOURCES}", [web, {"sid": "vm:101", "type": "vm", "digest": digest}])
    assert run("config --type vm") == 0
    assert capsys.readouterr().out == (
        "vm:101\n"
        "\n"
        "vm:102\n"
        "\tcomment web frontend\n"
        "\tmax_relocate 2\n"
        "\tstate started\n"
        "\n"
    )  # fmt: skip
    assert api.asked(f"GET {RESOURCES}") == [{"type": "vm"}]


def test_add_is_silent_and_asks_for_what_was_typed(api: FakeApi, capsys: Output) -> None:
    api.answer(f"POST {RESOURCES}", None)
    assert run("add vm:102 --state started --max_restart 3 --max_relocate 1 --failback 0 --restart_on always") == 0
    assert capsys.readouterr() == ("", "")
    expected = {
        "state": "started",
        "max_restart": "3",
        "max_relocate": "1",
        "failback": "0",
        "restart_on": "always",
    }
    assert api.asked(f"POST {RESOURCES}") == [{"sid": "vm:102", **expected}]


@pytest.mark.parametrize("sid", ["vm:102", "102", "web-frontend"])
def test_a_vm_may_be_named_by_sid_number_or_name(api: FakeApi, sid: str) -> None:
    api.answer(f"POST {RESOURCES}", None)
    api.answer(f"PUT {RESOURCES}/{sid}", None)
    assert run(f"add {sid}") == 0
    assert run(f"set {sid} --state stopped") == 0
    assert api.asked(f"POST {RESOURCES}") == [{"sid": sid}]
    assert api.asked(f"PUT {RESOURCES}/{sid}") == [{"state": "stopped"}]


@pytest.mark.parametrize(
    ("line", "terminal", "told"),
    [
        ("add vm:102", True, True),
        ("add vm:102", False, False),
        ("add vm:102 --restart_on always", True, False),
        ("add vm:102 --json", True, False),
    ],
)
def test_a_person_who_adds_a_vm_is_told_what_a_power_off_means(
    api: FakeApi, capsys: Output, monkeypatch: pytest.MonkeyPatch, line: str, terminal: bool, told: bool
) -> None:
    api.answer(f"POST {RESOURCES}", None)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    assert run(line) == 0
    assert capsys.readouterr().err == (f"{ha_manager.RESTART_ON_HINT}\n" if told else "")


def test_set_remove_and_stop_reach_their_resource(api: FakeApi, capsys: Output) -> None:
    api.answer(f"PUT {RESOURCES}/vm:102", None)
    api.answer(f"DELETE {RESOURCES}/vm:102", None)
    api.answer(f"POST {RESOURCES}/vm:102/stop", None)
    assert run("set vm:102 --delete comment,max_restart --digest 1b2c --restart_on failure") == 0
    assert run("remove vm:102 --purge") == 0
    assert run("crm-command stop vm:102 30") == 0
    assert capsys.readouterr() == ("", "")
    assert api.asked(f"PUT {RESOURCES}/vm:102") == [
        {"delete": "comment,max_restart", "digest": "1b2c", "restart_on": "failure"}
    ]
    assert api.asked(f"DELETE {RESOURCES}/vm:102") == [{"purge": "1"}]
    assert api.asked(f"POST {RESOURCES}/vm:102/stop") == [{"timeout": "30"}]


@pytest.mark.parametrize(
    ("line", "verb"),
    [
        ("migrate vm:102 pve2", "migrate"),
        ("crm-command migrate vm:102 pve2", "migrate"),
        ("relocate vm:102 pve2", "relocate"),
        ("crm-command relocate vm:102 pve2", "relocate"),
    ],
)
def test_a_move_is_silent_but_for_those_who_come_along(api: FakeApi, capsys: Output, line: str, verb: str) -> None:
    answer: dict[str, object] = {"sid": "vm:102", "requested-node": "pve2"}
    along = answer | {"comigrated-resources": ["vm:103", "vm:104"]}
    api.answer(f"POST {RESOURCES}/vm:102/{verb}", answer, along)
    assert run(line) == 0
    assert capsys.readouterr() == ("", "")
    assert run(line) == 0
    assert capsys.readouterr().out == "".join(
        f"also {verb} resource '{other}' in positive affinity with resource 'vm:102' to target node 'pve2'\n"
        for other in ("vm:103", "vm:104")
    )
    assert api.asked(f"POST {RESOURCES}/vm:102/{verb}") == [{"node": "pve2"}] * 2


def test_a_move_to_where_it_must_not_be_is_an_error_that_names_who_is_there(api: FakeApi, capsys: Output) -> None:
    blocking = [{"sid": "vm:103", "cause": "resource-affinity"}, {"sid": "vm:104", "cause": "resource-affinity"}]
    answer = {"sid": "vm:102", "requested-node": "pve2", "blocking-resources": blocking}
    api.answer(f"POST {RESOURCES}/vm:102/migrate", answer)
    assert run("migrate vm:102 pve2") == 255
    expected = (
        "cannot migrate resource 'vm:102' to node 'pve2': it is kept apart from 'vm:103', 'vm:104',"
        " which is there (negative affinity)\n"
    )
    assert capsys.readouterr() == ("", expected)


@pytest.mark.parametrize(
    ("line", "request_line", "params"),
    [
        ("crm-command node-maintenance enable pve2", "PUT /nodes/pve2/maintenance", {"enable": "1"}),
        ("crm-command node-maintenance disable pve2", "PUT /nodes/pve2/maintenance", {"enable": "0"}),
        ("crm-command disarm-ha freeze", "POST /cluster/ha/status/disarm-ha", {"resource-mode": "freeze"}),
        ("crm-command disarm ignore", "POST /cluster/ha/status/disarm-ha", {"resource-mode": "ignore"}),
        ("crm-command arm-ha", "POST /cluster/ha/status/arm-ha", {}),
    ],
)
def test_commands_to_the_manager_are_silent(
    api: FakeApi, capsys: Output, line: str, request_line: str, params: dict[str, str]
) -> None:
    api.answer(request_line, None)
    assert run(line) == 0
    assert capsys.readouterr() == ("", "")
    assert api.asked(request_line) == [params]


def test_json_is_the_answer_of_the_api_unchanged(api: FakeApi, capsys: Output) -> None:
    api.answer(CURRENT, STATUS)
    for line in ("status --json", "status --output-format json", "status --output-format json-pretty"):
        assert run(line) == 0
        assert json.loads(capsys.readouterr().out) == STATUS


def test_an_error_of_the_api_is_one_line(api: FakeApi, capsys: Output) -> None:
    api.fail(f"POST {RESOURCES}", 500, "create resource failed: resource ID 'vm:102' already defined")
    assert run("add vm:102") == 255
    assert capsys.readouterr() == ("", "create resource failed: resource ID 'vm:102' already defined\n")


def test_parameters_that_the_api_refuses_are_named_as_proxmox_does(api: FakeApi, capsys: Output) -> None:
    api.fail(f"POST {RESOURCES}", 400, "Parameter verification failed.", {"sid": "invalid format - no VM"})
    assert run("add vm:x/y") == 255
    assert capsys.readouterr().err == (
        "400 Parameter verification failed.\nsid: invalid format - no VM\nha-manager add <sid> [OPTIONS]\n"
    )


@pytest.mark.parametrize(
    ("sudo", "who"),
    [
        (None, "{login}"),
        ("alice", "{login} (alice via sudo)"),
        ("eve\nX-Evil: 1", "{login} (eve X-Evil: 1 via sudo)"),
    ],
)
def test_the_api_learns_who_asks_and_with_what(
    api: FakeApi, monkeypatch: pytest.MonkeyPatch, sudo: str | None, who: str
) -> None:
    if sudo:
        monkeypatch.setenv("SUDO_USER", sudo)
    api.answer(f"PUT {RESOURCES}/vm:102", None)
    run("set vm:102 --state started --comment secret")
    headers = api.requests[0].headers
    assert headers["X-Haven-Via"] == "ha-manager set --state started"
    assert headers["X-Haven-User"] == who.format(login=login_name(os.geteuid()))
    assert "X-Evil" not in headers


@pytest.mark.parametrize("name", ["алиса" * 100, "a" * 100_000, "\x00\x7f\u2028"])
def test_a_strange_login_never_breaks_the_request(
    api: FakeApi, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    header = acting_user({"SUDO_USER": name})
    assert header.isprintable()
    assert len(header) <= 120
    assert header.encode("latin-1")
