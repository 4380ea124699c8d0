"""A boot of the host is one message, whatever number of VMs it had; what is wrong after it is not hidden in it."""

from dataclasses import replace

import pytest

from haven.core.codec import decode, encode
from haven.core.ending import HOST_STOPS
from haven.core.message import Message, MessageKind
from haven.core.notice_memory import NoticeMemory
from haven.core.notices import Happened
from haven.core.words import Cause, HoldCause, Kind, Level
from tests.core.notice_story import NOW_S, TERMS, Story

LOST_POWER = "the host was rebooted or lost power"
AWAY_S = 250.0


def name(number: int) -> str:
    return f"vm:{number}"


class Boot(Story):
    """A host whose VMs are all found down at the moment 0, last seen AWAY_S before."""

    def __init__(self, *numbers: int, per_hour: int = 1000) -> None:
        super().__init__(replace(TERMS, per_hour=per_hour, named=lambda sid: f"web-{sid[3:]}"))
        self.numbers = numbers

    def gone(self, number: int, at_s: float = 0.0, sentence: str = LOST_POWER, away_s: float = AWAY_S) -> Happened:
        return self.line(
            at_s, Kind.VM_DOWN, sentence, name(number), Level.ERR, incident=f"{number}-{at_s:g}",
            name=f"web-{number}", cause=Cause.HOST_BOOT, opened_wall_s=NOW_S + at_s - away_s,
        )  # fmt: skip

    def went_down(self) -> list[Message]:
        return self.look(0.1, *map(self.gone, self.numbers))

    def back(self, number: int, at_s: float, since_s: float = 0.0) -> Happened:
        return self.up(at_s, f"{number}-{since_s:g}", name(number))

    def keep_held(self, number: int, at_s: float) -> Happened:
        return replace(
            self.held(at_s, HoldCause.DISK_MISSING, f"{number}-0"),
            event=replace(self.held(at_s, HoldCause.DISK_MISSING, f"{number}-0").event, sid=name(number)),
        )


def test_twenty_vms_are_one_message_when_the_last_one_runs() -> None:
    boot = Boot(*range(101, 121))
    assert boot.went_down() == []
    for number in boot.numbers:
        assert boot.look(number - 90.0, boot.back(number, number - 90.0)) == []
    [message] = boot.look(32.0)
    assert message.title == "pve was down for 4 min: all 20 VMs run again"
    assert message.body == (
        "It was rebooted or lost power: away from +-250 s to +0 s."
        " The slowest was vm:120 (web-120), 30 s after that."
    )
    assert (message.kind, message.level, message.sid, message.incident) == (MessageKind.CLOSED, Level.INFO, "", "")
    assert boot.memory.troubles == {}
    assert boot.memory.boot is None
    assert boot.look(99_999.0) == []


def test_monitors_of_single_vms_hear_of_each_as_without_it() -> None:
    boot = Boot(101, 102)
    boot.went_down()
    boot.look(2.0)
    boot.look(9.0, boot.back(101, 8.0), boot.back(102, 9.0))
    kinds = [(one.kind, one.sid) for one in boot.raised if one.incident]
    assert kinds == [
        (MessageKind.OPENED, "vm:101"),
        (MessageKind.OPENED, "vm:102"),
        (MessageKind.CLOSED, "vm:101"),
        (MessageKind.CLOSED, "vm:102"),
    ]


def test_one_vm_is_named() -> None:
    boot = Boot(102)
    boot.went_down()
    [message] = boot.look(11.0, boot.back(102, 5.0), boot.line(11.0, Kind.VM_NOTE))
    assert message.title == "pve was down for 4 min: vm:102 (web-102) runs again"
    assert "It was vm:102 (web-102), 5.0 s after that." in message.body


def test_what_is_missing_is_named_and_told_together_when_it_comes() -> None:
    boot = Boot(*range(101, 107))
    boot.went_down()
    boot.look(10.0, boot.back(101, 10.0))
    assert boot.wake_s == NOW_S + 130.0
    assert boot.look(129.9) == []
    [message] = boot.look(130.0)
    assert message.title == (
        "pve was down for 4 min: 1 of 6 VMs run again, not vm:102 (web-102), vm:103 (web-103), vm:104 (web-104),"
        " vm:105 (web-105) and 1 more"
    )
    assert "- vm:106 (web-106) is not up yet" in message.body
    assert (message.kind, message.level) == (MessageKind.NOTE, Level.WARN)
    assert boot.look(400.0, *(boot.back(number, 400.0) for number in (104, 105))) == []
    assert boot.wake_s == NOW_S + 410.0
    [late] = boot.look(410.0)
    assert late.title == "2 more VMs run again, 7 min after pve was booted: vm:104 (web-104), vm:105 (web-105)"
    assert late.body.startswith("3 of those that went down with the host do not yet.\n- vm:102 (web-102)")
    boot.look(900.0, boot.back(106, 800.0))
    boot.look(950.0, *(boot.back(number, 950.0) for number in (102, 103)))
    [last] = boot.look(999.0)
    assert (last.body, last.level) == ("Now all of them run.", Level.INFO)
    assert boot.memory.boot is None
    assert [one.title for one in boot.messages[2:]] == [
        "vm:106 (web-106) runs again, 13 min after pve was booted",
        "2 more VMs run again, 16 min after pve was booted: vm:102 (web-102), vm:103 (web-103)",
    ]


