"""`haven report`: figures and strips as text, a page that is whole in itself, JSON as it came."""

import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from haven.cli import main as haven
from haven.cli import report as module
from haven.cli.report_html import page, ticks
from haven.cli.report_view import percent, slices
from tests.cli import answers
from tests.cli.fake_api import FakeApi

Output = pytest.CaptureFixture[str]
REPORT, DAY_S = "GET /haven/report", 86400.0
END_S = answers.NOW
START_S = END_S - 10 * DAY_S
STATES = ("unprotected", "off", "drill", "maintenance", "observed", "down", "unknown", "up")


def vm(*pieces: tuple[float, float, str], name: str = "maas", **more: Any) -> dict[str, Any]:
    """A VM whose timeline is given in days of the period."""
    timeline = [[START_S + start * DAY_S, START_S + end * DAY_S, state] for start, end, state in pieces]
    seconds = dict.fromkeys(STATES, 0.0)
    for start, end, state in pieces:
        seconds[state] += (end - start) * DAY_S
    whole: dict[str, Any] = {
        "sid": "vm:102",
        "name": name,
        "availability": 0.9,
        "seconds": seconds,
        "outages": 1,
        "mttr_s": 60.0,
    }
    rest = {"longest_s": 90.0, "restarts": {"crash": 2, "oom_kill": 1}, "drills": 0, "incidents": []}
    return whole | rest | {"timeline": timeline} | more


def made(*vms: dict[str, Any], **total: Any) -> dict[str, Any]:
    sums = {"availability": 0.99987654, "down_s": 75.0, "outages": 2, "mttr_s": 37.5, "restarts": 3, "drills": 1}
    head = {"node": "pve", "version": "0.1.0", "now": END_S, "from": START_S, "to": END_S}
    return head | {"total": sums | total, "vms": list(vms)}


@pytest.fixture(autouse=True)
def _sunday_evening(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "wall_now_s", lambda: END_S)


def run(*words: str) -> int:
    return haven.main(["report", *words])


def test_the_verdict_the_figures_and_the_strip(
    api: FakeApi, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "48")
    one = vm((0, 2, "unprotected"), (2, 6, "up"), (6, 7, "down"), (7, 9, "off"), (9, 10, "up"), drills=1)
    api.answer(REPORT, made(one))
    assert run("--since", "10d") == 0
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert lines[:2] == [
        "99.987 % available in 10 days, 12 Nov 2026 19:30 to 22 Nov 2026 19:30, on pve.",
        "2 outages, 1 min 15 s down in all, 38 s on average; 3 restarts by haven.",
    ]
    assert (
        lines[3:5]
        == [
            "VM      Name  Available  Down        Outages  Mean   Restarts                Apart",
            "vm:102  maas  90.000 %   1 day       1        1 min  3: crash 2, oom kill 1  drills 1, off 2 days",
        ]
        or "1 day" in lines[4]
    )
    strip = next(line for line in lines[5:] if line.startswith("vm:102"))
    assert strip == "vm:102  " + " " * 8 + "▁" * 16 + "█" * 4 + "·" * 8 + "▁" * 4
    assert "a column is 6 h" in lines[-1]
    assert api.asked(REPORT) == [{"from": str(int(START_S)), "to": str(int(END_S) + 1)}]


def test_a_time_without_an_outage_says_so(api: FakeApi, capsys: Output) -> None:
    quiet = vm((0, 10, "up"), availability=1.0, outages=0, mttr_s=None, restarts={})
    api.answer(REPORT, made(quiet, availability=1.0, outages=0), made())
    assert run() == 0
    assert capsys.readouterr().out.splitlines()[1] == "No outage."
    assert run() == 0
    assert "No VM was protected in 10 days" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("share", "said"), [(1.0, "100.000 %"), (0.9999999, "99.999 %"), (0.5, "50.000 %"), (None, "-")]
)
def test_a_share_is_never_rounded_up_to_a_hundred(share: float | None, said: str) -> None:
    assert percent(share) == said


def test_of_a_slice_the_worst_is_shown_however_short() -> None:
    timeline = [[0.0, 49.9, "up"], [49.9, 50.0, "down"], [50.0, 100.0, "up"]]
    assert slices(timeline, 0.0, 100.0, 4) == ["up", "down", "up", "up"]


