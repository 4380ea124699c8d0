"""`make demo` itself: its last screen, its exit status, its end by Ctrl-C, and a lab host that is kept."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import cast

import pytest

from haven.lab.demo.__main__ import main, verdict
from haven.lab.demo.feed import Event, parse_event
from haven.lab.demo.leftovers import mounts
from haven.lab.demo.scene import Outcome, Row, Scene, play
from haven.lab.demo.screen import Screen
from haven.lab.demo.stage import SceneError, Stage
from haven.lab.haven_host import HavenHost

EVENT = Event(time.time(), "lrm", "vm:102", "vm_down", "err", "its QEMU process died", "cause")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class EmptyStage(Stage):
    """A stage for scenes that touch nothing."""

    def __init__(self) -> None:
        self.output = io.StringIO()
        self.screen = Screen(self.output)
        self.patience = 1.0

    def show_news(self) -> None:
        """There is none."""


def played(play_it: object, deadline_s: float = 60.0) -> tuple[Outcome, str]:
    stage = EmptyStage()
    scene = Scene("key", "a title", deadline_s, cast("type", play_it))
    return play(scene, stage), stage.output.getvalue()


def fine(_stage: Stage) -> Sequence[Row]:
    return [Row("102 killed", "205 ms", "412 ms", "crash")]


def false(_stage: Stage) -> Sequence[Row]:
    raise SceneError("claimed: it runs; seen: it does not")


def test_a_false_claim_fails_its_scene_and_is_named_on_the_last_screen() -> None:
    outcome, printed = played(false)
    assert "claimed: it runs; seen: it does not" in printed
    output = io.StringIO()
    assert not verdict([played(fine)[0], outcome], Screen(output))
    assert "FAILED after 0 s: key" in output.getvalue()


def test_a_scene_that_this_machine_cannot_show_is_skipped_and_the_last_screen_says_why() -> None:
    stage = EmptyStage()
    scene = Scene("oom", "memory runs out", 60.0, false, lambda: "no writable memory controller: none is mounted")
    outcome = play(scene, stage)
    assert "skipped: no writable memory controller" in stage.output.getvalue()
    output = io.StringIO()
    assert verdict([played(fine)[0], outcome], Screen(output))
    assert "skipped: no writable memory" in output.getvalue()
    assert "1 of 2 scenes as they should be, in 0 s; skipped: oom." in output.getvalue()


def test_a_missed_deadline_fails_a_scene_in_which_all_else_was_right() -> None:
    outcome, _ = played(fine, deadline_s=0.0)
    assert "its deadline is 0 s" in outcome.failure


def test_the_last_screen_has_what_happened_noticed_down_and_concluded() -> None:
    output = io.StringIO()
    assert verdict([played(fine)[0]], Screen(output))
    assert "key    102 killed     205 ms   412 ms  crash" in output.getvalue().splitlines()


def test_no_line_of_the_last_screen_is_wider_than_the_screen() -> None:
    output = io.StringIO()
    screen = Screen(output)
    long = Row(*(f"{word} of many words that do not fit into a column" for word in ("a", "b", "c", "d" * 90)))
    verdict([Outcome(Scene("key", "", 1.0, fine), 1.0, (long,))], screen)
    assert max(map(len, output.getvalue().splitlines())) <= screen.columns


@pytest.mark.parametrize(
    ("output", "no_colour", "coloured"),
    [(Terminal(), "", True), (Terminal(), "1", False), (io.StringIO(), "", False)],
    ids=["terminal", "NO_COLOR", "file"],
)
def test_colour_only_on_a_terminal_that_wants_it(
    monkeypatch: pytest.MonkeyPatch, output: io.StringIO, no_colour: str, coloured: bool
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", no_colour)
    Screen(output).event(EVENT)
    assert ("\033[31m" in output.getvalue()) is coloured
    assert "vm:102  vm down            its QEMU process died (cause)" in output.getvalue()


def test_what_watch_says_of_its_connection_is_no_event() -> None:
    assert parse_event("haven's API ended; waiting for it to come back") is None
    line = '{"id": 1, "time": 5.0, "sid": null, "kind": "vm_up", "sentence": "runs", "fields": {"outage_s": 1.0}}'
    event = parse_event(line)
    assert event == Event(5.0, "", "", "vm_up", "", "runs", "", {"outage_s": 1.0})


def demo(folder: Path, *scenes: str, keep: str = "") -> subprocess.Popen[str]:
    argv = [sys.executable, "-m", "haven.lab.demo", "--folder", str(folder), *scenes]
    return subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | {"KEEP": keep}
    )


def test_without_the_programs_beside_this_python_it_says_which_command_makes_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    assert main(["--folder", str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert "run `make setup`" in said
    assert said.count("\n") == 1


@pytest.mark.lab
def test_ctrl_c_takes_everything_down(tmp_path: Path) -> None:
    before = mounts()
    process = demo(tmp_path, "protect")
    host = HavenHost(tmp_path / "host")
    try:
        assert process.stdout is not None
        assert any("haven is up on" in line for line in process.stdout), "it ended before haven was up"
        pids = [inside.pid for inside in host.processes()]
    finally:
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=90)
    assert process.returncode == 130
    assert said.count("\n") <= 2
    assert "interrupted" in said
    assert not host.running
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]
    assert not [mount for mount in mounts() - before if str(tmp_path) in mount]


@pytest.mark.lab
def test_a_kept_lab_host_can_be_looked_at_and_taken_down(tmp_path: Path) -> None:
    process = demo(tmp_path, "protect", keep="1")
    output, errors = process.communicate(timeout=240)
    try:
        assert process.returncode == 0, output + errors
        assert f"Take it down:  {tmp_path}/down" in output
        status = subprocess.run([tmp_path / "haven", "status"], capture_output=True, text=True, check=True)
        assert "All 2 protected VMs run." in status.stdout
        listed = subprocess.run([tmp_path / "qm", "list"], capture_output=True, text=True, check=True)
        assert "maas-102" in listed.stdout
        assert main(["--folder", str(tmp_path)]) == 2, "a second demo has no business there"
    finally:
        down = subprocess.run([tmp_path / "down"], capture_output=True, text=True, check=False)
    assert down.returncode == 0, down.stderr
    assert not HavenHost(tmp_path / "host").running
