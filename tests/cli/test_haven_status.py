"""`haven status`, 80 columns wide: what a tired person sees at three in the morning."""

import json
import re
from typing import Any

import pytest

from haven.cli.main import main
from tests.cli import answers
from tests.cli.fake_api import FakeApi

Output = pytest.CaptureFixture[str]
HEAD = "VM      Name      Should  Is       Since                     Restarts 24 h"
WORKING = "haven 0.1.0 on pve, 19:30:00 | lrm, crm, api ok | libvirt ok | store ok"


@pytest.fixture
def show(api: FakeApi, capsys: Output, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Shows a status on 80 columns; returns its exit status and lines."""
    monkeypatch.setenv("COLUMNS", "80")

    def shown(status: dict[str, Any]) -> tuple[int, list[str]]:
        api.answer("GET /haven/status", status)
        code = main(["status"])
        output = capsys.readouterr()
        assert output.err == ""
        assert max(len(line) for line in output.out.splitlines()) <= 80
        return code, output.out.splitlines()

    return shown


def test_all_well(show: Any) -> None:
    assert show(answers.status(answers.ROUTER, answers.MAAS)) == (
        0,
        [
            "All 2 protected VMs run.",
            "",
            HEAD,
            "vm:101  opnsense  run     running  19 Nov 19:30, 3 days ago  0",
            "vm:102  maas      run     running  19:27:00, 3 min ago       2",
            "",
            WORKING,
        ],
    )


def test_one_down_and_held_comes_first_with_why_until_when_and_what_to_do(show: Any) -> None:
    code, lines = show(answers.status(answers.ROUTER, answers.HELD))
    assert code == 1
    assert lines[0] == "vm:102 is down: disk /srv/images/maas.qcow2 is missing."
    assert lines[3:10] == [
        "vm:102  maas      run     held     19:25:00, 5 min ago       4",
        "    held: disk /srv/images/maas.qcow2 is missing",
        "    tried again in 7 min (19:37:00), at once when the disk is back, or somebody",
        "    runs: qm start 102",
        "    -> bring the disk back (haven sees it within seconds), or mend the",
        "    definition and run: qm start 102",
        "vm:101  opnsense  run     running  19 Nov 19:30, 3 days ago  0",
    ]


def test_what_is_said_beside_a_vm_is_not_said_again_below(show: Any) -> None:
    beside = {"level": "err", "text": f"vm:102 (maas) {answers.HELD['trouble']}", "advice": answers.HELD["advice"]}
    below = {"level": "err", "text": "no space left in /var/lib/haven", "advice": "free some space"}
    _, lines = show(answers.status(answers.HELD, problems=[beside, below]))
    assert sum("is missing" in line for line in lines[1:]) == 1
    assert "Error: no space left in /var/lib/haven" in lines


def test_one_off_on_purpose_is_calm_and_says_how_to_start_it(show: Any) -> None:
    code, lines = show(answers.status(answers.OFF, answers.ROUTER))
    assert code == 0
    assert lines[0] == "The one VM that should run does; 1 is off on purpose."
    assert lines[4:7] == [
        "vm:103  db        off     off      19 Nov 19:30, 3 days ago  0",
        "    off: stopped by root with qm stop, 3 days ago",
        "    -> to start it: qm start 103",
    ]


def test_daemons_down_are_said_in_the_first_line_with_what_it_means(show: Any) -> None:
    gone = {"name": "lrm", "state": "active", "fresh_s": 95.0, "ok": False}
    problem = {"level": "err", "text": "haven lrm was not heard of for 95 s", "advice": "start it: haven up"}
    code, lines = show(answers.status(answers.ROUTER, daemons=[gone, answers.CRM], problems=[problem]))
    assert code == 1
    assert " ".join(lines[:2]) == (
        "The one protected VM runs, but haven lrm does not work (last heard of 1 min 35 s ago): "
        "a VM that dies now is not restarted."
    )
    assert lines[-4:] == [
        "Error: haven lrm was not heard of for 95 s",
        "  -> start it: haven up",
        "",
        "haven 0.1.0 on pve, 19:30:00 | crm ok | lrm DOWN | libvirt ok | store ok",
    ]


def test_no_vms_at_all(show: Any) -> None:
    assert show(answers.status()) == (0, ["There is no VM on this host yet.", "", WORKING])


def test_the_hypervisor_out_of_reach(show: Any) -> None:
    text = "libvirtd does not answer at /run/libvirt/libvirt-sock"
    blind = answers.vm(101, "opnsense", power="unknown", runs=0, since=None)
    code, lines = show(answers.status(blind, hypervisor={"ok": False, "text": text}))
    assert code == 1
    assert " ".join(lines[:2]) == f"It is not known what runs: {text}."
    assert "vm:101  opnsense  run     unknown         0" in lines
    assert "libvirt GONE" in lines[-1]


def test_a_vm_that_is_being_stopped_is_not_counted_as_off(show: Any) -> None:
    code, lines = show(answers.status(answers.ROUTER, answers.vm(102, "maas", wanted="stopped")))
    assert (code, lines[0]) == (0, "The one VM that should run does.")


def test_nothing_is_called_off_while_nobody_knows(show: Any) -> None:
    gone = {"ok": 0, "text": "no libvirt daemon answers: start it"}
    _, lines = show(answers.status(answers.OFF | {"power": "unknown", "off_reason": None}, hypervisor=gone))
    assert not any("off on purpose" in line for line in lines)


def test_several_down_are_counted_and_named(show: Any) -> None:
    down = [answers.vm(vmid, "x", power="off", runs=0) for vmid in (101, 102)]
    code, lines = show(answers.status(*down, answers.vm(103, "db")))
    assert (code, lines[0]) == (1, "2 of 3 VMs that should run are down: vm:101, vm:102.")


def test_a_vm_that_is_about_to_start_says_when(show: Any) -> None:
    pending = {"what": "restart after a crash", "at": answers.NOW + 2}
    trouble = "down; restart after a crash in 2 s"
    code, lines = show(answers.status(answers.vm(101, "x", power="off", runs=0, pending=pending, trouble=trouble)))
    assert (code, lines[0]) == (1, "vm:101 is down: restart after a crash in 2 s.")
    assert sum("restart after a crash" in line for line in lines[1:]) == 1


def test_unprotected_vms_are_a_short_list_with_how_to_protect_them(show: Any) -> None:
    code, lines = show(answers.status(answers.STRAY))
    assert code == 0
    assert lines[:4] == [
        "No VM is protected.",
        "",
        "Not protected, left alone: 104 test (running)",
        "-> protect one: ha-manager add 104",
    ]


def test_an_ignored_vm_is_protected_again_by_another_command(show: Any) -> None:
    _, lines = show(answers.status(answers.vm(104, "test", protected=0, wanted="ignored")))
    assert lines[2:4] == [
        "Not protected, left alone: 104 test (running, ignored)",
        "-> protect one: ha-manager set vm:104 --state started",
    ]


def test_a_store_that_cannot_be_read_does_not_pass_for_an_empty_host(show: Any) -> None:
    store = {"ok": 0, "text": "the store is locked; running VMs stay protected"}
    code, lines = show(answers.status(store=store, daemons=[]))
    assert code == 1
    assert " ".join(lines[:2]).startswith(
        "It is not known what should run, but haven's store is in trouble: the store"
    )


def test_a_store_in_trouble_is_no_quiet_night(show: Any) -> None:
    code, lines = show(answers.status(answers.ROUTER, store={"ok": False, "text": "disk full"}))
    assert (code, lines[0]) == (1, "The one protected VM runs, but haven's store is in trouble: disk full.")


def test_a_warning_is_shown_and_is_no_failure(show: Any) -> None:
    problem = {"level": "warn", "text": "vm:101 has no disk", "advice": None}
    code, lines = show(answers.status(answers.ROUTER, problems=[problem]))
    assert (code, lines[-3]) == (0, "Warning: vm:101 has no disk")


def test_an_error_beside_running_vms_is_a_failure(show: Any) -> None:
    problem = {"level": "err", "text": "a file is corrupt", "advice": "restore it"}
    code, _ = show(answers.status(answers.ROUTER, problems=[problem]))
    assert code == 1


def test_long_and_hostile_names_neither_break_the_table_nor_the_terminal(show: Any) -> None:
    code, lines = show(answers.status(answers.vm(101, "the-router-of-the-house\x1b[31m\nfake line"), answers.MAAS))
    assert code == 0
    row = next(line for line in lines if line.startswith("vm:101"))
    assert re.fullmatch(r"vm:101  the-router-.*\.\.  run     running  19 Nov 19:30, 3 days ago  0", row)
    assert "\x1b" not in "".join(lines)


def test_forty_vms_list_those_in_trouble_first_and_off_ones_last(show: Any) -> None:
    fine = [answers.vm(vmid, f"web{vmid}") for vmid in range(200, 240)]
    _, lines = show(answers.status(answers.OFF, *fine, answers.HELD))
    rows = [line[:6] for line in lines if line.startswith("vm:") and "is down" not in line]
    assert rows[0] == "vm:102"
    assert rows[1:-1] == [f"vm:{vmid}" for vmid in range(200, 240)]
    assert rows[-1] == "vm:103"


def colours(text: str) -> set[str]:
    return set(re.findall(r"\x1b\[[0-9;]*m", text))


@pytest.mark.parametrize(("no_color", "red"), [(None, True), ("1", False)])
def test_red_is_for_trouble_and_no_color_is_respected(
    api: FakeApi, capsys: Output, monkeypatch: pytest.MonkeyPatch, no_color: str | None, red: bool
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    if no_color:
        monkeypatch.setenv("NO_COLOR", no_color)
    api.answer("GET /haven/status", answers.status(answers.HELD))
    main(["status"])
    assert any("31" in code for code in colours(capsys.readouterr().out)) is red


def test_what_is_off_on_purpose_is_never_red(
    api: FakeApi, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    api.answer("GET /haven/status", answers.status(answers.ROUTER, answers.OFF))
    main(["status"])
    used = colours(capsys.readouterr().out)
    assert used
    assert not any("31" in code or "33" in code for code in used)


def test_a_pipe_gets_no_colour(api: FakeApi, capsys: Output) -> None:
    api.answer("GET /haven/status", answers.status(answers.HELD))
    main(["status"])
    assert "\x1b" not in capsys.readouterr().out


@pytest.mark.parametrize(("vms", "code"), [((answers.ROUTER,), 0), ((answers.HELD,), 1)])
def test_json_is_the_answer_unchanged_with_the_same_exit_status(
    api: FakeApi, capsys: Output, vms: tuple[dict[str, Any], ...], code: int
) -> None:
    answer = answers.status(*vms)
    api.answer("GET /haven/status", answer)
    assert main(["status", "--json"]) == code
    assert json.loads(capsys.readouterr().out) == answer
