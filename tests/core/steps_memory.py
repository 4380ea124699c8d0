"""The lines of the scenarios about memory."""

from dataclasses import replace

from haven.core.host import HostFacts
from haven.core.hypervisor import Moment, Power, Why
from haven.core.oom import KernelKill
from haven.core.records import VmCare
from haven.core.transaction import Put
from haven.core.words import Cause, Kind
from tests.core.story import Story, step

HOST_MIB = 16384


@step("the host has (\\d+) MiB available(?:, and waits for memory <n> % of the time)?")
def available(story: Story, mib: str, pressure: str | None = None) -> None:
    story.world.host.memory = HostFacts(HOST_MIB, int(mib), None if pressure is None else float(pressure))
    story.world.ring()


@step("nothing is known of the host's memory")
def unknown(story: Story) -> None:
    story.world.host.memory = None


@step("<sid> needs (\\d+) MiB(, of huge pages)?")
def needs(story: Story, sid: str, mib: str, pages: str | None) -> None:
    guest = story.world.guest(sid)
    guest.memory_mib, guest.hugepages = int(mib), bool(pages)


@step("the guest of <sid> has touched (\\d+) MiB")
def touched(story: Story, sid: str, mib: str) -> None:
    guest = story.world.guest(sid)
    guest.resident_mib = int(mib)
    story.world.lrm.stale.add(guest.uuid)  # type: ignore[union-attr]


@step("the kernel kills QEMU of <sid> for want of memory")
def oom_kill(story: Story, sid: str) -> None:
    guest = story.world.guest(sid)
    assert guest.pid is not None and guest.power is not Power.OFF, f"{sid} is off"
    line = f"Out of memory: Killed process {guest.pid} (qemu-system-x86)"
    story.world.host.kills.append(KernelKill(guest.pid, "qemu-system-x86", 0.1, (line,), rss_mib=4000))
    story.world.host.end(guest, Why.CRASHED, Moment.STOPPED_FAILED)
    story.world.tell_lrm()


@step("<sid> has priority (-?\\d+)")
def priority(story: Story, sid: str, number: str) -> None:
    entry = story.world.store.entries.get(f"care/{sid}")
    care = entry.record if entry and isinstance(entry.record, VmCare) else VmCare(sid)
    story.world.write(Put(f"care/{sid}", replace(care, priority=int(number))))


@step("the kernel takes no wishes")
def strict(story: Story) -> None:
    story.world.host.strict = True


@step("the oom score of <sid> is (-?\\d+)")
def score(story: Story, sid: str, number: str) -> None:
    assert story.world.guest(sid).oom_score_adj == int(number), story.world.guest(sid)


@step("the cause of its end is (\\w+) for <sid>")
def last_cause(story: Story, cause: str, sid: str) -> None:
    assert story.journal(sid).last_cause is Cause(cause), story.journal(sid)


@step("the note about <sid> says: <text>")
def note(story: Story, sid: str, words: str) -> None:
    told = [event.fields["lines"] for event in story.events(sid) if event.kind is Kind.VM_EVIDENCE]
    assert any(words in str(line) for lines in told if isinstance(lines, tuple) for line in lines), told
