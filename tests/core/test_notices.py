"""What people are told: one message per incident opened, escalated and closed; never twice, never lost."""

from dataclasses import replace

from haven.core.message import MessageKind
from haven.core.notice_memory import silent_daemons
from haven.core.words import Cause, HoldCause, Kind, Level
from tests.core.notice_story import NOW_S, TERMS, Story, titles


def test_a_short_outage_is_one_message_that_says_both() -> None:
    story = Story()
    assert story.look(0.1, story.down(0)) == []
    [message] = story.look(0.5, story.up(0.4))
    assert message.title == "vm:102 (maas-102) is back after 0.4 s: its QEMU process died"
    assert message.body == (
        "Its QEMU process died, at +0 s. Restarted by haven on pve at +0.4 s.\n- state: off (crashed)"
    )
    assert (message.kind, message.cause, message.incident) == (MessageKind.CLOSED, "crash", "102-a")
    assert message.outage_s is not None
    assert abs(message.outage_s - 0.4) < 0.01


def test_a_kill_for_want_of_memory_is_told_as_one_although_it_looked_like_a_crash() -> None:
    story = Story()
    why = "the kernel killed its QEMU: the host had no memory left"
    lines = ("kernel: Out of memory: Killed process 7 (qemu-system-x86)",)
    story.look(0.1, story.down(0))
    evidence = story.line(0.1, Kind.VM_EVIDENCE, why, incident="102-a", cause=Cause.OOM_KILL, lines=lines)
    story.look(0.2, evidence)
    [message] = story.look(0.5, story.up(0.4))
    assert message.title == f"vm:102 (maas-102) is back after 0.4 s: {why}"
    assert message.cause == "oom_kill"
    assert message.body.endswith(f"- state: off (crashed)\n- {lines[0]}")


def test_an_outage_that_lasts_is_told_when_it_opens_and_when_it_is_over() -> None:
    story = Story()
    story.look(0.1, story.down(0))
    assert story.wake_s == NOW_S + 2
    [opened] = story.look(2.0)
    assert (opened.kind, opened.level) == (MessageKind.OPENED, Level.ERR)
    assert opened.title == "vm:102 (maas-102) is down: its QEMU process died"
    [closed] = story.look(840.1, story.up(840))
    assert closed.title == "vm:102 (maas-102) is back after 14 min: its QEMU process died"
    assert not story.memory.troubles
    assert story.look(99_999) == []


def test_one_that_is_back_and_does_not_answer_is_told_so() -> None:
    story = Story()
    story.look(0, story.down(0))
    sentence = (
        "runs again: its disks or network work, but its agent has not answered since the reset, after 660.00 s"
    )
    [_opened] = story.look(60)
    [closed] = story.look(660, story.line(660, Kind.VM_UP, sentence, level=Level.WARN, incident="102-a"))
    assert closed.title == "vm:102 (maas-102) is back after 11 min, but does not answer: its QEMU process died"
    assert f"Runs again: {sentence.removeprefix('runs again: ')}." in closed.body


def test_a_held_vm_is_one_more_message_and_its_repeats_are_counted() -> None:
    story = Story()
    story.look(3, story.down(0))
    [held] = story.look(7, story.held(7))
    assert held.title == "vm:102 (maas-102) is held: disk a.raw is missing"
    assert "haven explain vm:102" in held.body
    assert "its QEMU process died" in held.body
    assert story.look(3000, *(story.held(at_s) for at_s in (67, 200, 900))) == []
    [again] = story.look(3607)
    assert again.title.startswith("vm:102 (maas-102): 3 times more since +7 s: held for 60 s")
    assert story.look(7300) == []
    [closed] = story.look(7400, story.up(7400))
    assert closed.kind is MessageKind.CLOSED
    assert story.memory.troubles == {}


def test_a_crash_loop_is_told_once_with_the_end_that_filled_it() -> None:
    story = Story()
    [held] = story.look(0.1, story.down(0), story.held(0.01, HoldCause.CRASH_LOOP))
    assert "keeps crashing, and is held" in held.title
    assert held.incident == "102-a"
    assert story.look(100) == []


def test_a_hold_for_another_cause_is_news() -> None:
    story = Story()
    story.look(3, story.down(0))
    story.look(7, story.held(7))
    [held] = story.look(8, story.held(8, HoldCause.NOT_ENOUGH_MEMORY))
    assert held.kind is MessageKind.ESCALATED


def test_a_held_vm_without_an_incident_is_told_to_run_at_last() -> None:
    story = Story()
    story.look(0, story.held(0, incident=None))
    started = story.line(60, Kind.EXEC, "started", action="start", phase="ok")
    [runs] = story.look(60, started)
    assert runs.title == "vm:102 (maas-102) runs, after it was held for 60 s"
    assert story.look(61, story.line(61, Kind.EXEC, "started", action="start", phase="ok")) == []


