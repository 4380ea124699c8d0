"""`haven verify` on the screen, as JSON, with its exit status, and when the API is not there."""

import json
import os
from pathlib import Path

import pytest

from haven.cli import main as haven
from tests.cli.fake_api import FakeApi

Output = pytest.CaptureFixture[str]
Finding = dict[str, str | None]
BAD: Finding = {
    "check": "running", "grade": "fail", "seen": "vm:102 (maas) is off", "mend": "haven explain vm:102",
    "sid": None,
}  # fmt: skip
ODD: Finding = {
    "check": "heartbeat",
    "grade": "warn",
    "seen": "nobody notices",
    "mend": "heartbeat_url",
    "sid": None,
}
GOOD: Finding = {"check": "quorum", "grade": "pass", "seen": "Quorate: Yes", "mend": None, "sid": None}


def answer(*findings: Finding, outside: str = "") -> dict[str, object]:
    summary = {grade: sum(one["grade"] == grade for one in findings) for grade in ("fail", "warn", "pass")}
    return {"node": "pve", "now": 1.0, "outside": outside, "summary": summary, "findings": list(findings)}


def run(*words: str) -> int:
    return haven.main(["verify", *words])


def test_the_summary_comes_first_and_each_trouble_has_its_mend(api: FakeApi, capsys: Output) -> None:
    api.answer("GET /haven/verify", answer(BAD, ODD, GOOD))
    assert run() == 1
    assert [line.rstrip() for line in capsys.readouterr().out.splitlines()] == [
        "1 fail, 1 warn, 1 pass on pve.",
        "",
        "FAIL  running         vm:102 (maas) is off",
        "                      -> haven explain vm:102",
        "warn  heartbeat       nobody notices",
        "                      -> heartbeat_url",
        "ok    quorum          Quorate: Yes",
    ]


def test_warnings_alone_are_no_failure(api: FakeApi, capsys: Output) -> None:
    api.answer("GET /haven/verify", answer(ODD, GOOD))
    assert run("--json") == 0
    assert json.loads(capsys.readouterr().out) == answer(ODD, GOOD)


def test_long_lines_stay_beside_their_heads(api: FakeApi, capsys: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    api.answer("GET /haven/verify", answer(BAD | {"seen": "word " * 20}))
    run()
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 60
    assert lines[3].startswith(" " * 22 + "word")


@pytest.mark.skipif(os.geteuid() != 0, reason="a look from outside is root's")
def test_without_the_api_it_looks_from_outside(
    tmp_path: Path, capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real process: nothing runs here, and it says so with what it can see."""
    file = tmp_path / "haven.toml"
    file.write_text(
        f'state_dir = "{tmp_path}/state"\nrun_dir = "{tmp_path}/run"\n'
        f'libvirt_uri = "test:///default"\ntick_s = 2\n'
    )
    monkeypatch.setenv("HAVEN_CONFIG", str(file))
    monkeypatch.setenv("HAVEN_API_SOCKET", str(tmp_path / "none.sock"))
    (tmp_path / "json.py").write_text("raise SystemExit('taken from the folder that root stands in')")
    monkeypatch.chdir(tmp_path)
    assert run() == 1
    lines = capsys.readouterr().out.splitlines()
    assert "fail" in lines[0]
    assert lines[1].startswith(f"Looked at from outside: haven's API at {tmp_path}/none.sock is not there")
    assert "FAIL  daemons         haven lrm: not running; a VM that dies now is not restarted" in lines
    assert any("there is no store at" in line for line in lines)
    assert not (tmp_path / "state").exists(), "a look changes nothing"


def test_whoever_may_not_look_is_told_so(api: FakeApi, capsys: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("HAVEN_API_SOCKET", "/nowhere/api.sock")
    assert run() == 1
    assert capsys.readouterr().err == "haven's API at /nowhere/api.sock is not there: is `haven up` running?\n"
