"""`haven observe | protect | lock | unlock | maintenance | drill`, `qm unlock`: what they ask and print."""

import json
from typing import Any

import pytest

from haven.cli import main as haven
from haven.cli import qm
from tests.cli.answers import NOW as NOW_S
from tests.cli.fake_api import FakeApi

Output = pytest.CaptureFixture[str]

DRILLS, WATCH, HISTORY = "POST /haven/drills", "GET /haven/watch", "GET /haven/history"
WINDOWS = "/haven/maintenance"
DONE = {"sentence": "done so", "id": "", "changed": 1}


def run(*words: str) -> int:
    return haven.main(list(words))


@pytest.mark.parametrize(
    ("words", "line", "params"),
    [
        (["observe", "102"], "PUT /haven/observe/102", {}),
        (["observe", "102", "--off"], "DELETE /haven/observe/102", {}),
        (["protect", "vm:102"], "DELETE /haven/observe/vm:102", {}),
        (["lock", "102"], "PUT /haven/locks/102", {"seconds": "3600", "reason": "locked"}),
        (
            ["lock", "102", "--for", "2 h", "--reason", "b"],
            "PUT /haven/locks/102",
            {"seconds": "7200", "reason": "b"},
        ),
        (["unlock", "102"], "DELETE /haven/locks/102", {}),
        (
            ["maintenance", "vm:101", "web", "--for", "90min"],
            f"POST {WINDOWS}",
            {"sids": "vm:101,web", "seconds": "5400", "reason": "maintenance"},
        ),
        (["maintenance", "end"], f"DELETE {WINDOWS}", {}),
        (["maintenance", "end", "vm:101"], f"DELETE {WINDOWS}", {"id": "vm:101"}),
        (["maintenance", "extend", "m1", "--for", "1d"], f"PUT {WINDOWS}", {"id": "m1", "seconds": "86400"}),
        (
            ["drill", "--schedule", "vm:102", "monthly", "--window", "22-4"],
            "PUT /haven/drills",
            {"sids": "vm:102", "every": "monthly", "from": "22", "to": "4"},
        ),
        (
            ["drill", "--schedule", "off"],
            "PUT /haven/drills",
            {"sids": "", "every": "off", "from": "2", "to": "5"},
        ),
    ],
)
def test_each_command_asks_the_api_and_prints_its_sentence(
    api: FakeApi, capsys: Output, words: list[str], line: str, params: dict[str, str]
) -> None:
    api.answer(line, DONE)
    assert run(*words) == 0
    assert capsys.readouterr() == ("done so\n", "")
    assert (api.requests[-1].line, api.requests[-1].params) == (line, params)


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["lock", "102", "--for", "soon"], "'soon': expected a length like 90s, 10min, 2h or 3d"),
        (["lock", "102", "--for", "0s"], "'0s': expected a length"),
        (["lock", "102", "--for", ""], "'': expected a length"),
        (["lock", ""], "expected vm:102, 102 or the VM's name"),
        (["observe", "a/b"], "'a/b': expected vm:102, 102 or the VM's name, which has no slash"),
        (["maintenance", "list", "102"], "'102': list shows all there is"),
        (["set", "102", "--check", " "], "expected 'ping HOST', 'tcp HOST:PORT' or 'http URL'"),
        (["maintenance", "vm:101"], "say for how long: --for 2h"),
        (["maintenance", "end", "m1", "m2"], "expected one id or VM, got 2"),
        (["drill", "vm:101", "vm:102"], "one VM at a time"),
        (["drill", "vm:101"], "a drill cuts the VM's power, and nobody can be asked here: add --yes"),
        (["drill", "--schedule", "vm:101"], "'vm:101': expected one of daily, weekly"),
        (["drill", "--schedule", "daily", "--window", "night"], "'night': expected two hours"),
    ],
)
def test_what_cannot_be_meant_is_one_line(capsys: Output, words: list[str], complaint: str) -> None:
    assert run(*words) == 2
    out, err = capsys.readouterr()
    assert out == "" and complaint in err and err.count("\n") == 1


