"""Bad input and bad surroundings: each with what is said on stderr, the exit status, and nothing changed."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from haven.cli import ha_manager, pvecm, qm
from tests.cli.fake_api import FakeApi, talk_to

PROGRAMS: dict[str, Callable[[list[str]], int]] = {
    "ha-manager": ha_manager.main,
    "qm": qm.main,
    "pvecm": pvecm.main,
}
FAILED = "400 Parameter verification failed."
ADD, SET, STOP = (
    "ha-manager add <sid> [OPTIONS]",
    "ha-manager set <sid> [OPTIONS]",
    "ha-manager crm-command stop <sid> <timeout> [OPTIONS]",
)
START, SET_MEMORY = "qm start <vmid> [OPTIONS]", "qm set <vmid> [OPTIONS]"
ADD_RULE = "ha-manager rules add <type> <rule> [OPTIONS]"
CRM_COMMANDS = "arm-ha, disarm-ha, migrate, node-maintenance, relocate, stop"
STATES = "started, stopped, enabled, disabled, ignored"
Output = pytest.CaptureFixture[str]

TABLE: list[tuple[list[str], list[str]]] = [
    (["ha-manager", "protect"], ["ERROR: unknown command 'ha-manager protect', see 'ha-manager help'"]),
    (["ha-manager", "add"], ["400 not enough arguments", ADD]),
    (["ha-manager", "add", "vm:1", "vm:2"], ["400 too many arguments", ADD]),
    (["ha-manager", "crm-command", "stop", "vm:102"], ["400 not enough arguments", STOP]),
    (
        ["ha-manager", "crm-command", "stop", "vm:102", "-1"],
        [FAILED, "timeout: value must have a minimum value of 0", STOP],
    ),
    (
        ["ha-manager", "set", "vm:102", "--state", "running"],
        [FAILED, f"state: value 'running' does not have a value in the enumeration '{STATES}'", SET],
    ),
    (
        ["ha-manager", "add", "vm:102", "--max_restart", "-1"],
        [FAILED, "max_restart: value must have a minimum value of 0", ADD],
    ),
    (
        ["ha-manager", "add", "vm:102", "--maxrestart", "1"],
        ["Unknown option: maxrestart", "400 unable to parse option", ADD],
    ),
    (
        ["ha-manager", "add", "vm:102\nvm:103"],
        [
            FAILED,
            "sid: invalid format - line breaks and control characters are not allowed: 'vm:102 vm:103'",
            ADD,
        ],
    ),
    (["ha-manager", "add", "v" * 1_000_000], [FAILED, "sid: value may only be 255 characters long", ADD]),
    (
        ["ha-manager", "remove", ""],
        [FAILED, "sid: invalid format - value is empty", "ha-manager remove <sid> [OPTIONS]"],
    ),
    (
        ["ha-manager", "crm-command", "node-maintenance", "enable"],
        ["400 not enough arguments", "ha-manager crm-command node-maintenance enable <node> [OPTIONS]"],
    ),
    (
        ["ha-manager", "crm-command"],
        [f"ERROR: no command specified after 'ha-manager crm-command': one of {CRM_COMMANDS}"],
    ),
    (
        ["ha-manager", "crm-command", "node-maintenance", "pve2"],
        [
            "ERROR: unknown command 'ha-manager crm-command node-maintenance pve2', see 'ha-manager help'",
        ],
    ),
    (
        ["ha-manager", "crm-command", "disarm-ha", "off"],
        [
            FAILED,
            "resource-mode: value 'off' does not have a value in the enumeration 'freeze, ignore'",
            "ha-manager crm-command disarm-ha <resource-mode> [OPTIONS]",
        ],
    ),
    (
        ["ha-manager", "rules"],
        [
            "ERROR: no command specified after 'ha-manager rules': one of add, config, list, remove, set",
        ],
    ),
    (["ha-manager", "rules", "add", "node-affinity"], ["400 not enough arguments", ADD_RULE]),
    (
        ["ha-manager", "rules", "add", "affinity", "home", "--strict=very"],
        [
            FAILED,
            "strict: type check ('boolean') failed - got 'very'",
            "type: value 'affinity' does not have a value in the enumeration 'node-affinity, resource-affinity'",
            ADD_RULE,
        ],
    ),
    (
        ["ha-manager", "rules", "set", "resource-affinity", "pair", "--affinity", "together"],
        [
            FAILED,
            "affinity: value 'together' does not have a value in the enumeration 'positive, negative'",
            "ha-manager rules set <type> <rule> [OPTIONS]",
        ],
    ),
    (["qm", "begin", "102"], ["ERROR: unknown command 'qm begin', see 'qm help'"]),
    (["qm", "start"], ["400 not enough arguments", START]),
    (["qm", "start", "102", "103"], ["400 too many arguments", START]),
    (["qm", "start", "web"], [FAILED, "vmid: type check ('integer') failed - got 'web'", START]),
    (["qm", "start", "99"], [FAILED, "vmid: value must have a minimum value of 100", START]),
    (["qm", "start", "9" * 10], [FAILED, "vmid: value must have a maximum value of 999999999", START]),
    (["qm", "start", "9" * 1_000_000], [FAILED, "vmid: value may only be 4096 characters long", START]),
    (
        ["qm", "stop", "102", "--timeout", "-5"],
        [FAILED, "timeout: value must have a minimum value of 0", "qm stop <vmid> [OPTIONS]"],
    ),
    (["qm", "set", "102"], ["no options specified"]),
    (["qm", "set", "102", "--memory", "8"], [FAILED, "memory: value must have a minimum value of 16", SET_MEMORY]),
    (
        ["qm", "set", "102", "--memory", "-512"],
        [FAILED, "memory: value must have a minimum value of 16", SET_MEMORY],
    ),
    (["pvecm", "expected", "1"], ["ERROR: unknown command 'pvecm expected', see 'pvecm help'"]),
    (["pvecm", "status", "now"], ["400 too many arguments", "pvecm status [OPTIONS]"]),
]


@pytest.mark.parametrize(("argv", "said"), TABLE, ids=[" ".join(argv)[:40] for argv, _ in TABLE])
def test_what_proxmox_refuses_is_refused_alike(
    api: FakeApi, capsys: Output, argv: list[str], said: list[str]
) -> None:
    status = PROGRAMS[argv[0]](argv[1:])
    output = capsys.readouterr()
    assert (status, output.out, output.err.splitlines()) == (255, "", said)
    assert api.requests == []


@pytest.mark.parametrize("program", list(PROGRAMS))
def test_no_command_at_all_shows_how_to_call_it(api: FakeApi, capsys: Output, program: str) -> None:
    assert PROGRAMS[program]([]) == 255
    output = capsys.readouterr()
    assert output.err.startswith(f"ERROR: no command specified\nUSAGE: {program} <COMMAND>")
    assert output.out == ""


READS = [["ha-manager", "status"], ["qm", "list"], ["pvecm", "status"]]


@pytest.mark.parametrize("argv", READS, ids=" ".join)
def test_an_api_that_is_not_there_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Output, argv: list[str]
) -> None:
    path = tmp_path / "nobody.sock"
    talk_to(path, monkeypatch)
    assert PROGRAMS[argv[0]](argv[1:]) == 255
    output = capsys.readouterr()
    assert output.out == ""
    assert len(output.err.splitlines()) == 1
    assert str(path) in output.err
    assert "haven" in output.err


@contextmanager
def without_permission(path: Path) -> Iterator[None]:
    """The socket is refused: its mode forbids it, and root becomes somebody else meanwhile."""
    path.chmod(0)
    for folder in path.parents[:3]:
        folder.chmod(0o755)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


@pytest.mark.parametrize("argv", READS, ids=" ".join)
def test_a_socket_that_may_not_be_used_is_one_line(api: FakeApi, capsys: Output, argv: list[str]) -> None:
    with without_permission(api.path):
        assert PROGRAMS[argv[0]](argv[1:]) == 255
    output = capsys.readouterr()
    assert output.out == ""
    assert len(output.err.splitlines()) == 1
    assert "permission" in output.err.casefold()
    assert "root" in output.err
    assert api.requests == []


def test_an_answer_full_of_line_breaks_stays_one_line(api: FakeApi, capsys: Output) -> None:
    api.fail("GET /cluster/ha/status/current", 500, "first\nsecond \x1b[31mred" + "x" * 5000)
    assert ha_manager.main(["status"]) == 255
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("first second ?[31mred")
    assert len(line) == 400


def test_a_name_with_terminal_codes_is_shown_harmless(api: FakeApi, capsys: Output) -> None:
    api.answer(
        "GET /cluster/ha/status/current", [{"type": "service", "status": "vm:1\x1b]0;x\x07 (pve, started)"}]
    )
    assert ha_manager.main(["status"]) == 0
    assert "\x1b" not in capsys.readouterr().out
