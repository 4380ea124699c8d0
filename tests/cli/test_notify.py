"""`haven notify`: who is told, what waits, and whether a test arrives."""

import json
from typing import Any

import pytest

from haven.cli import main as haven
from tests.cli import answers
from tests.cli.fake_api import FakeApi

Output = pytest.CaptureFixture[str]
STATUS, TEST = "GET /haven/notify", "POST /haven/notify/test"

RECEIVER = {
    "receiver": "webhook (https://hooks.lan)",
    "waiting": 0,
    "oldest": None,
    "delivered": 3,
    "failed": 0,
    "given_up": 0,
    "last_ok": answers.NOW - 120,
    "trouble": None,
    "trouble_since": None,
}
STUCK = RECEIVER | {
    "waiting": 2,
    "oldest": answers.NOW - 840,
    "given_up": 1,
    "trouble": "connection refused: nobody listens there",
    "trouble_since": answers.NOW - 840,
}


def seen(*receivers: dict[str, Any], **more: Any) -> dict[str, Any]:
    rest: dict[str, Any] = {"per_hour": 20, "trouble": None, "heartbeat": None, "pushes": {}, "now": answers.NOW}
    return {"receivers": list(receivers)} | rest | more


def run(*words: str) -> int:
    return haven.main(list(words))


def test_a_test_that_arrives_everywhere(api: FakeApi, capsys: Output) -> None:
    api.answer(TEST, [{"receiver": "notify 1 (tgram://)", "ok": 1, "why": None, "took_s": 0.61}])
    assert run("notify", "test") == 0
    assert capsys.readouterr() == ("notify 1 (tgram://)  ok, after 0.6 s\n", "")


def test_a_test_that_does_not_arrive_somewhere(api: FakeApi, capsys: Output) -> None:
    good = {"receiver": "notify 1 (tgram://)", "ok": 1, "why": None, "took_s": 0.61}
    bad = {"receiver": "webhook (http://x)", "ok": 0, "why": "answered 401 Unauthorized", "took_s": 0.1}
    api.answer(TEST, [good, bad])
    assert run("notify", "test") == 1
    assert capsys.readouterr().out.splitlines() == [
        "notify 1 (tgram://)  ok, after 0.6 s",
        "webhook (http://x)   FAILED: answered 401 Unauthorized",
    ]


@pytest.mark.parametrize("tried", [[], [{"receiver": "heartbeat", "ok": 1, "why": None, "took_s": 0.1}]])
def test_a_test_with_nobody_to_tell_says_what_to_do(api: FakeApi, capsys: Output, tried: list[Any]) -> None:
    api.answer(TEST, tried)
    assert run("notify", "test") == 1
    assert "name somebody in haven.toml" in capsys.readouterr().err


def test_status_of_receivers_that_work(api: FakeApi, capsys: Output) -> None:
    api.answer(
        STATUS, seen(RECEIVER, heartbeat={"ok": 1, "why": None}, pushes={"vm:102": {"ok": 0, "why": "gone"}})
    )
    assert run("notify", "status") == 0
    first, heart, push = capsys.readouterr().out.splitlines()
    assert first.startswith("webhook (https://hooks.lan): last took one ")
    assert first.endswith("2 min ago; 3 delivered beside tests")
    assert (heart, push) == ("heartbeat: ok", "push of vm:102: gone")


def test_status_of_a_receiver_that_takes_nothing(api: FakeApi, capsys: Output) -> None:
    api.answer(STATUS, seen(STUCK))
    assert run("notify") == 1
    told = capsys.readouterr().out
    assert "2 waiting, the oldest from " in told
    assert "1 given up" in told
    assert "connection refused: nobody listens there (since 14 min ago; haven tries on)" in told


def test_json_is_the_answer_of_the_api(api: FakeApi, capsys: Output) -> None:
    api.answer(STATUS, seen())
    assert run("notify", "status", "--json") == 0
    assert json.loads(capsys.readouterr().out) == seen()
    run("notify", "status")
    assert capsys.readouterr().out.startswith("Nobody is told: name somebody")
