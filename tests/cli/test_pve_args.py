"""Proxmox VE's way of reading a command line: what is understood, and what is said about the rest."""

import pytest

from haven.cli.pve_args import Call, Command, Kind, Param, Tool, UsageError

SID = Param("sid", "which", max_chars=20)
TOOL = Tool(
    "tool",
    (
        Command(
            ("add",),
            "Add one.",
            (SID,),
            (
                Param("state", "wanted", choices=("started", "stopped")),
                Param("max_restart", "tries", Kind.INTEGER, minimum=0, maximum=9),
                Param("max_relocate", "moves", Kind.INTEGER, minimum=0),
                Param("failback", "back", Kind.BOOLEAN),
                Param("forceStop", "hard", Kind.BOOLEAN),
                Param("comment", "text", may_be_empty=True, max_chars=30),
                Param("delete", "defaults", many=True),
            ),
        ),
        Command(("start",), "Start.", (SID,)),
        Command(("status",), "Show."),
        Command(("crm-command", "stop"), "Stop.", (SID, Param("timeout", "s", Kind.INTEGER, minimum=0))),
        Command(("crm-command", "migrate"), "Move.", (SID,)),
    ),
)
ADD = "tool add <sid> [OPTIONS]"


def parse(line: str) -> Call:
    return TOOL.parse(line.split())


@pytest.mark.parametrize(
    "line",
    [
        "add vm:1 --max_restart 3",
        "add vm:1 --max_restart=3",
        "add vm:1 -max_restart 3",
        "add vm:1 -max_restart=3",
        "add --max_restart 3 vm:1",
        "add vm:1 --max_rest 3",
        "add vm:1 --MAX_RESTART 3",
        "add vm:1 --max_restart 1 --max_restart 3",
        "add --max_restart 3 -- vm:1",
        "a vm:1 --max_restart 3",
    ],
)
def test_an_option_may_be_written_in_all_of_these_ways(line: str) -> None:
    call = parse(line)
    assert (call.command.name, call.values["sid"], call.values["max_restart"]) == ("add", "vm:1", 3)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("add vm:1 --failback", True),
        ("add vm:1 --failback 1", True),
        ("add vm:1 --failback=on", True),
        ("add vm:1 --failback yes", True),
        ("add vm:1 --failback 0", False),
        ("add vm:1 --failback off", False),
        ("add --failback vm:1", True),
        ("add vm:1 --failback --state started", True),
    ],
)
def test_a_boolean_may_stand_alone_or_say_yes_or_no(line: str, expected: bool) -> None:
    call = parse(line)
    assert call.values["failback"] is expected
    assert call.values["sid"] == "vm:1"
    assert call.given(["failback"]) == {"failback": int(expected)}


def test_commands_may_be_abbreviated_while_they_stay_unique() -> None:
    assert parse("stat").command.name == "status"
    assert parse("crm m vm:1").command.name == "crm-command migrate"
    assert parse("crm stop vm:1 0").values["timeout"] == 0


def test_a_negative_number_is_a_value_not_an_option() -> None:
    with pytest.raises(UsageError, match="verification failed") as caught:
        parse("crm stop vm:1 -5")
    assert caught.value.lines[1] == "timeout: value must have a minimum value of 0"


def test_an_empty_comment_is_a_value() -> None:
    assert TOOL.parse(["add", "vm:1", "--comment="]).values["comment"] == ""
    assert TOOL.parse(["add", "vm:1", "--comment", ""]).values["comment"] == ""


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("add", ["400 not enough arguments", ADD]),
        ("add vm:1 vm:2", ["400 too many arguments", ADD]),
        ("add vm:1 --nonsense 1", ["Unknown option: nonsense", "400 unable to parse option", ADD]),
        (
            "add vm:1 --max 1",
            ["Option max is ambiguous (max_restart, max_relocate)", "400 unable to parse option", ADD],
        ),
        ("add vm:1 --state", ["Option state requires an argument", "400 unable to parse option", ADD]),
        ("add -x", ["Unknown option: x", "400 unable to parse option", ADD]),
        ("nonsense", ["ERROR: unknown command 'tool nonsense', see 'tool help'"]),
        ("sta", ["ERROR: command 'sta' is not unique: start, status"]),
        ("crm-command", ["ERROR: no command specified after 'tool crm-command': one of migrate, stop"]),
        ("crm-command dance", ["ERROR: unknown command 'tool crm-command dance', see 'tool help'"]),
    ],
)
def test_what_cannot_be_understood_is_named(line: str, said: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        parse(line)
    assert list(caught.value.lines) == said


@pytest.mark.parametrize(
    ("option", "text"),
    [
        ("--state running", "state: value 'running' does not have a value in the enumeration 'started, stopped'"),
        ("--max_restart -1", "max_restart: value must have a minimum value of 0"),
        ("--max_restart 10", "max_restart: value must have a maximum value of 9"),
        ("--max_restart many", "max_restart: type check ('integer') failed - got 'many'"),
        ("--max_restart=", "max_restart: type check ('integer') failed - got ''"),
        ("--max_restart 1.5", "max_restart: type check ('integer') failed - got '1.5'"),
        ("--max_restart ²", "max_restart: type check ('integer') failed - got '²'"),
        ("--failback=maybe", "failback: type check ('boolean') failed - got 'maybe'"),
        (f"--comment {'x' * 31}", "comment: value may only be 30 characters long"),
    ],
)
def test_a_bad_value_is_named_with_its_option(option: str, text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(f"add vm:1 {option}")
    assert list(caught.value.lines) == ["400 Parameter verification failed.", text, ADD]


def test_every_bad_value_is_named_at_once() -> None:
    with pytest.raises(UsageError) as caught:
        parse("add vm:1 --state x --max_restart x")
    assert [line.partition(":")[0] for line in caught.value.lines[1:-1]] == ["max_restart", "state"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("", "sid: invalid format - value is empty"),
        ("vm:1\nvm:2", "sid: invalid format - line breaks and control characters are not allowed: 'vm:1 vm:2'"),
        ("vm\x1b[31m", "sid: invalid format - line breaks and control characters are not allowed: 'vm?[31m'"),
        ("x" * 1_000_000, "sid: value may only be 20 characters long"),
    ],
)
def test_a_name_that_is_none_is_refused_in_one_short_line(name: str, text: str) -> None:
    with pytest.raises(UsageError) as caught:
        TOOL.parse(["add", name])
    assert caught.value.lines[1] == text


def test_help_shows_usage_meaning_and_every_option() -> None:
    text = "\n".join(TOOL.help(["add", "--verbose"]))
    assert text.startswith("USAGE: tool add <sid> [OPTIONS]\n\n  Add one.\n")
    assert "--state          <started | stopped>" in text
    assert all(TOOL.usage(command) in "\n".join(TOOL.help([])) for command in TOOL.commands)


def test_a_list_may_be_given_piece_by_piece() -> None:
    call = parse("add vm:1 --delete comment --comment a --delete=state,failback --comment b")
    assert call.values["delete"] == "comment,state,failback"
    assert call.values["comment"] == "b"


@pytest.mark.parametrize("words", [["crm-command"], ["crm"], ["crm-command", "--verbose"]])
def test_help_for_the_first_words_of_several_commands_shows_them(words: list[str]) -> None:
    assert TOOL.help(words) == (
        "USAGE: tool crm-command stop <sid> <timeout>",
        "USAGE: tool crm-command migrate <sid>",
    )
