"""Man pages, completions, units, programs: all that the programs know is in them, and their readers accept it."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from haven.core.settings import described_keys
from haven.setup.pages.__main__ import host_files, write
from haven.setup.pages.programs import Program, programs

FILES = host_files()
ALL = {program.name: program for program in programs()}
each_program = pytest.mark.parametrize("program", ALL.values(), ids=ALL)


def page(name: str) -> str:
    return next(text for path, text in FILES.items() if f"/{path}".endswith(f"/{name}"))


def plain(roff: str) -> str:
    """The text of a page without its formatting."""
    return re.sub(r"\\f[BIR]|\\&", "", roff).replace("\\-", "-").replace("\\e", "\\")


@each_program
def test_a_man_page_has_every_command_and_option(program: Program) -> None:
    text = plain(page(f"{program.name}.8"))
    for command in program.commands:
        assert f"\n{program.name} {' '.join(command.words)}" in text
        for option in command.options:
            assert all(name in text for name in option.names)
            assert option.meaning in text


def test_the_manual_of_the_configuration_has_every_key() -> None:
    text = plain(page("haven.toml.5"))
    for key, default, meaning in described_keys():
        assert f"\n{key} = {default}\n{meaning[:1].upper()}{meaning[1:]}." in text


@pytest.mark.parametrize("name", [path for path in FILES if "/man/" in path])
def test_a_man_page_is_sound_roff(name: str) -> None:
    """Each request is known, has its argument, and every indentation is taken back."""
    requests = [line.split()[0] for line in FILES[name].splitlines() if line.startswith((".", "'"))]
    assert set(requests) <= {'.\\"', ".TH", ".SH", ".TP", ".PP", ".RS", ".RE", ".B", ".I", ".nh", ".ad"}
    assert requests.count(".RS") == requests.count(".RE")
    assert re.findall(r"\\[^fe&-]|\\f[^BIR]", FILES[name].partition("\n")[2]) == []
    assert len(re.findall(r"\\f[BI]", FILES[name])) == len(re.findall(r"\\fR", FILES[name]))


@pytest.mark.skipif(shutil.which("man") is None, reason="man is not installed here")
@pytest.mark.parametrize("name", [path for path in FILES if "/man/" in path])
def test_man_shows_a_page_without_a_warning(name: str, tmp_path: Path) -> None:
    path = tmp_path / Path(name).name
    path.write_text(FILES[name])
    done = subprocess.run(
        ["man", "--warnings", "-E", "UTF-8", "-l", str(path)],
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "MANWIDTH": "100", "MANROFFSEQ": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "NAME" in done.stdout


# -- completions


def completed(program: str, *words: str) -> list[str]:
    """What bash offers after these words."""
    line = " ".join(f"'{word}'" for word in (program, *words))
    script = f"""{page(f"bash-completion/completions/{program}")}
COMP_WORDS=({line}); COMP_CWORD={len(words)}
_haven_{program.replace("-", "_")}; printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    done = subprocess.run(["bash", "--norc", "-c", script], capture_output=True, text=True, check=True)
    return done.stdout.split()


@each_program
def test_bash_offers_every_command_and_every_option(program: Program) -> None:
    assert set(completed(program.name, "")) == {command.words[0] for command in program.commands}
    for command in program.commands[-3:]:
        names = {name for option in command.options for name in option.names}
        below = {
            other.words[len(command.words)] for other in program.commands if _is_below(command.words, other.words)
        }
        assert set(completed(program.name, *command.words, "")) == names | below


def _is_below(words: tuple[str, ...], other: tuple[str, ...]) -> bool:
    return other[: len(words)] == words and len(other) > len(words)


def test_bash_completes_as_a_person_types() -> None:
    assert completed("ha-manager", "crm-c") == ["crm-command"]
    assert "relocate" in completed("ha-manager", "crm-command", "")
    assert completed("ha-manager", "set", "vm:102", "--state", "st") == ["started", "stopped"]
    assert "--max_restart" in completed("ha-manager", "add", "vm:102", "--max")
    assert completed("haven", "setup", "--re") == ["--repair", "--remove"]
    assert "what-if" in completed("haven", "sim", "")


@pytest.mark.parametrize("words", [["replay"], ["sim", "run"], ["report", "--html"], ["checks", "import"]])
def test_a_file_is_completed_where_one_is_wanted(words: list[str], tmp_path: Path) -> None:
    (tmp_path / "november.html").touch()
    line = " ".join(["haven", *words])
    typed = f"COMP_WORDS=({line} nov); COMP_CWORD={len(words) + 1}"
    traced = f'compopt() {{ echo "$@"; }}\n{page("bash-completion/completions/haven")}\n{typed}\n_haven_haven'
    done = subprocess.run(["bash", "--norc", "-c", traced], capture_output=True, text=True, check=False)
    assert done.stdout == "-o default\n"
    if shutil.which("fish"):
        script = f"{page('fish/vendor_completions.d/haven.fish')}\ncd {tmp_path}\ncomplete -C '{line} nov'"
        done = subprocess.run(["fish", "--no-config", "-c", script], capture_output=True, text=True, check=True)
        assert done.stdout.split() == ["november.html"]
    if shutil.which("zsh"):
        script = "_files() { echo FILES }\n" + _ZSH.format(text=page("zsh/site-functions/_haven"), line=line)
        done = subprocess.run(["zsh", "-f", "-c", script], capture_output=True, text=True, check=True)
        assert "FILES" in done.stdout.split()


