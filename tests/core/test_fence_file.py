"""The fencing device file (spec 6.9): commands by try and node, and everything that is wrong with it."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from haven.core.fence_file import (
    ConnectLine,
    DeviceLine,
    FenceError,
    FenceFault,
    FenceFile,
    FenceFileError,
    fence_file,
    parse_fence_file,
)


def wrong_with(text: str) -> list[FenceError]:
    with pytest.raises(FenceFileError) as raised:
        parse_fence_file(text)
    return list(raised.value.errors)


def test_a_command_is_the_agent_with_the_arguments_of_the_device_and_of_the_connection() -> None:
    file = parse_fence_file("device ipmi fence_ipmilan ip=10.0.0.1 lanplus\nconnect ipmi node=node1 plug=3\n")
    assert file.tries("node1") == ((("fence_ipmilan", "--ip=10.0.0.1", "--lanplus", "--plug=3"),),)


def test_arguments_of_one_letter_are_given_with_one_dash_and_the_value_as_its_own_word() -> None:
    file = parse_fence_file("device d fence_x a=10.0.0.1 v x= long= q=a=b pass=a=b\nconnect d node=n")
    ((argv,),) = file.tries("n")
    assert argv[1:] == ("-a", "10.0.0.1", "-v", "-x", "", "--long=", "-q", "a=b", "--pass=a=b")


def test_only_the_word_that_selects_the_node_is_not_passed_on() -> None:
    file = parse_fence_file("device d fence_x node=one\nconnect d node=n plug=1 node=two")
    assert file.tries("n") == ((("fence_x", "--node=one", "--plug=1", "--node=two"),),)


def test_devices_are_tried_in_the_order_of_their_first_declaration() -> None:
    file = parse_fence_file(
        "device b fence_b\ndevice a fence_a\ndevice b:2 fence_b2\n"
        "connect a node=n\nconnect b node=n\nconnect b:2 node=n\n"
    )
    assert file.tries("n") == ((("fence_b",), ("fence_b2",)), (("fence_a",),))


def test_a_try_is_the_next_device_that_the_node_is_connected_to_not_the_next_in_the_file() -> None:
    file = parse_fence_file(
        "device a fence_a\ndevice b fence_b\nconnect a node=m\nconnect b node=n\nconnect b node=m"
    )
    assert file.commands_per_try(["m", "n", "nobody"]) == (
        {"m": (("fence_a",),), "n": (("fence_b",),), "nobody": ()},
        {"m": (("fence_b",),), "n": (), "nobody": ()},
        {"m": (), "n": (), "nobody": ()},
    )


def test_parallel_devices_are_run_by_number_not_by_text() -> None:
    numbers = (10, 2, 1)
    declared = "".join(f"device d:{number} fence_{number}\n" for number in numbers)
    connected = "".join(f"connect d:{number} node=n\n" for number in numbers)
    assert parse_fence_file(declared + connected).tries("n") == ((("fence_1",), ("fence_2",), ("fence_10",)),)


def test_without_a_number_it_is_device_number_one() -> None:
    assert parse_fence_file("device d:1 fence_x\nconnect d node=n").tries("n") == ((("fence_x",),),)


def test_a_node_may_hang_on_some_of_the_parallel_devices_only() -> None:
    file = parse_fence_file("device d fence_1\ndevice d:2 fence_2\nconnect d:2 node=n")
    assert file.tries("n") == ((("fence_2",),),)


def test_another_parallel_device_may_be_declared_after_the_first_is_connected() -> None:
    file = parse_fence_file("device d a\nconnect d node=n\ndevice d:2 b\nconnect d:2 node=n")
    assert file.tries("n") == ((("a",), ("b",)),)


@pytest.mark.parametrize("number", ["", "x", "-1", "1:2", "9" * 10, "9" * 10_000, "\u0663"])
def test_a_number_is_up_to_nine_digits(number: str) -> None:
    assert wrong_with(f"device d:{number} fence_x") == [FenceError(1, FenceFault.BAD_DEVICE_NAME)]
    assert parse_fence_file("device d:999999999 fence_x").devices[0].name == "d"


def test_comments_and_empty_lines_are_no_lines_but_count() -> None:
    text = (
        "# power\r\n\n \t \n  device d fence_x pass=a#b #c x\n#connect d node=n\nconnect d node=n # rack 3\nhm\n"
    )
    assert wrong_with(text) == [FenceError(7, FenceFault.UNKNOWN_LINE)]
    assert parse_fence_file(text.removesuffix("hm\n")).tries("n") == ((("fence_x", "--pass=a#b"),),)


def test_quotes_and_other_letters_are_taken_as_they_are() -> None:
    file = parse_fence_file('device d fence_x pass=12"345 user=fäöµ€\u00a0\u0085x\nconnect d node=n')
    assert file.tries("n") == ((("fence_x", '--pass=12"345', "--user=fäöµ€\u00a0\u0085x"),),)


def test_an_empty_file_has_no_tries() -> None:
    assert parse_fence_file("") == FenceFile()
    assert FenceFile().commands_per_try(["n"]) == ({"n": ()},)
    assert FenceFile().commands_per_try([]) == ({},)


def test_everything_that_is_wrong_is_told_with_its_line() -> None:
    text = "\n".join(
        [
            "connect d node=n",
            "device d fence_x",
            "device d:1 fence_y",
            "connect d node=n",
            "connect d:01 node=n plug=2",
            "connect d:2 node=n",
            "device",
            "device :1 fence_x",
            "connect d:x node=n",
            "device e:7",
            "connect d",
            "connect d n",
            "connect d node=",
            "fence d node=n",
        ]
    )
    assert wrong_with(text) == [
        FenceError(1, FenceFault.CONNECT_BEFORE_DEVICE, "d", 1),
        FenceError(3, FenceFault.DEVICE_DECLARED_TWICE, "d", 1),
        FenceError(5, FenceFault.NODE_CONNECTED_TWICE, "d", 1, "n"),
        FenceError(6, FenceFault.CONNECT_BEFORE_DEVICE, "d", 2),
        FenceError(7, FenceFault.BAD_DEVICE_NAME),
        FenceError(8, FenceFault.BAD_DEVICE_NAME),
        FenceError(9, FenceFault.BAD_DEVICE_NAME),
        FenceError(10, FenceFault.AGENT_MISSING, "e", 7),
        FenceError(11, FenceFault.NODE_MISSING, "d", 1),
        FenceError(12, FenceFault.NODE_MISSING, "d", 1),
        FenceError(13, FenceFault.NODE_MISSING, "d", 1),
        FenceError(14, FenceFault.UNKNOWN_LINE),
    ]


@pytest.mark.parametrize("arg", ["=secret", "--ip=secret", "-s", "pass=secret\0", "\0"])
def test_an_argument_that_no_agent_would_take_is_refused_and_not_quoted(arg: str) -> None:
    (error,) = wrong_with(f"device d fence_x ok=1 {arg}\nconnect d node=n")
    assert (error.line, error.fault) == (1, FenceFault.BAD_ARGUMENT)
    assert "secret" not in str(error)
    assert wrong_with(f"device d fence_x\nconnect d node=n {arg}")[0].line == 2
    assert wrong_with(f"device d {arg.removeprefix('pass=')}")[0].fault is FenceFault.BAD_ARGUMENT


def test_a_device_keeps_its_first_declaration_for_what_follows() -> None:
    """One mistake, one error: what is connected to it is judged as if the second line were not there."""
    assert [one.line for one in wrong_with("device d a\nconnect d node=n\ndevice d b\nconnect d node=m")] == [3]


def test_the_same_node_may_hang_on_several_devices_and_numbers() -> None:
    file = parse_fence_file(
        "device d a\ndevice d:2 b\ndevice e c\nconnect d node=n\nconnect d:2 node=n\nconnect e node=n"
    )
    assert file.tries("n") == ((("a",), ("b",)), (("c",),))


def test_the_error_reads_as_one_line_that_says_what_to_do() -> None:
    with pytest.raises(FenceFileError) as raised:
        parse_fence_file("connect d node=n\ndevice e a\ndevice e b")
    assert str(raised.value) == (
        "line 1: device 'd:1' is not declared yet: put its device line before this one; "
        "line 3: device 'e:1' is declared twice: give one of the two another number"
    )


@pytest.mark.parametrize("fault", list(FenceFault))
def test_every_fault_has_a_sentence_with_its_line(fault: FenceFault) -> None:
    assert str(FenceError(7, fault, "d", 2, "n")).startswith("line 7: ")
    assert "{" not in str(FenceError(7, fault))


def test_no_password_is_shown_when_a_line_is() -> None:
    line = DeviceLine(1, "d", 1, "fence_x", ("password=secret",))
    assert "secret" not in repr(parse_fence_file("device d fence_x password=secret\nconnect d node=n p=secret"))
    assert "secret" not in repr(line)


def test_lines_that_are_already_split_are_put_together_the_same_way() -> None:
    split = (DeviceLine(1, "d", 1, "fence_x", ("a=1",)), ConnectLine(2, "d", 1, "n", ("plug=2",)))
    assert fence_file(split) == parse_fence_file("device d fence_x a=1\nconnect d node=n plug=2")


words = st.sampled_from(
    ["device", "connect", "d", "d:2", "e", "node=n", "node=m", "fence_x", "a=1", "-", "=", "#", "\0"]
)
files = st.lists(st.lists(words | st.text(max_size=5), max_size=6).map(" ".join), max_size=8).map("\n".join)


@settings(deadline=None)
@given(files | st.text())
def test_no_text_raises_anything_but_the_errors_of_the_file(text: str) -> None:
    try:
        file = parse_fence_file(text)
    except FenceFileError as wrong:
        lines = [error.line for error in wrong.errors]
        assert lines == sorted(lines)
        assert lines[0] >= 1
        assert lines[-1] <= text.count("\n") + 1
        assert "\n" not in str(wrong)
    else:
        assert file.commands_per_try(["n", "m"])[-1] == {"n": (), "m": ()}


@settings(deadline=None)
@given(files)
def test_what_is_read_can_be_run(text: str) -> None:
    with contextlib.suppress(FenceFileError):
        for commands in parse_fence_file(text).tries("n"):
            assert commands
            for argv in commands:
                assert all("\0" not in word for word in argv)
