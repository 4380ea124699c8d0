"""`haven history | incidents | explain | watch`: the story, its outages, one VM explained, and live."""

import json
import os
import signal
import subprocess
import sys
from importlib.metadata import version
from typing import Any

import pytest
from typer.main import get_command

from haven.cli import main as haven
from haven.cli import watch
from haven.cli.help_page import SECTIONS
from tests.cli import answers
from tests.cli.fake_api import FakeApi
from tests.cli.test_bad_input import without_permission

Output = pytest.CaptureFixture[str]
HISTORY, INCIDENTS, WATCH = "GET /haven/history", "GET /haven/incidents", "GET /haven/watch"

COURSE = "noticed after 0.21 s, down for 0.41 s, runs again since 19:27:00, 3 min ago, 1 restart"


@pytest.fixture(autouse=True)
def _sunday_evening(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(haven, "wall_now_s", lambda: answers.NOW)


def run(*words: str) -> int:
    return haven.main(list(words))


def lines(output: Output) -> list[str]:
    return [line.rstrip() for line in output.readouterr().out.splitlines()]


def test_history_tells_what_happened_oldest_first(api: FakeApi, capsys: Output) -> None:
    api.answer(HISTORY, [answers.RESTART, answers.ENTRY])
    assert run("history", "vm:102", "--limit", "7") == 0
    assert lines(capsys) == [
        "Time      VM      What happened",
        "19:27:00  vm:102  maas is down: its QEMU process died",
        "19:27:01  vm:102  maas runs again after 0.41 s (SAFETY-4)",
    ]
    assert api.asked(HISTORY) == [{"sid": "vm:102", "limit": "7"}]


def test_history_since_leaves_out_what_is_older(api: FakeApi, capsys: Output) -> None:
    old = answers.ENTRY | {"id": 1, "time": answers.NOW - answers.DAY}
    api.answer(HISTORY, [old, answers.RESTART])
    assert run("history", "--since", "2h", "--json") == 0
    assert json.loads(capsys.readouterr().out) == [answers.RESTART]


def test_an_empty_history_says_so(api: FakeApi, capsys: Output) -> None:
    api.answer(HISTORY, [])
    assert run("history") == 0
    assert capsys.readouterr() == ("", "nothing is on record\n")
    run("history", "vm:102", "--since", "2h")
    assert capsys.readouterr().err == "nothing is on record for vm:102 since 2h\n"


def test_incidents_show_when_how_long_why_and_the_evidence(api: FakeApi, capsys: Output) -> None:
    api.answer(INCIDENTS, [answers.INCIDENT])
    assert run("incidents") == 0
    assert lines(capsys) == [
        "Opened     VM      What happened",
        "19:27:00   vm:102  crash: its QEMU process died; back after 0.41 s",
        f"3 min ago  maas    {COURSE}",
        "                   - libvirt's events: stopped/failed",
        "                   - state: off (crashed)",
    ]


def test_an_open_incident_says_that_it_is_still_down(api: FakeApi, capsys: Output) -> None:
    still = answers.INCIDENT | {"state": "open", "recovered": None, "outage_s": None, "restarts": 0}
    api.answer(INCIDENTS, [still])
    assert run("incidents", "vm:102") == 0
    assert "still down (3 min), 0 restarts" in "\n".join(lines(capsys))
    assert api.asked(INCIDENTS) == [{"sid": "vm:102"}]


def test_an_incident_that_was_closed_otherwise_is_not_called_down(api: FakeApi, capsys: Output) -> None:
    api.answer(
        INCIDENTS, [answers.INCIDENT | {"state": "closed", "recovered": None, "outage_s": None, "restarts": 0}]
    )
    assert run("incidents") == 0
    assert "down" not in capsys.readouterr().out


def test_explain_answers_like_a_colleague(api: FakeApi, capsys: Output) -> None:
    api.answer("GET /haven/explain/vm:102", answers.EXPLANATION)
    assert run("explain", "vm:102") == 0
    assert lines(capsys) == [
        "vm:102 maas",
        "",
        "Wanted    started by root with ha-manager add. Set 19 Nov 19:30, 3 days ago.",
        "Seen      it runs (since 19:27:00, 3 min ago; checked 2 s ago).",
        "Decided   runs on pve (R-4.13; 19:27:01, 2 min ago).",
        "Next      nothing, it runs as it should.",
        "",
        "What would change it:",
        "  - a crash: it is restarted at once",
        "  - qm stop 102: it stays off until somebody starts it",
        "",
        "Last outage, 3 min ago:",
        "  crash: its QEMU process died; back after 0.41 s",
        f"  {COURSE}",
        "  - libvirt's events: stopped/failed",
        "  - state: off (crashed)",
        "",
        "Lately:",
        "  19:27:00  maas is down: its QEMU process died",
        "  19:27:01  maas runs again after 0.41 s (SAFETY-4)",
    ]


def test_explain_fits_80_columns_with_hanging_lines(
    api: FakeApi, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    long = answers.ENTRY | {
        "sentence": "a sentence that goes on and on, so that it does not fit on one line at all"
    }
    api.answer("GET /haven/explain/vm:102", answers.EXPLANATION | {"recent": [long]})
    run("explain", "vm:102")
    shown = lines(capsys)
    assert max(map(len, shown)) <= 80
    assert shown[-2:] == [
        "  19:27:00  a sentence that goes on and on, so that it does not fit on one line",
        "            at all",
    ]


def test_explain_names_a_hold_until_when_and_what_ends_it(api: FakeApi, capsys: Output) -> None:
    answer = answers.EXPLANATION | {"hold": answers.HELD["hold"], "incident": None, "recent": []}
    api.answer("GET /haven/explain/102", answer)
    assert run("explain", "102") == 0
    held = next(line for line in lines(capsys) if line.startswith("Held"))
    assert held == (
        "Held      disk /srv/images/maas.qcow2 is missing "
        "(until 19:37:00, in 7 min; at once when the disk is back, or somebody runs: qm start 102)."
    )


def test_explain_lists_the_rules_about_a_vm(api: FakeApi, capsys: Output) -> None:
    rules = [
        {
            "rule": "home",
            "in_force": 1,
            "sentence": "runs only on pve1, and waits when it cannot (rule home, strict)",
        },
        {"rule": "apart", "in_force": 0, "sentence": "rule apart is not used: too few nodes"},
    ]
    api.answer("GET /haven/explain/102", answers.EXPLANATION | {"rules": rules})
    assert run("explain", "102") == 0
    shown = lines(capsys)
    at = shown.index("Rules about it:")
    assert shown[at - 1 : at + 5] == [
        "",
        "Rules about it:",
        "  - runs only on pve1, and waits when it cannot (rule home, strict)",
        "  - rule apart is not used: too few nodes",
        "",
        "What would change it:",
    ]


@pytest.mark.parametrize(
    ("words", "line", "answer"),
    [
        (["history"], HISTORY, [answers.ENTRY]),
        (["incidents"], INCIDENTS, [answers.INCIDENT]),
        (["explain", "vm:102"], "GET /haven/explain/vm:102", answers.EXPLANATION),
        (["cluster-options"], "GET /cluster/options", {"allowed-tags": [], "crs": {"ha": "static"}}),
    ],
)
def test_json_is_the_answer_unchanged(
    api: FakeApi, capsys: Output, words: list[str], line: str, answer: Any
) -> None:
    api.answer(line, answer)
    assert run(*words, "--json") == 0
    assert json.loads(capsys.readouterr().out) == answer


def test_options_are_shown_as_in_datacenter_cfg(api: FakeApi, capsys: Output) -> None:
    crs = {"ha": "static", "ha-rebalance-on-start": 1}
    set_ones = {"allowed-tags": [], "ha": {"shutdown_policy": "migrate"}, "crs": crs, "max_workers": 8}
    api.answer("GET /cluster/options", set_ones, {"allowed-tags": []})
    assert run("cluster-options") == 0
    assert lines(capsys) == [
        "ha: shutdown_policy=migrate",
        "crs: ha=static,ha-rebalance-on-start=1",
        "max_workers: 8",
    ]
    assert run("cluster-options") == 0
    assert lines(capsys) == ["nothing is set: every option has its default"]


def test_options_are_changed_by_whole_lines_and_in_silence(api: FakeApi, capsys: Output) -> None:
    api.answer("PUT /cluster/options", None)
    assert run("cluster-options", "--crs", "ha=dynamic", "--max_workers", "8", "--delete", "ha") == 0
    assert capsys.readouterr() == ("", "")
    assert api.asked("PUT /cluster/options") == [{"crs": "ha=dynamic", "max_workers": "8", "delete": "ha"}]


def test_an_option_that_is_none_is_the_apis_word(api: FakeApi, capsys: Output) -> None:
    api.fail("PUT /cluster/options", 400, "Parameter verification failed.", {"crs": "invalid format - no"})
    assert run("cluster-options", "--crs", "x") == 1
    assert capsys.readouterr() == ("", "crs: invalid format - no\n")


def test_watch_survives_the_api_and_shows_each_event_once(
    api: FakeApi, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "RETRY_S", 0.0)
    api.answer("GET /version", {"version": "9.2.11"})
    api.answer(HISTORY, [answers.ENTRY | {"id": 40}])
    third = answers.RESTART | {"id": 43, "sentence": "enough"}
    api.stream(WATCH, [answers.ENTRY], [answers.ENTRY, answers.RESTART, third])
    seen = haven._print_event

    def until_the_third(entry: dict[str, Any], as_json: bool) -> None:
        seen(entry, as_json)
        if entry["id"] == 43:
            raise KeyboardInterrupt

    monkeypatch.setattr(haven, "_print_event", until_the_third)
    assert run("watch", "vm:102") == 0
    output = capsys.readouterr()
    assert output.out.splitlines() == [
        "19:27:00  vm:102    vm down         maas is down: its QEMU process died",
        "19:27:01  vm:102    vm up           maas runs again after 0.41 s (SAFETY-4)",
        "19:27:01  vm:102    vm up           enough (SAFETY-4)",
    ]
    assert output.err.splitlines() == ["haven's API ended; waiting for it to come back", "haven's API is back"]
    assert [asked["after"] for asked in api.asked(WATCH)] == ["40", "41"]


def test_watch_as_json_is_one_object_a_line_and_ends_on_ctrl_c(api: FakeApi) -> None:
    api.answer(HISTORY, [])
    api.stream(WATCH, [answers.ENTRY])
    code = "import sys; from haven.cli.main import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "watch", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        assert process.stderr
        assert json.loads(process.stdout.readline()) == answers.ENTRY
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 0
        assert process.stderr.read() == ""


def test_version_is_known_without_the_api(capsys: Output) -> None:
    assert run("version") == 0
    name, number = capsys.readouterr().out.split()
    assert (name, number) == ("haven", version("haven"))
    assert run("--version") == 0
    assert capsys.readouterr().out == f"haven {number}\n"
    assert run("version", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"version": number}


@pytest.mark.parametrize("words", [[], ["--help"]])
def test_help_lists_every_command_with_a_sentence(capsys: Output, words: list[str]) -> None:
    assert run(*words) == 0
    listed = dict(
        line.split(None, 1) for line in lines(capsys) if line.startswith("  ") and line.endswith((".", "?"))
    )
    commands = [name for names in SECTIONS.values() for name in names]
    assert set(commands) == set(get_command(haven.app).commands)  # type: ignore[attr-defined]
    assert len(commands) == len(set(commands))
    assert not [name for name in commands if listed[name].endswith("...")], "a sentence is cut short"


def test_the_exit_status_is_documented(capsys: Output) -> None:
    assert run("status", "--help") == 0
    assert "Exit status: 0 when nothing is wrong; 1 when" in capsys.readouterr().out


LONG = "x" * 1_000_000
BAD = [
    (["statsu"], "haven: No such command 'statsu'. Did you mean 'status'? (see haven --help)"),
    (["status", "now"], "haven: Got unexpected extra argument(s) (now) (see haven status --help)"),
    (["status", "--colour"], "haven: No such option: --colour (see haven status --help)"),
    (["explain"], "haven: Missing argument 'SID'. (see haven explain --help)"),
    (
        ["explain", ""],
        "haven: Invalid value for 'SID': expected vm:102, 102 or the VM's name, without line breaks",
    ),
    (["explain", "vm\n1"], "haven: Invalid value for 'SID': expected vm:102, 102 or the VM's name, without line"),
    (["watch", LONG], "haven: Invalid value for '[SID]': a name has at most 255 characters, this one has 1000000"),
    (["history", "--limit", "-1"], "haven: Invalid value for '--limit':"),
    (["history", "--limit", "many"], "haven: Invalid value for '--limit':"),
    (["history", "--since", "yesterday"], "haven: Invalid value for --since: expected a length like 2h"),
    (["up"], "haven: up is started by the program `haven`"),
    (["up", "now"], "haven: Got unexpected extra argument(s) (now) (see haven up --help)"),
]


@pytest.mark.parametrize(("words", "said"), BAD, ids=[" ".join(words)[:30] for words, _ in BAD])
def test_a_bad_command_line_is_one_line_and_status_2(
    api: FakeApi, capsys: Output, words: list[str], said: str
) -> None:
    assert run(*words) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert len(output.err.splitlines()) == 1
    assert output.err.startswith(said)
    assert api.requests == []


READS = [
    ["cluster-options"],
    ["cluster-options", "--delete", "ha"],
    ["status"],
    ["history"],
    ["incidents"],
    ["explain", "vm:102"],
    ["watch"],
    ["status", "--json"],
]


@pytest.mark.parametrize("words", READS, ids=" ".join)
def test_an_api_that_is_not_there_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: Output, words: list[str]
) -> None:
    monkeypatch.setenv("HAVEN_API_SOCKET", "/nonexistent/api.sock")
    assert run(*words) == 1
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err == "haven's API at /nonexistent/api.sock is not there: is `haven up` running?\n"


@pytest.mark.parametrize("words", READS, ids=" ".join)
def test_a_socket_that_may_not_be_used_is_one_line(api: FakeApi, capsys: Output, words: list[str]) -> None:
    run(*words[:1], "--help")  # what is loaded on first use must not need root
    with without_permission(api.path):
        assert run(*words) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line == f"no permission to talk to haven's API at {api.path}: run it as root"


def test_an_error_of_the_api_is_one_line(api: FakeApi, capsys: Output) -> None:
    api.fail("GET /haven/explain/vm:9", 500, "no such resource 'vm:9'")
    assert run("explain", "vm:9") == 1
    assert capsys.readouterr() == ("", "no such resource 'vm:9'\n")


def test_a_name_reaches_the_api_as_one_segment(api: FakeApi) -> None:
    api.answer("GET /haven/explain/my vm?#x", answers.EXPLANATION)
    assert run("explain", "my vm?#x") == 0
    assert [request.line for request in api.requests] == ["GET /haven/explain/my vm?#x"]


def test_a_reader_that_leaves_early_is_no_error_to_see(api: FakeApi) -> None:
    api.answer(HISTORY, [answers.ENTRY | {"id": number} for number in range(5000)])
    code = "import sys; from haven.cli.main import main; sys.exit(main())"
    line = f"{sys.executable} -c '{code}' history | head -1"
    done = subprocess.run(
        ["bash", "-c", line], env=os.environ, capture_output=True, text=True, check=True, timeout=60
    )
    assert (done.stdout.split(), done.stderr) == (["Time", "VM", "What", "happened"], "")
