"""Which traces make an end an OOM kill, and which do not."""

from dataclasses import replace

import pytest

from haven.core.oom import CounterRise, KernelKill, OomTraces, judge

LINE = "Out of memory: Killed process 4711 (qemu-system-x86)"
KILL = KernelKill(4711, "qemu-system-x86", 0.2, (LINE,), cgroup="/machine.slice/vm", rss_mib=900)
LIMITED = replace(KILL, limited="/machine.slice", limit_mib=1024)
NOTHING = OomTraces(4711, age_s=600.0, cgroup="/machine.slice/vm")
ELSEWHERE = replace(NOTHING, kernel_pid=None)
"""Seen from a PID namespace: the kernel's pids are not ours."""

ROSE = CounterRise("/machine.slice/vm", 3, 4, victims=1)

KILLED = {
    "by its pid": replace(NOTHING, kills=(KILL,)),
    "by its pid, whatever its program is called": replace(NOTHING, kills=(replace(KILL, program="kvm"),)),
    "long ago, while haven was away": replace(NOTHING, kills=(replace(KILL, age_s=500.0),)),
    "by its cgroup where pids do not compare": replace(ELSEWHERE, kills=(replace(KILL, pid=15705),)),
    "two of two in one cgroup": replace(ELSEWHERE, victims=2, kills=(KILL, replace(KILL, pid=1))),
    "by the counter, without a log": replace(NOTHING, rise=ROSE, unread="/dev/kmsg: No such file or directory"),
    "by the counter, with a log that tells nothing": replace(NOTHING, rise=ROSE),
    "by the counter of a cgroup above": replace(ELSEWHERE, rise=replace(ROSE, cgroup="/machine.slice")),
}
NOT_KILLED = {
    "no traces": NOTHING,
    "another process": replace(NOTHING, kills=(replace(KILL, pid=4712),)),
    "the same pid before it was started": replace(NOTHING, kills=(replace(KILL, age_s=700.0),)),
    "another cgroup": replace(ELSEWHERE, kills=(replace(KILL, cgroup="/machine.slice/other"),)),
    "no QEMU": replace(ELSEWHERE, kills=(replace(KILL, program="postgres"),)),
    "its cgroup, but long ago": replace(ELSEWHERE, kills=(replace(KILL, age_s=120.0),)),
    "its cgroup is not known": replace(ELSEWHERE, cgroup="", kills=(replace(KILL, cgroup=""),)),
    "one of two in one cgroup": replace(ELSEWHERE, victims=2, kills=(KILL,)),
    "a counter that stands still": replace(NOTHING, rise=replace(ROSE, after=3)),
    "a counter that rose for one of two": replace(NOTHING, rise=replace(ROSE, victims=2)),
    "a counter that rose for a process that the log names": replace(
        NOTHING, rise=ROSE, kills=(replace(KILL, pid=4712),)
    ),
}


@pytest.mark.parametrize("traces", KILLED.values(), ids=KILLED)
def test_killed_for_want_of_memory(traces: OomTraces) -> None:
    assert judge(traces) is not None


@pytest.mark.parametrize("traces", NOT_KILLED.values(), ids=NOT_KILLED)
def test_without_evidence_it_is_none(traces: OomTraces) -> None:
    assert judge(traces) is None


def test_the_kernel_s_own_words_are_the_evidence() -> None:
    kill = judge(replace(NOTHING, kills=(LIMITED,)))
    assert kill is not None
    assert kill.lines == (f"kernel: {LINE}",)
    assert kill.rss_mib == 900
    assert (
        kill.sentence
        == "the kernel killed its QEMU: the limit of 1 GiB of memory cgroup /machine.slice was reached"
    )


def test_a_counter_says_what_it_is_and_why_there_is_no_more() -> None:
    kill = judge(replace(NOTHING, rise=ROSE, unread="/dev/kmsg: Operation not permitted"))
    assert kill is not None
    assert kill.lines == (
        "OOM kills in memory cgroup /machine.slice/vm: 3 at the look before, 4 now",
        "the kernel's log tells nothing: /dev/kmsg: Operation not permitted",
    )


def test_of_two_kills_with_its_pid_the_later_one_is_told() -> None:
    early = replace(KILL, age_s=300.0, lines=("early",))
    kill = judge(replace(NOTHING, kills=(early, KILL)))
    assert kill is not None
    assert kill.lines == (f"kernel: {LINE}",)