def test_vms_that_come_one_after_the_other_are_waited_for_but_not_for_ever() -> None:
    boot = Boot(*range(101, 111))
    boot.went_down()
    for number in range(101, 106):
        at_s = 100.0 * (number - 100)
        assert boot.look(at_s, boot.back(number, at_s)) == []
    [message] = boot.look(600.0, boot.back(106, 600.0))
    assert message.title.startswith("pve was down for 4 min: 5 of 10 VMs run again, not vm:106 (web-106), vm:107")


def test_storage_that_is_late_is_two_messages_and_not_two_for_each_vm() -> None:
    boot = Boot(*range(101, 121))
    boot.went_down()
    boot.look(2.0, *(boot.keep_held(number, 2.0) for number in boot.numbers))
    assert boot.look(31.9) == []
    [message] = boot.look(32.0)
    assert message.title.startswith("pve was down for 4 min: 0 of 20 VMs run again, not vm:101 (web-101), vm:102")
    assert message.body.count("is held: disk a.raw is missing") == 20
    assert message.level is Level.ERR
    for number in boot.numbers:
        at_s = number - 41.0
        started = boot.line(at_s, Kind.EXEC, "started", name(number), action="start", phase="ok")
        assert boot.look(at_s, started, boot.back(number, at_s)) == []
    [late] = boot.look(100.0)
    assert late.title.startswith("20 more VMs run again, 79 s after pve was booted: vm:101 (web-101),")
    assert late.title.endswith("and 16 more")
    assert boot.memory.troubles == {}
    assert boot.memory.boot is None


def test_storage_that_is_just_a_little_late_is_nothing_to_tell() -> None:
    boot = Boot(101, 102)
    boot.went_down()
    boot.look(2.0, *(boot.keep_held(number, 2.0) for number in boot.numbers))
    boot.look(20.0, boot.back(101, 20.0), boot.back(102, 20.0))
    [message] = boot.look(22.0)
    assert message.title == "pve was down for 4 min: both VMs run again"


def test_a_vm_that_is_held_after_the_boot_was_told_is_told_at_once() -> None:
    boot = Boot(101, 102)
    boot.went_down()
    boot.look(125.0, boot.back(101, 3.0), boot.line(125.0, Kind.VM_NOTE))
    [held] = boot.look(300.0, boot.keep_held(102, 300.0))
    assert held.title == "vm:102 (web-102) is held: disk a.raw is missing"


def test_one_that_somebody_stops_meanwhile_is_told_and_waited_for_no_longer() -> None:
    boot = Boot(101, 102)
    boot.went_down()
    stopped = boot.line(5.0, Kind.INCIDENT_CLOSED, "x", "vm:102", incident="102-0", how="stopped by root")
    [closed] = boot.look(5.0, stopped)
    assert closed.title == "vm:102 (web-102) is no longer brought back: stopped by root"
    [message] = boot.look(9.0, boot.back(101, 6.0), boot.line(9.0, Kind.VM_NOTE))
    assert message.title.endswith("vm:101 (web-101) runs again")
    boot.look(20.0, boot.gone(103, 20.0))
    boot.look(30.0, boot.line(30.0, Kind.INCIDENT_CLOSED, "x", "vm:103", incident="103-20", how="stopped by root"))
    assert boot.look(999.0) == []
    assert boot.memory.boot is None


def test_a_shutdown_in_order_is_told_when_the_host_is_back_however_long_it_was_off() -> None:
    boot = Boot(101, 102)
    month_s = 30 * 86400.0
    boot.look(0.0, *(boot.gone(number, 0.0, HOST_STOPS, 0.0) for number in boot.numbers))
    assert boot.look(3.0) == []
    assert boot.look(month_s) == []
    started = boot.line(month_s + 1, Kind.DAEMON_STARTED, "lrm 1 started", None)
    assert boot.look(month_s + 2, started, boot.back(101, month_s + 2)) == []
    [message] = boot.look(month_s + 6, boot.back(102, month_s + 3), boot.line(month_s + 6, Kind.VM_NOTE))
    assert message.title == "pve was down for 720 h: both VMs run again"
    assert message.body.startswith("It was shut down in order: away from")


