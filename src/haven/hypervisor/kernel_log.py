"""The kernel's log, as far as it tells of kills for want of memory."""

import errno
import os
import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from haven.core.oom import KernelKill

KILLS_KEPT = 16
MAX_LINE_CHARACTERS = 400

_RECORD_BYTES = 16384
"""More than any record has: a smaller read fails with EINVAL."""

_RECORDS_READ = 200_000
_TOGETHER_S = 1.0
"""The lines of one kill follow each other at once. The kernel leaves out all but the last when there are many."""

_INVOKED = re.compile(r"invoked oom-killer")
_LIMIT = re.compile(r"^memory: usage \d+kB, limit (\d+)kB")
_CONSTRAINT = re.compile(r"^oom-kill:constraint=")
_FIELD = re.compile(r"(oom_memcg|task_memcg|global_oom)(?:=([^,]*))?")
_KILLED = re.compile(r"Killed process (\d+) \((.*?)\)(?:,| total-vm)")
_RSS = re.compile(r"(?:anon|file|shmem)-rss:(\d+)kB")
_KIB_PER_MIB = 1024
_BLANK = KernelKill(0, "", 0.0, ())


@dataclass(frozen=True, slots=True)
class Record:
    """One line of the kernel's log, `at_s` on the log's own clock: seconds since the boot."""

    at_s: float
    text: str


def read_kills(device: Path) -> tuple[KernelKill, ...]:
    """The newest kills that the log still tells of, newest last. Raises OSError when it cannot be read."""
    return parse_kills(_records(device), time.clock_gettime(time.CLOCK_MONOTONIC))


def parse_kills(records: Iterable[Record], now_s: float) -> tuple[KernelKill, ...]:
    """The kills in these records. The lines of one come together; other lines may be between them."""
    kills: list[KernelKill] = []
    lines: list[str] = []
    draft, begun_s = _BLANK, 0.0
    for record in records:
        text = record.text[:MAX_LINE_CHARACTERS]
        if record.at_s - begun_s > _TOGETHER_S:
            draft, lines = _BLANK, []
        if _INVOKED.search(text):
            draft, lines, begun_s = _BLANK, [text], record.at_s
        elif found := _LIMIT.match(text):
            draft = replace(draft, limit_mib=int(found[1]) // _KIB_PER_MIB)
            lines.append(text)
        elif _CONSTRAINT.match(text):
            draft = _constrained(draft, record.text)
            lines.append(text)
        elif found := _KILLED.search(text):
            age_s = max(0.0, round(now_s - record.at_s, 3))
            kills.append(_killed(draft, found, age_s, (*lines, text)))
    return tuple(kills[-KILLS_KEPT:])


def _constrained(draft: KernelKill, text: str) -> KernelKill:
    fields = {found[1]: found[2] or "" for found in _FIELD.finditer(text)}
    return replace(draft, cgroup=fields.get("task_memcg", ""), limited=fields.get("oom_memcg", ""))


def _killed(draft: KernelKill, found: re.Match[str], age_s: float, lines: tuple[str, ...]) -> KernelKill:
    rss_kib = [int(kib) for kib in _RSS.findall(found.string)]
    rss_mib = sum(rss_kib) // _KIB_PER_MIB if rss_kib else None
    limit_mib = draft.limit_mib if draft.limited else None
    return replace(
        draft,
        pid=int(found[1]),
        program=found[2],
        age_s=age_s,
        lines=lines,
        rss_mib=rss_mib,
        limit_mib=limit_mib,
    )


def _records(device: Path) -> Iterator[Record]:
    descriptor = os.open(device, os.O_RDONLY | os.O_NONBLOCK)
    try:
        for _ in range(_RECORDS_READ):
            try:
                raw = os.read(descriptor, _RECORD_BYTES)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno == errno.EPIPE:  # the oldest were overwritten meanwhile
                    continue
                raise
            if not raw:
                return
            yield parse_record(raw)
    finally:
        os.close(descriptor)


def parse_record(raw: bytes) -> Record:
    """`6,1234,1025330286,-;text`: priority, number, microseconds, flags, then the text; what follows it in lines
    of its own tells of devices."""
    head, _, rest = raw.decode(errors="replace").partition(";")
    fields = head.split(",")
    micros = fields[2] if len(fields) > 2 and fields[2].isdigit() else "0"
    return Record(int(micros) / 1e6, rest.partition("\n")[0])