@each_program
@pytest.mark.parametrize(
    ("shell", "path", "check"),
    [
        ("zsh", "zsh/site-functions/_{}", ("-n",)),
        ("fish", "fish/vendor_completions.d/{}.fish", ("--no-execute",)),
    ],
)
def test_zsh_and_fish_know_every_command(
    program: Program, shell: str, path: str, check: tuple[str, ...], tmp_path: Path
) -> None:
    text = page(path.format(program.name))
    for command in program.commands:
        assert f"'{command.words[-1]}" in text or f"({command.words[-1]}" in text
        assert all(name[2:] in text for option in command.options for name in option.names)
    code = "".join(line for line in text.splitlines(keepends=True) if not line.startswith("#"))
    assert len(re.findall(r"(?<!\\)'", code.replace("'\"'\"'", ""))) % 2 == 0
    if shutil.which(shell):
        file = tmp_path / "completion"
        file.write_text(text)
        done = subprocess.run([shell, *check, str(file)], capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")


def offered_by_fish(program: str, typed: str) -> list[str]:
    script = f"{page(f'fish/vendor_completions.d/{program}.fish')}\ncomplete -C '{typed}'"
    done = subprocess.run(["fish", "--no-config", "-c", script], capture_output=True, text=True, check=True)
    return [line.partition("\t")[0] for line in done.stdout.splitlines()]


@pytest.mark.skipif(shutil.which("fish") is None, reason="fish is not installed here")
def test_fish_completes_as_a_person_types() -> None:
    assert offered_by_fish("ha-manager", "ha-manager crm-c") == ["crm-command"]
    assert "relocate" in offered_by_fish("ha-manager", "ha-manager crm-command ")
    assert offered_by_fish("ha-manager", "ha-manager set vm:102 --state st") == ["started", "stopped"]
    assert offered_by_fish("haven", "haven setup --re") == ["--remove", "--repair"]


# zsh's own functions as far as these need them: what _describe and compadd are given is what is offered.
_ZSH = """
_describe() {{ local one; for one in "${{(@P)argv[-1]}}"; do print -r -- "${{one%%:*}}"; done }}
compadd() {{ shift; print -rl -- "$@" }}
complete_it() {{
{text}
}}
words=({line} ''); CURRENT=$#words
complete_it
"""


@pytest.mark.skipif(shutil.which("zsh") is None, reason="zsh is not installed here")
@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("ha-manager", "crm-command"),
        ("ha-manager crm-command", "relocate"),
        ("ha-manager set vm:102", "--max_restart"),
        ("ha-manager set vm:102 --state", "started"),
        ("haven sim", "what-if"),
        ("haven setup", "--repair"),
    ],
)
def test_zsh_completes_as_a_person_types(line: str, offered: str) -> None:
    script = _ZSH.format(text=page(f"zsh/site-functions/_{line.split()[0]}"), line=line)
    done = subprocess.run(["zsh", "-f", "-c", script], capture_output=True, text=True, check=True)
    assert offered in done.stdout.split()
    assert done.stderr == ""


# -- programs and units


def test_a_program_whose_python_is_gone_says_what_to_do(tmp_path: Path) -> None:
    for name, status in (("haven", 78), ("qm", 255)):
        script = page(f"usr/local/bin/{name}").replace("/opt/haven/current", str(tmp_path))
        done = subprocess.run(["sh", "-c", script, name, "list"], capture_output=True, text=True, check=False)
        assert done.returncode == status
        assert "haven setup --repair" in done.stderr
        assert done.stderr.count("\n") == 1


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed here")
def test_systemd_finds_nothing_wrong_with_the_units(tmp_path: Path) -> None:
    write(tmp_path)
    for path in (tmp_path / "etc/systemd/system").iterdir():
        path.write_text(path.read_text().replace("/usr/local/bin/haven", str(tmp_path / "usr/local/bin/haven")))
    units = sorted(str(path) for path in (tmp_path / "etc/systemd/system").iterdir())
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *units],
        capture_output=True,
        text=True,
        check=False,
    )
    assert [line for line in done.stderr.splitlines() if "haven" in line or "pve-ha" in line] == []


def test_every_file_among_other_peoples_says_whose_it_is() -> None:
    for path, text in FILES.items():
        assert "haven setup" in text[:400], path
