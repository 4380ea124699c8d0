"""`haven set`, `haven options`, `haven checks import`, and the guide's monitors."""

from pathlib import Path
from typing import Any

import pytest

from haven.api.haven_care import ROUTES
from haven.cli import main as haven
from haven.cli.care_commands import set_options
from haven.cli.monitors import read_monitors
from haven.core.care import OPTIONS
from haven.core.health import parse_check
from haven.core.words import CheckKind
from tests.cli.fake_api import FakeApi

Output = pytest.CaptureFixture[str]
PUT, GET = "PUT /haven/vms/vm:102/options", "GET /haven/vms/vm:102/options"

GUIDE = """
# OPNsense Gateway monitoring
Monitor: OPNsense Gateway
Type: Ping
Hostname: 192.168.4.1

# OPNsense Web Interface
Monitor: OPNsense WebUI
Type: HTTP
URL: https://192.168.4.1

# MAAS VM availability (ping)
Monitor: MAAS VM
Type: Ping
Hostname: 192.168.4.53

# MAAS Service availability (HTTP)
Monitor: MAAS Service
Type: HTTP
URL: http://192.168.4.53:5240/MAAS/

# HA status monitoring (custom script)
Monitor: Critical VMs HA Status
Type: Push
# Script: curl uptime-kuma-push-url with ha-manager status for VMs 101,102
"""


def answer() -> dict[str, Any]:
    known = [
        {"name": option.name, "form": option.form, "meaning": option.meaning, "default": option.default}
        for option in OPTIONS
    ]
    options = {"priority": "10", "check": "ping 10.0.0.1\ntcp 10.0.0.1:22"}
    return {"sid": "vm:102", "observe": 0, "digest": "d", "options": options, "known": known}


def test_every_option_of_the_api_is_one_of_the_command() -> None:
    of_the_command = set(set_options.__annotations__) - {"sid", "return"}
    assert of_the_command == set(ROUTES[1].schema) - {"sid"}


def test_set_sends_what_was_given(api: FakeApi) -> None:
    api.answer(PUT, None)
    words = ["--hang-after", "60", "--check", "ping 10.0.0.1", "--check", "tcp 10.0.0.1:22", "--delete", "drill"]
    assert haven.main(["set", "vm:102", *words]) == 0
    checks = "ping 10.0.0.1\ntcp 10.0.0.1:22"
    assert api.asked(PUT) == [{"hang_after": "60", "check": checks, "delete": "drill"}]


def test_set_without_an_option_says_so(api: FakeApi, capsys: Output) -> None:
    assert haven.main(["set", "vm:102"]) == 1
    assert capsys.readouterr().err == (
        "haven: nothing to set: name an option, as --hang-after 60 (see haven set --help)\n"
    )


def test_a_refusal_is_one_line(api: FakeApi, capsys: Output) -> None:
    api.fail(PUT, 400, "Parameter verification failed.", {"priority": "value 'x': expected a whole number"})
    assert haven.main(["set", "vm:102", "--priority", "x"]) == 1
    assert capsys.readouterr().err == "priority: value 'x': expected a whole number\n"


def test_options_shows_what_is_set_first_and_the_rest_with_its_default(api: FakeApi, capsys: Output) -> None:
    api.answer(GET, answer())
    assert haven.main(["options", "vm:102"]) == 0
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert lines[0].startswith("check ping 10.0.0.1 a look from outside")
    assert lines[1].startswith("check tcp 10.0.0.1:22")
    assert lines[2].startswith("priority 10 ")
    assert lines[3].startswith("hang_after off silent so long")
    assert lines[-1].startswith("-> set one: haven set vm:102 --hang-after 60")


def test_the_guides_monitors_become_checks_as_they_are(api: FakeApi, capsys: Output, tmp_path: Path) -> None:
    api.answer("PUT /haven/vms/vm:101/options", None)
    text = tmp_path / "monitors.txt"
    text.write_text(GUIDE)
    assert haven.main(["checks", "import", "vm:101", str(text)]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines() == [
        "added: ping 192.168.4.1 'name=OPNsense Gateway'",
        "added: http https://192.168.4.1 'name=OPNsense WebUI'",
        "added: ping 192.168.4.53 'name=MAAS VM'",
        "added: http http://192.168.4.53:5240/MAAS/ 'name=MAAS Service'",
    ]
    assert err.startswith("Critical VMs HA Status: not added: a push monitor waits to be called; give its URL")
    [sent] = api.asked("PUT /haven/vms/vm:101/options")
    checks = [parse_check(line) for line in sent["check"].splitlines()]
    assert [(check.kind, check.name) for check in checks] == [
        (CheckKind.PING, "OPNsense Gateway"),
        (CheckKind.HTTP, "OPNsense WebUI"),
        (CheckKind.PING, "MAAS VM"),
        (CheckKind.HTTP, "MAAS Service"),
    ]


@pytest.mark.parametrize(
    ("block", "check", "note"),
    [
        ("Type: TCP\nHostname: a\nPort: 22", "tcp a:22 name=m", ""),
        ("Type: Keyword\nURL: http://a\nKeyword: up now", "http http://a name=m 'text=up now'", ""),
        ("Type: DNS\nHostname: a", "", "m: not added: type 'dns' is none of ping, TCP, HTTP"),
        ("Hostname: a", "", "m: not added: it has no Type: line"),
        ("Type: Ping", "", "m: not added: it has no Hostname: line"),
        ("Type: HTTP", "", "m: not added: it has no URL: line"),
    ],
)
def test_other_monitors(block: str, check: str, note: str) -> None:
    found = read_monitors(f"Type: lost\nMonitor: m\n{block}\n")
    assert found.checks == tuple(filter(None, [check]))
    assert found.notes == tuple(filter(None, [note]))


def test_a_file_without_monitors_or_that_is_not_there_is_one_line(api: FakeApi, capsys: Output) -> None:
    assert haven.main(["checks", "import", "vm:102", "/nowhere"]) == 1
    assert capsys.readouterr().err == "haven: /nowhere cannot be read: No such file or directory\n"
    assert haven.main(["checks", "import", "vm:102", "/dev/null"]) == 1
    assert capsys.readouterr().err == "haven: no ping, TCP or HTTP monitor in /dev/null\n"
