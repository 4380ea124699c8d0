"""The edge to the terminal: nobody reads, no room, no stream at all, nobody to answer a question."""

import subprocess
import sys
from pathlib import Path

import pytest

from haven.cli import hands
from haven.cli.console import EXIT_BROKEN_PIPE, EXIT_INTERRUPTED, at_the_edge

HAVEN = [sys.executable, "-m", "haven"]
QM = [sys.executable, "-c", "import sys; from haven.cli.qm import main; sys.exit(main())"]
FULL = [([*HAVEN, "config"], 1), ([*HAVEN, "sim", "words"], 1), ([*HAVEN, "--help"], 1), ([*QM, "help"], 255)]


@pytest.mark.parametrize(("argv", "status"), FULL, ids=lambda value: str(value)[-20:])
def test_an_answer_that_finds_no_room_is_one_line(argv: list[str], status: int) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(argv, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    (line,) = done.stderr.splitlines()
    assert done.returncode == status
    assert line.endswith("the answer cannot be written: No space left on device")


@pytest.mark.parametrize("argv", [[*HAVEN, "config"], [*HAVEN, "version"], [*QM, "help"]])
def test_a_program_without_any_stdout_does_its_work(argv: list[str]) -> None:
    words = ["sh", "-c", 'exec "$@" >&-', "sh", *argv]
    done = subprocess.run(words, stderr=subprocess.PIPE, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("error", "status"), [(BrokenPipeError(), EXIT_BROKEN_PIPE), (KeyboardInterrupt(), EXIT_INTERRUPTED)]
)
def test_who_goes_away_is_told_nothing(
    capfd: pytest.CaptureFixture[str], error: BaseException, status: int
) -> None:
    def run() -> int:
        raise error

    assert at_the_edge("haven", run) == status
    assert capfd.readouterr().err == ""


def test_ctrl_d_is_no_consent_to_a_drill(monkeypatch: pytest.MonkeyPatch) -> None:
    def at_its_end(_prompt: str) -> str:
        raise EOFError

    monkeypatch.setattr("builtins.input", at_its_end)
    assert not hands._agreed("vm:102")
