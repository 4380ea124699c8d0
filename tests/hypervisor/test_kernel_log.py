"""The kernel's log: a kill as it was recorded on a real machine, and the shapes that other kernels give it."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from haven.core.oom import KernelKill
from haven.hypervisor.kernel_log import KILLS_KEPT, Record, parse_kills, parse_record, read_kills

RECORDED = rb"""4,344,1025326195,-;CPU 0/TCG invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL), order=0, oom_score_adj=0
4,345,1025326221,-;CPU: 0 UID: 0 PID: 15711 Comm: CPU 0/TCG Not tainted 6.18.44 #1 PREEMPT(none)
4,346,1025326333,-;Call Trace:
4,350,1025328148,-; oom_kill_process.cold+0x8/0x8a
6,373,1025329646,-;memory: usage 8192kB, limit 8192kB, failcnt 0
6,374,1025329661,-;memory+swap: usage 8192kB, limit 8192kB, failcnt 0
6,375,1025329662,-;kmem: usage 24kB, limit 9007199254740988kB, failcnt 0
6,376,1025329664,-;Memory cgroup stats for /haven-try:
6,420,1025330246,-;[  pid  ]   uid  tgid total_vm      rss rss_anon rss_file rss_shmem name
6,421,1025330249,-;[  15705]     0 15705   384992    27517    19738     7779         0 qemu-system-x86
6,422,1025330253,-;oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=/haven-try,task_memcg=/haven-try,task=qemu-system-x86,pid=15705,uid=0
3,423,1025330286,-;Memory cgroup out of memory: Killed process 15705 (qemu-system-x86) total-vm:1539968kB, anon-rss:78952kB, file-rss:31116kB, shmem-rss:0kB, UID:0 pgtables:380kB oom_score_adj:0
"""  # noqa: E501 - as the kernel wrote it

HOST_WIDE = (
    "postgres invoked oom-killer: gfp_mask=0x140cca(GFP_HIGHUSER_MOVABLE|__GFP_COMP), order=0, oom_score_adj=0",
    (
        "oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,global_oom,"
        "task_memcg=/machine.slice/machine-qemu\\x2d3\\x2dmaas.scope,task=qemu-system-x86,pid=4711,uid=64055"
    ),
    (
        "Out of memory: Killed process 4711 (qemu-system-x86) total-vm:9000000kB, anon-rss:8388608kB,"
        " file-rss:1024kB, shmem-rss:0kB, UID:64055 pgtables:17000kB oom_score_adj:0"
    ),
)


def records(*texts: str, at_s: float = 100.0) -> Iterator[Record]:
    return (Record(at_s, text) for text in texts)


def test_a_recorded_kill_in_a_cgroup() -> None:
    [kill] = parse_kills(map(parse_record, RECORDED.splitlines(keepends=True)), now_s=1026.0)
    assert (kill.pid, kill.program, kill.cgroup, kill.limited) == (15705, "qemu-system-x86", *["/haven-try"] * 2)
    assert (kill.limit_mib, kill.rss_mib, kill.age_s) == (8, 107, 0.67)
    assert [line.split(":")[0] for line in kill.lines] == [
        "CPU 0/TCG invoked oom-killer",
        "memory",
        "oom-kill",
        "Memory cgroup out of memory",
    ]


def test_a_host_without_memory_has_no_limit() -> None:
    [kill] = parse_kills(records(*HOST_WIDE), now_s=101.0)
    assert (kill.pid, kill.limited, kill.limit_mib) == (4711, "", None)
    assert kill.cgroup == "/machine.slice/machine-qemu\\x2d3\\x2dmaas.scope"
    assert kill.rss_mib == 8193


def test_the_last_line_alone_is_enough_and_what_came_before_is_not_taken_for_its_own() -> None:
    """The kernel leaves out the others when there are many."""
    told = [*records(*HOST_WIDE), *records(HOST_WIDE[-1].replace("4711", "4712"), at_s=160.0)]
    first, second = parse_kills(told, now_s=161.0)
    assert len(first.lines) == 3
    assert (second.pid, second.cgroup, len(second.lines), second.age_s) == (4712, "", 1, 1.0)


@pytest.mark.parametrize(
    "line",
    [
        "Killed process 4711 (qemu-system-x86) total-vm:9000000kB, anon-rss:8388608kB, file-rss:0kB",  # Linux 4
        "Killed process 4711 (qemu-system-x86), UID 64055, total-vm:9000000kB, anon-rss:8388608kB",  # Linux 5.0
        "Tasks killed. Killed process 4711 (qemu-system-x86) total-vm:9000000kB, anon-rss:8388608kB",
    ],
)
def test_the_line_of_other_kernels(line: str) -> None:
    [kill] = parse_kills(records(line), now_s=100.0)
    assert (kill.pid, kill.program, kill.rss_mib) == (4711, "qemu-system-x86", 8192)


def test_a_name_with_brackets() -> None:
    [kill] = parse_kills(records("Killed process 7 (a (b) c) total-vm:1kB, anon-rss:1024kB"), now_s=100.0)
    assert kill.program == "a (b) c"


def test_only_the_newest_kills_are_kept() -> None:
    told = (f"Killed process {pid} (x) total-vm:1kB" for pid in range(100))
    kills = parse_kills(records(*told), now_s=100.0)
    assert [kill.pid for kill in kills] == list(range(100 - KILLS_KEPT, 100))


@pytest.mark.parametrize("raw", [b"", b"no record", b"6,1,x,-;text\n", b"6;text\n", b"\xff\xfe;\xff\n"])
def test_what_is_no_record_breaks_nothing(raw: bytes) -> None:
    assert parse_kills([parse_record(raw)], now_s=1.0) == ()


def test_a_continuation_belongs_to_its_record() -> None:
    assert parse_record(b"6,1,2000000,-;eth0: up\n SUBSYSTEM=net\n DEVICE=+net:eth0\n") == Record(2.0, "eth0: up")


def test_a_log_that_is_not_there_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_kills(tmp_path / "kmsg")


@pytest.mark.skipif(not os.access("/dev/kmsg", os.R_OK), reason="/dev/kmsg cannot be read here")
def test_the_real_log_is_read_to_its_end() -> None:
    assert all(isinstance(kill, KernelKill) for kill in read_kills(Path("/dev/kmsg")))