def test_a_shutdown_that_did_not_come_to_its_end_is_told_when_the_vms_run() -> None:
    boot = Boot(101)
    boot.look(0.0, boot.gone(101, 0.0, HOST_STOPS, 0.0))
    [message] = boot.look(40.0, boot.back(101, 30.0), boot.line(40.0, Kind.VM_NOTE))
    assert message.title.endswith("vm:101 (web-101) runs again")


def test_two_boots_in_a_row_are_two_messages() -> None:
    boot = Boot(101, 102)
    boot.went_down()
    boot.look(5.0, boot.back(101, 5.0))
    [first] = boot.look(60.0, boot.gone(101, 60.0, away_s=30.0))
    assert first.title == "pve was down for 4 min: 1 of 2 VMs run again, not vm:102 (web-102)"
    [second] = boot.look(70.0, boot.back(101, 62.0, 60.0), boot.line(70.0, Kind.VM_NOTE))
    assert second.title == "pve was down for 30 s: vm:101 (web-101) runs again"
    assert first.key != second.key
    assert boot.look(500.0, boot.back(102, 400.0))[0].title.startswith("vm:102 (web-102) is back after")


def test_a_shutdown_after_a_boot_is_another_boot() -> None:
    boot = Boot(101)
    boot.went_down()
    boot.look(5.0, boot.back(101, 5.0))
    [first] = boot.look(5.5, boot.gone(101, 5.5, HOST_STOPS, 0.0))
    assert first.title.endswith("vm:101 (web-101) runs again")
    assert boot.look(9999.0) == []


def test_a_problem_of_the_same_hour_still_has_room_under_the_limit() -> None:
    boot = Boot(*range(101, 131), per_hour=3)
    boot.went_down()
    [message] = boot.look(
        20.0, *(boot.back(number, 9.0) for number in boot.numbers), boot.line(20.0, Kind.VM_NOTE)
    )
    assert message.title.endswith("all 30 VMs run again")
    [crash] = boot.look(99.0, boot.down(30.0, "102-b"))
    assert crash.title == "vm:102 (maas-102) is down: its QEMU process died"


@pytest.mark.parametrize("cut", range(5))
def test_it_goes_on_where_a_killed_api_ended(cut: int) -> None:
    boot = Boot(101, 102)
    lines = [
        boot.gone(101),
        boot.gone(102),
        boot.back(101, 4.0),
        boot.back(102, 6.0),
        boot.line(9.0, Kind.VM_NOTE),
    ]
    told = boot.look(lines[cut].at_wall_s - NOW_S, *lines[: cut + 1])
    boot.memory = decode(NoticeMemory, encode(boot.memory))
    told += boot.look(9.0, *lines[cut + 1 :])
    assert [one.title for one in told] == ["pve was down for 4 min: both VMs run again"]


def test_a_host_whose_clock_is_set_forward_while_it_boots() -> None:
    """Its battery is dead: it believes in a day long past until its router VM is up."""
    boot, years_s = Boot(101, 102), 6 * 365 * 86400.0
    boot.look(0.1, *(boot.gone(number, 0.0, away_s=-years_s) for number in boot.numbers))
    boot.look(5.0, boot.back(101, 5.0))
    [first] = boot.look(years_s)
    assert first.title == "pve was down: 1 of 2 VMs run again, not vm:102 (web-102)"
    [late] = boot.look(years_s + 30, boot.back(102, years_s + 9))
    assert late.title.startswith("vm:102 (web-102) runs again, ")


def test_a_clock_that_is_set_back_delays_nothing_for_long() -> None:
    boot, year_s = Boot(101), 365 * 86400.0
    boot.look(year_s, boot.gone(101, year_s))
    boot.look(1.0, boot.line(1.0, Kind.VM_NOTE))
    [message] = boot.look(200.0)
    assert message.title.endswith("0 of 1 VMs run again, not vm:101 (web-101)")
    low = boot.line(year_s, Kind.STORAGE_LOW, "/srv: 4 % free", None, Level.WARN, mount="/srv")
    assert boot.look(year_s, low) == []
    assert [one.title for one in boot.look(200.0)] == ["pve: /srv: 4 % free"]