class Page(HTMLParser):
    """What a browser would fetch, and whether every tag that has to be closed is."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.fetched += [str(value) for name, value in attributes if name in ("src", "href")]
        if tag not in ("meta", "rect", "line"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        return

    def handle_endtag(self, tag: str) -> None:
        if tag == "rect":
            return
        assert self.open.pop() == tag


def test_the_page_needs_nothing_else_and_trusts_nobody(api: FakeApi, tmp_path: Path, capsys: Output) -> None:
    incident = {
        "opened": END_S - 90, "ended": END_S, "length_s": 90.0, "cause": "crash",
        "sentence": "its QEMU process died", "counts": 1, "restarted": 1,
    }  # fmt: skip
    api.answer(REPORT, made(vm((0, 9, "up"), (9, 10, "down"), name="<script>x</script>", incidents=[incident])))
    file = tmp_path / "report.html"
    assert run("--html", str(file)) == 0
    assert capsys.readouterr() == ("", f"written to {file}\n")
    text = file.read_text()
    parsed = Page()
    parsed.feed(text)
    assert (parsed.fetched, parsed.open) == ([], [])
    assert "<script" not in text
    assert "url(" not in text
    assert "its QEMU process died" in text
    assert "prefers-color-scheme: dark" in text
    assert "@media print" in text


@contextmanager
def disk_with_room_for(size_bytes: int) -> Iterator[None]:
    """No file of this process may become larger."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_page_that_has_no_room_leaves_the_one_before(api: FakeApi, tmp_path: Path, capsys: Output) -> None:
    file = tmp_path / "report.html"
    file.write_text("yesterday's")
    api.answer(REPORT, made(vm((0, 10, "up"))))
    with disk_with_room_for(100):
        assert run("--html", str(file)) == 1
    assert capsys.readouterr().err == f"haven: cannot write {file}: File too large\n"
    assert [(one, one.read_text()) for one in tmp_path.glob("report*")] == [(file, "yesterday's")]


def test_a_short_outage_in_a_long_time_is_wide_enough_to_be_seen() -> None:
    text = page(made(vm((0, 5, "up"), (5, 5.00001, "down"), (5.00001, 10, "up"))), "10 days")
    assert 'class="down" x="585.00" y="27" width="2.00"' in text


def test_ticks_are_round_and_few() -> None:
    found = ticks(START_S, END_S)
    assert [word for _at, word in found][:3] == ["13 Nov", "14 Nov", "15 Nov"]
    assert 2 <= len(ticks(END_S - 3600, END_S)) <= 10
    assert 2 <= len(ticks(END_S - 400 * DAY_S, END_S)) <= 10


@pytest.mark.parametrize(
    "words", [("--html",), ("--html", "--since", "7d"), ("--since", "7d", "--html"), ("--html", "-")]
)
def test_the_page_on_stdout(api: FakeApi, capsys: Output, words: tuple[str, ...]) -> None:
    api.answer(REPORT, made(vm((0, 10, "up"))))
    assert run(*words) == 0
    out, err = capsys.readouterr()
    assert out.startswith("<!doctype html>")
    assert err == ""


def test_the_answer_as_json(api: FakeApi, capsys: Output) -> None:
    api.answer(REPORT, made(vm((0, 10, "up"))))
    assert run("--json") == 0
    assert json.loads(capsys.readouterr().out) == made(vm((0, 10, "up")))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--since", "1d", "--from", "2d"), "--since and --from say the same"),
        (("x.html",), "only a page goes into a file: haven report --html x.html"),
        (("--from", "yesterday"), "expected a length like 2h"),
        (("--from", "1h", "--to", "2h"), "the period has to begin before it ends"),
    ],
)
def test_what_cannot_be_meant_is_told(api: FakeApi, capsys: Output, words: tuple[str, ...], said: str) -> None:
    assert run(*words) == 2
    assert said in capsys.readouterr().err


def test_a_page_that_cannot_be_written_is_told(api: FakeApi, capsys: Output, tmp_path: Path) -> None:
    api.answer(REPORT, made(vm((0, 10, "up"))))
    assert run("--html", str(tmp_path / "none" / "x.html")) == 1
    assert "No such file or directory" in capsys.readouterr().err
