"""A command line of `haven sim` that cannot be is one line, and nothing that is there is written over."""

from pathlib import Path

import pytest

from haven.sim.main import main
from tests.sim.test_run_command import STORY

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def story(tmp_path: Path) -> Path:
    path = tmp_path / "story.txt"
    path.write_text(STORY)
    return path


@pytest.mark.parametrize("words", [["run", "--events"], ["what-if", "--save", "{target}", "--case"]])
def test_what_is_read_is_never_written_over(words: list[str], story: Path, capsys: Capture) -> None:
    linked, hard = story.with_name("linked.txt"), story.with_name("hard.txt")
    linked.symlink_to(story)
    hard.hardlink_to(story)
    for target in (story, linked, hard, story.parent / ".." / story.parent.name / story.name):
        option = words[1]
        before = [word.format(target=target) for word in words if word != "--events"]
        given = ["--events", str(target)] if option == "--events" else []
        assert main([*before, *given, str(story)]) == 2
        out, err = capsys.readouterr()
        assert err == (
            f"haven sim: {option} {target}: that is the file that is read, "
            "and it would be lost; name another one\n"
        )
        assert out == ""
        assert story.read_text() == STORY


def test_saved_records_are_not_written_over_while_they_are_asked_about(story: Path, capsys: Capture) -> None:
    saved = story.with_name("records.json")
    assert main(["what-if", "--case", str(story), "--save", str(saved)]) in (0, 1)
    before = saved.read_text()
    assert main(["what-if", "--records", str(saved), "--save", str(saved)]) == 2
    assert "it would be lost" in capsys.readouterr().err
    assert saved.read_text() == before


def test_a_search_that_could_not_be_saved_is_not_begun(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "file").touch()
    assert main(["search", "--seeds", "1..1000000", "--save", str(tmp_path / "file" / "x")]) == 2
    assert capsys.readouterr().err == f"haven sim: --save {tmp_path}/file/x: cannot be made: Not a directory\n"


def test_without_words_there_is_help(capsys: Capture) -> None:
    assert main([]) == 0
    assert "what-if" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["runn"], "invalid choice: 'runn'"),
        (["run"], "the following arguments are required: CASE (see haven sim run --help)"),
        (["run", ""], "argument CASE: the name of a file is missing (see haven sim run --help)"),
        (["run", "--events", "", "x"], "argument --events: the name of a file is missing"),
        (["cases", ""], "argument FILE: the name of a file is missing"),
        (["new", ""], "argument FILE: the name of a file is missing"),
        (["explain", "", "vm:1", "--at", "5"], "argument CASE: the name of a file is missing"),
        (["what-if", "--case", ""], "argument --case: the name of a file is missing"),
        (["what-if", "--records", ""], "argument --records: the name of a file is missing"),
        (["what-if", "--case", "x", "--save", ""], "argument --save: the name of a file is missing"),
        (["search", "--save", ""], "argument --save: the name of a file is missing"),
        (
            ["run", "/dev/zero"],
            "/dev/zero: is larger than 64 MiB, which nothing is that haven reads; name another",
        ),
        (["run", "a\x1b[2J\nb"], "a\\x1b[2J\\nb: cannot be read: No such file or directory"),
        (["cases", "/dev/zero"], "/dev/zero: is larger than 64 MiB"),
        (["run", "--pacing", "slow", "x"], "invalid choice: 'slow'"),
        (["run", "/does/not/exist"], "/does/not/exist: cannot be read: No such file or directory"),
        (["explain", "x", "vm:1"], "the following arguments are required: --at"),
    ],
)
def test_a_wrong_command_line_is_one_line(words: list[str], said: str, capsys: Capture) -> None:
    assert main(words) == 2
    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1