def test_a_held_vm_with_an_incident_is_told_once_when_it_runs_at_last() -> None:
    story = Story()
    story.look(7, story.down(0), story.held(7))
    started = story.line(60, Kind.EXEC, "started", action="start", phase="ok")
    [closed] = story.look(60, started, story.up(60))
    assert closed.title == "vm:102 (maas-102) is back after 60 s: its QEMU process died"
    assert story.memory.troubles == {}


def test_an_incident_that_is_closed_without_a_restart_is_told() -> None:
    story = Story()
    story.look(3, story.down(0))
    closing = story.line(180, Kind.INCIDENT_CLOSED, "x", incident="102-a", how="stopped by root with qm stop")
    [closed] = story.look(180, closing)
    assert closed.title == "vm:102 (maas-102) is no longer brought back: stopped by root with qm stop"
    assert "3 min" in closed.body or "180 s" in closed.body


def test_what_was_told_of_an_incident_is_not_told_again_when_the_history_began_anew() -> None:
    story = Story()
    story.look(1, story.down(0), story.up(0.4))
    assert story.look(2, story.down(0), story.up(0.4)) == []
    assert story.look(60) == []


def test_the_end_of_an_incident_whose_beginning_is_lost_is_told() -> None:
    story = Story()
    [back] = story.look(5, story.up(5, outage_s=5))
    assert back.title == "vm:102 (maas-102) is back after 5.0 s: nobody told why"


def test_a_trouble_of_the_host_opens_and_closes() -> None:
    story = Story()
    low = story.line(0, Kind.STORAGE_LOW, "/srv: 4 % free", None, Level.WARN, mount="/srv")
    other = story.line(0, Kind.STORAGE_LOW, "/var: 3 % free", None, Level.WARN, mount="/var")
    assert titles(story.look(2, low, other)) == ["pve: /srv: 4 % free", "pve: /var: 3 % free"]
    [over] = story.look(600, story.line(600, Kind.STORAGE_OK, "/srv: 20 % free", None, mount="/srv"))
    assert over.title == "pve: /srv: 20 % free"
    assert "Before, for 10 min: pve: /srv: 4 % free" in over.body


def test_a_restart_of_libvirt_is_one_message() -> None:
    story = Story()
    story.look(0.5, story.line(0, Kind.HYPERVISOR_LOST, "libvirt does not answer", None, Level.ERR))
    back = story.line(1.2, Kind.HYPERVISOR_BACK, "libvirt answers again", None)
    [message] = story.look(1.3, back)
    assert "libvirt does not answer" in message.body
    assert story.look(60) == []


def test_a_check_that_fails_and_recovers() -> None:
    story = Story()
    ill = story.line(0, Kind.VM_CHECK, "unhealthy: no answer on port 5240", level=Level.WARN, check="web")
    [told] = story.look(3, ill)
    assert told.title == "vm:102 (maas-102): unhealthy: no answer on port 5240"
    [well] = story.look(9, story.line(9, Kind.VM_CHECK, "healthy again", check="web"))
    assert well.kind is MessageKind.CLOSED
    assert story.look(10, story.line(10, Kind.VM_CHECK, "healthy", check="web")) == []


def test_an_error_of_a_daemon_that_repeats_each_second_is_told_twice_an_hour() -> None:
    story = Story()
    errors = [
        story.line(n, Kind.DAEMON_ERROR, f"lrm: a look failed (number {n} since the start)", None, Level.ERR)
        for n in range(3000)
    ]
    [first] = story.look(3000, *errors)
    assert "a look failed" in first.title
    [again] = story.look(3700)
    assert "2999 times more" in again.title


def test_what_an_incident_tells_is_not_told_beside_it() -> None:
    story = Story()
    assert story.look(9, story.line(0, Kind.VM_HANG, "it hung", level=Level.ERR, incident="102-a")) == []


def test_a_drill_that_fails_is_told_and_one_that_passes_only_as_the_outage_it_is() -> None:
    story = Story()
    passed = story.line(0, Kind.DRILL_DONE, "drill passed", level=Level.NOTICE, incident="102-a")
    assert story.look(0, passed) == []
    failed = story.line(1, Kind.DRILL_DONE, "drill failed: held", level=Level.ERR, incident="102-a")
    assert titles(story.look(1, failed)) == ["vm:102 (maas-102): drill failed: held"]


def test_a_vm_that_is_only_observed_is_told_of_as_what_would_have_been_done() -> None:
    story = Story()
    sentence = "would have restarted it (its QEMU process died); it is only observed, so nothing was done"
    [would] = story.look(0, story.down(0), story.line(0, Kind.VM_WOULD, sentence, incident="102-a"))
    assert would.title == f"vm:102 (maas-102): {sentence}"