def test_windows_are_listed_with_their_end(api: FakeApi, capsys: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("haven.cli.hands.wall_now_s", lambda: NOW_S)
    window = {"id": "m1", "sids": ["vm:101", "vm:102"], "reason": "new NIC", "until": NOW_S + 1800.0}
    api.answer(f"GET {WINDOWS}", [window | {"who": "root", "via": "haven maintenance"}], [])
    assert run("maintenance", "list") == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith("m1  vm:101, vm:102  until ") and "(in 30 min)" in line
    assert line.endswith("by root with haven maintenance: new NIC")
    assert run("maintenance", "list") == 0
    assert capsys.readouterr().out == "no maintenance\n"


def entry(number: int, kind: str, sentence: str, **fields: object) -> dict[str, Any]:
    return {"id": number, "time": NOW_S, "sid": "vm:102", "kind": kind, "sentence": sentence, "fields": fields}


def drilled(api: FakeApi, **done: object) -> None:
    api.answer(HISTORY, [entry(7, "vm_note", "before")])
    api.answer(DRILLS, DONE | {"id": "u1"})
    story = [
        entry(8, "drill_begun", "drill by root"),
        entry(9, "exec", "is being started"),
        entry(10, "drill_done", "that of another", uid="u0", ok=True),
        entry(11, "drill_done", "so it went", uid="u1", **done),
    ]
    api.stream(WATCH, story)


def test_a_drill_is_shown_as_it_happens_with_the_figures_at_its_end(api: FakeApi, capsys: Output) -> None:
    drilled(api, ok=True, how="its agent answers", detect_s=0.21, restart_s=0.5, serving_s=2.25, outage_s=2.96)
    assert run("drill", "vm:102", "--yes") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.partition("  ")[2] for line in lines[:3]] == ["drill by root", "that of another", "so it went"]
    figures = dict(line.strip().rsplit("   ", 1) for line in lines[3:])
    assert {key.strip(): value.strip() for key, value in figures.items()} == {
        "noticed": "0.21 s",
        "runs": "0.50 s",
        "its agent answers": "2.25 s",
        "down in all": "2.96 s",
    }


def test_a_drill_that_failed_is_an_exit_status(api: FakeApi, capsys: Output) -> None:
    drilled(api, ok=False)
    assert run("drill", "vm:102", "--yes", "--json") == 1
    told = json.loads(capsys.readouterr().out)
    assert (told["sentence"], told["ok"], told["uid"]) == ("so it went", False, "u1")


def test_who_stops_watching_a_drill_is_told_that_it_goes_on(
    api: FakeApi, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_args: object, **_params: object) -> None:
        raise KeyboardInterrupt

    drilled(api, ok=True)
    monkeypatch.setattr("haven.api.client.ApiClient.stream", interrupted)
    assert run("drill", "vm:102", "--yes") == 130
    assert "the drill goes on, unless it has not begun within 60 s" in capsys.readouterr().err


def test_a_refused_drill_says_why(api: FakeApi, capsys: Output) -> None:
    api.answer(HISTORY, [])
    api.fail(DRILLS, 500, "no drill: vm:102 is locked by libvirt: backup")
    assert run("drill", "vm:102", "--yes") == 1
    assert capsys.readouterr().err == "no drill: vm:102 is locked by libvirt: backup\n"


@pytest.mark.parametrize(("answer", "status"), [("y", 0), ("", 1), ("no", 1)])
def test_a_drill_says_what_it_is_and_asks(
    api: FakeApi, capsys: Output, monkeypatch: pytest.MonkeyPatch, answer: str, status: int
) -> None:
    drilled(api, ok=True)
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    monkeypatch.setattr("builtins.input", lambda _prompt: answer)
    assert run("drill", "vm:102") == status
    assert "For its file systems that is a power cut" in capsys.readouterr().out
    assert (DRILLS in [request.line for request in api.requests]) is (status == 0)


def test_qm_unlock(api: FakeApi, capsys: Output) -> None:
    api.answer("DELETE /haven/locks/vm:102", DONE)
    assert qm.main(["unlock", "102"]) == 0
    assert capsys.readouterr().out == ""
