"""`qm` prints what Proxmox VE's does; for protected VMs it only asks the HA manager, and says so."""

import json
from typing import Any

import pytest

from haven.cli import qm
from tests.cli.fake_api import FakeApi

QEMU = "/nodes/localhost/qemu"
GIB = 1024**3
WEB: dict[str, Any] = {
    "vmid": 102,
    "name": "web",
    "status": "running",
    "maxmem": GIB // 2,
    "maxdisk": 8 * GIB,
    "pid": 4102,
}
DB: dict[str, Any] = {"vmid": 103, "name": "db", "status": "stopped", "maxmem": GIB, "maxdisk": 16 * GIB}
Output = pytest.CaptureFixture[str]


def run(line: str) -> int:
    return qm.main(line.split())


def test_list_prints_fixed_columns_sorted_by_number(api: FakeApi, capsys: Output) -> None:
    api.answer(f"GET {QEMU}", [DB, WEB])
    assert run("list") == 0
    assert [line.rstrip() for line in capsys.readouterr().out.splitlines()] == [
        "      VMID NAME                 STATUS     MEM(MB)    BOOTDISK(GB) PID",
        "       102 web                  running    512                8.00 4102",
        "       103 db                   stopped    1024              16.00 0",
    ]


def test_a_long_name_shifts_the_columns_and_is_whole(api: FakeApi, capsys: Output) -> None:
    api.answer(f"GET {QEMU}", [WEB | {"name": "a-name-of-more-than-twenty"}])
    run("list")
    assert "       102 a-name-of-more-than-twenty running    512 " in capsys.readouterr().out


def test_list_without_vms_prints_nothing(api: FakeApi, capsys: Output) -> None:
    api.answer(f"GET {QEMU}", [])
    assert run("list") == 0
    assert capsys.readouterr() == ("", "")


def test_full_list_uses_qemus_own_words(api: FakeApi, capsys: Output) -> None:
    api.answer(f"GET {QEMU}", [WEB | {"qmpstatus": "io-error"}])
    run("list --full")
    assert "io-error" in capsys.readouterr().out
    assert api.asked(f"GET {QEMU}") == [{"full": "1"}]


def test_status_is_one_line(api: FakeApi, capsys: Output) -> None:
    api.answer(f"GET {QEMU}/102/status/current", {"status": "running", "qmpstatus": "paused"})
    assert run("stat 102") == 0
    assert capsys.readouterr().out == "status: paused\n"


def test_verbose_status_is_sorted_with_maps_indented(api: FakeApi, capsys: Output) -> None:
    current = {
        "vmid": 102,
        "status": "running",
        "cpu": 0.1,
        "ha": {"managed": 1},
        "balloon": {"max": 2, "actual": 1},
    }
    api.answer(f"GET {QEMU}/102/status/current", current)
    assert run("status 102 --verbose") == 0
    assert capsys.readouterr().out == "balloon:\n\tactual: 1\n\tmax: 2\nstatus: running\nvmid: 102\n"


def test_config_is_sorted_with_the_description_on_one_line(api: FakeApi, capsys: Output) -> None:
    config = {"name": "web", "memory": "512", "digest": "1b2c", "description": "100%: first\nzweite Ü"}
    api.answer(f"GET {QEMU}/102/config", config)
    assert run("config 102") == 0
    assert capsys.readouterr().out == "description: 100%25%3A first%0Azweite Ü\nmemory: 512\nname: web\n"


@pytest.mark.parametrize("memory", ["1024", "current=1024"])
def test_set_memory_says_what_it_updated(api: FakeApi, capsys: Output, memory: str) -> None:
    api.answer(f"PUT {QEMU}/102/config", None)
    assert run(f"set 102 --memory {memory}") == 0
    assert capsys.readouterr().out == "update VM 102: -memory 1024\n"
    assert api.asked(f"PUT {QEMU}/102/config") == [{"memory": "1024"}]


@pytest.mark.parametrize(("command", "kind"), [("start", "hastart"), ("stop", "hastop"), ("shutdown", "hastop")])
def test_power_commands_for_a_protected_vm_say_that_they_only_ask(
    api: FakeApi, capsys: Output, command: str, kind: str
) -> None:
    api.task(f"POST {QEMU}/102/status/{command}", kind, 102, log=["queued"])
    assert run(f"{command} 102") == 0
    assert capsys.readouterr() == (f"Requesting HA {kind.removeprefix('ha')} for VM 102\n", "")


def test_a_request_that_the_ha_manager_refuses_is_a_failure(api: FakeApi, capsys: Output) -> None:
    api.task(f"POST {QEMU}/102/status/start", "hastart", 102, ending="store cannot be written: disk full")
    assert run("start 102") == 255
    assert capsys.readouterr().err == "store cannot be written: disk full\n"


def test_a_task_is_waited_for_and_its_log_shown_once(api: FakeApi, capsys: Output) -> None:
    api.task(f"POST {QEMU}/103/status/shutdown", "qmshutdown", 103, log=["asked the guest", "it went down"])
    assert run("shutdown 103 --timeout 5 --forceStop 1") == 0
    assert capsys.readouterr() == ("asked the guest\nit went down\n", "")
    assert api.asked(f"POST {QEMU}/103/status/shutdown") == [{"timeout": "5", "forceStop": "1"}]


def test_a_failed_task_ends_with_its_error(api: FakeApi, capsys: Output) -> None:
    api.task(f"POST {QEMU}/103/status/start", "qmstart", 103, "start failed: disk is missing", ["trying"])
    assert run("start 103") == 255
    assert capsys.readouterr() == ("trying\n", "start failed: disk is missing\n")


def test_a_task_with_warnings_and_an_empty_log_is_a_silent_success(api: FakeApi, capsys: Output) -> None:
    api.task(f"POST {QEMU}/103/status/start", "qmstart", 103, "WARNINGS: 1")
    assert run("start 103") == 0
    assert capsys.readouterr() == ("", "")


def test_json_of_a_power_command_is_the_ended_task(api: FakeApi, capsys: Output) -> None:
    api.task(f"POST {QEMU}/103/status/reset", "qmreset", 103, log=["done"])
    assert run("reset 103 --json") == 0
    assert json.loads(capsys.readouterr().out)["exitstatus"] == "OK"


def test_a_vm_that_does_not_exist_is_named(api: FakeApi, capsys: Output) -> None:
    text = "Configuration file 'nodes/pve/qemu-server/999.conf' does not exist"
    api.fail(f"GET {QEMU}/999/status/current", 500, text)
    assert run("status 999") == 255
    assert capsys.readouterr() == ("", f"{text}\n")


def test_the_api_learns_the_command_in_short(api: FakeApi) -> None:
    api.task(f"POST {QEMU}/102/status/stop", "hastop", 102)
    run("stop 102")
    assert api.requests[0].headers["X-Haven-Via"] == "qm stop"