def test_each_check_of_a_vm_is_a_trouble_of_its_own() -> None:
    story = Story()
    web = story.line(0, Kind.VM_CHECK, "check web fails: no answer (3 times in a row)", level=Level.WARN)
    ssh = story.line(1, Kind.VM_CHECK, "check ssh fails: refused (3 times in a row)", level=Level.WARN)
    assert len(story.look(4, web, ssh)) == 2
    assert titles(story.look(9, story.line(9, Kind.VM_CHECK, "check web is good again"))) == [
        "vm:102 (maas-102): check web is good again"
    ]


def test_a_trouble_without_an_end_is_news_again_after_an_hour_of_silence() -> None:
    story = Story()
    for at_s in (0.0, 9000.0):
        line = story.line(at_s, Kind.VM_IO_ERROR, "vda: no space; it runs on", level=Level.WARN)
        assert story.look(at_s + 0.1, line) == []
        assert titles(
            story.look(
                at_s + 2,
            )
        ) == ["vm:102 (maas-102): vda: no space; it runs on"]


def test_a_hold_without_a_cause_says_its_sentence() -> None:
    story = Story()
    hold = story.line(0, Kind.VM_HELD, "hung again after 3 resets", level=Level.ERR)
    assert titles(story.look(0, hold)) == ["vm:102 (maas-102) is held: hung again after 3 resets"]


def test_a_daemon_that_is_silent_and_back() -> None:
    story = Story()
    silent = story.line(0, Kind.DAEMON_SILENT, "haven lrm: silent for 45 s", None, Level.ERR, daemon="lrm")
    other = story.line(0, Kind.DAEMON_SILENT, "haven crm: not running", None, Level.ERR, daemon="crm")
    assert len(story.look(2, silent, other)) == 2
    assert silent_daemons(story.memory) == ("lrm", "crm")
    back = story.line(60, Kind.DAEMON_BACK, "haven lrm works again", None, daemon="lrm")
    assert titles(story.look(60, back)) == ["pve: haven lrm works again"]


def test_a_node_daemon_that_begins_anew_tells_of_libvirt_anew() -> None:
    story = Story()
    for at_s in (0.0, 100.0):
        lost = story.line(at_s, Kind.HYPERVISOR_LOST, "libvirt does not answer", None, Level.ERR)
        assert len(story.look(at_s + 2, lost)) == 1
        story.look(at_s + 50, story.line(at_s + 50, Kind.DAEMON_STARTED, "lrm started on pve", None))


def test_a_reminder_is_told_at_once_and_each_time() -> None:
    story = Story()
    for at_s in (0, 10):
        line = story.line(at_s, Kind.MAINTENANCE_REMINDER, "maintenance ends in 10 min: new NIC")
        assert len(story.look(at_s, line)) == 1


def test_over_the_limit_everything_is_summed_up_in_one_message() -> None:
    story = Story(replace(TERMS, per_hour=3))
    lines = [line for n in range(5) for line in (story.down(n, f"i{n}"), story.up(n + 0.4, f"i{n}"))]
    sent = story.look(5, *lines)
    assert len(sent) == 3
    assert "summed up at +3605 s" in sent[-1].body
    assert story.wake_s == NOW_S + 3605
    assert story.look(3604) == []
    [summary] = story.look(3605)
    assert (summary.kind, summary.stands_for) == (MessageKind.SUMMARY, 2)
    assert summary.title == "pve: 2 messages more, kept back by the limit per hour"
    assert summary.body.count("is back after 0.4 s") == 2


def test_what_was_held_back_is_not_overtaken() -> None:
    story = Story(replace(TERMS, per_hour=1))
    for number in range(2):
        story.look(number, story.line(number, Kind.MAINTENANCE_REMINDER, f"reminder {number}"))
    [summary] = story.look(3700, story.line(3700, Kind.MAINTENANCE_REMINDER, "reminder 2"))
    assert summary.stands_for == 2
    assert summary.at_wall_s == NOW_S + 1, "since the first one was held back"
    assert summary.body.index("reminder 1") < summary.body.index("reminder 2")


def test_a_line_that_was_read_is_not_read_again() -> None:
    story = Story()
    line = story.line(0, Kind.MAINTENANCE_REMINDER, "maintenance ends in 10 min")
    assert len(story.look(0, line)) == 1
    assert story.look(1, line) == []


def test_a_clock_that_is_set_back_does_not_block_messages() -> None:
    story = Story(replace(TERMS, per_hour=1))
    story.look(0.5, story.down(0, "i0"), story.up(0.4, "i0"))
    story.look(-86400, story.line(-86400, Kind.MAINTENANCE_REMINDER, "one"))
    assert len(story.messages) == 2
