"""`haven decisions`, `haven history --changes`."""

import json

import pytest

from haven.cli import decisions as module
from haven.cli import main as haven
from tests.cli import answers
from tests.cli.fake_api import FakeApi

Output = pytest.CaptureFixture[str]
ONE = {"id": 7, "time": answers.NOW, "source": "lrm", "sids": ["vm:102"], "orders": 1, "sentences": ["a", "b"]}


def run(*words: str) -> int:
    return haven.main(list(words))


def test_decisions_are_listed_with_what_they_told(
    api: FakeApi, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "wall_now_s", lambda: answers.NOW)
    api.answer("GET /haven/decisions", [ONE])
    assert run("decisions", "vm:102", "--limit", "3") == 0
    assert [line.rstrip() for line in capsys.readouterr().out.splitlines()] == [
        "ID  Time      By   VM      What it told",
        "7   19:30:00  lrm  vm:102  a",
        "                           b",
    ]
    assert api.asked("GET /haven/decisions") == [{"sid": "vm:102", "limit": "3"}]


def test_one_is_printed_whole_to_be_kept(api: FakeApi, capsys: Output) -> None:
    api.answer("GET /haven/decisions/7", {"format": 1, "source": "lrm"})
    assert run("decisions", "--save", "7") == 0
    assert json.loads(capsys.readouterr().out) == {"format": 1, "source": "lrm"}


def test_none_is_said_and_json_is_the_answer(api: FakeApi, capsys: Output) -> None:
    api.answer("GET /haven/decisions", [], [ONE])
    assert run("decisions", "web") == 0
    assert capsys.readouterr().err == "no decision is kept about web\n"
    assert run("decisions", "--json") == 0
    assert json.loads(capsys.readouterr().out) == [ONE]


def test_history_can_be_narrowed_to_changes_and_kinds(api: FakeApi, capsys: Output) -> None:
    api.answer("GET /haven/history", [answers.ENTRY])
    assert run("history", "--changes", "--kind", "vm_down") == 0
    assert api.asked("GET /haven/history") == [{"limit": "50", "kind": "vm_down,changes"}]
