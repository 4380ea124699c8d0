"""The watch: signs of life come in, silence grows only while it is certain, and a stuck call holds up nothing."""

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

import pytest

from haven.core.hang import Watched, last_sign_s
from haven.core.host import Pulse
from haven.core.records import HangTerms, HealthCheck
from haven.core.words import CheckKind
from haven.daemons import bedside
from haven.daemons import pulse as module
from haven.daemons.health_checks import Look
from haven.daemons.pulse import Watch
from haven.daemons.threads import Threads
from haven.hypervisor.protocol import Heard, UnreachableError

UUID = "u-1"
DEADLINE_S = 30.0
TERMS = HangTerms(silence_s=1.0)  # a machine that stalls for so long fails the test
INTERVAL_S = TERMS.silence_s / 4


class FakeSigns:
    """A guest, a QEMU and a libvirt that can each fall silent."""

    def __init__(self) -> None:
        self.agent_answers = True
        self.frozen = False
        self.has_channel = True
        self.asked = 0
        self.idle = False
        self.down = False
        self.qemu = threading.Event()  # set: QEMU answers
        self.libvirt = threading.Event()  # set: libvirt answers
        self.qemu.set()
        self.libvirt.set()
        self.each_waits = False  # as if each call came upon another VM that hangs
        self.counting = 0
        self._work = 0

    def agent(self, uuid: str) -> Heard:
        self._reach()
        self.asked += 1
        if not self.has_channel:
            return Heard(answered=False, absent=True)
        return Heard(self.agent_answers and self.qemu.is_set(), self.frozen)

    def work(self, uuids: Sequence[str]) -> Mapping[str, int]:
        """As libvirt's with NOWAIT: the first call waits with the QEMU, the others pass it over."""
        self._reach()
        if self.counting and not self.qemu.is_set() and not self.each_waits:
            return dict.fromkeys((uuid for uuid in uuids if uuid != UUID), 1)
        self.counting += 1
        self.qemu.wait(DEADLINE_S)
        self.counting -= 1
        self._work += 0 if self.idle else 1
        return dict.fromkeys(uuids, self._work)

    def stuck_s(self, uuid: str) -> float | None:
        self._reach()
        return None if self.qemu.is_set() else 0.1

    def close(self) -> None:
        self.qemu.set()

    def _reach(self) -> None:
        self.libvirt.wait(DEADLINE_S)
        if self.down:
            raise UnreachableError("nobody answers")


Until = Callable[[Callable[[Pulse], bool]], Coroutine[Any, Any, Pulse]]
Story = Callable[[FakeSigns, Until], Coroutine[Any, Any, None]]


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ANSWERS_S", 0.1)
    monkeypatch.setattr(module, "LIBVIRT_ANSWERS_S", 0.5)
    monkeypatch.setattr(bedside, "AGENT_EVERY_S", 0.2)


def play(story: Story, watched: Watched | None = None) -> None:
    async def whole() -> None:
        signs, tasks = FakeSigns(), set[asyncio.Task[None]]()

        def spawn(work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
            task = asyncio.create_task(work)
            tasks.add(task)
            return task

        watch = Watch(signs, lambda: None, spawn)
        watch.follow({UUID: watched or Watched(UUID, TERMS, ())})

        async def until(condition: Callable[[Pulse], bool]) -> Pulse:
            async with asyncio.timeout(DEADLINE_S):
                while not condition(watch.pulses()[UUID]):
                    await asyncio.sleep(0.005)
            return watch.pulses()[UUID]

        try:
            await story(signs, until)
        finally:
            signs.libvirt.set()
            watch.close()
            await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(whole())


def now_s() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def silent_for(seconds: float) -> Callable[[Pulse], bool]:
    return lambda pulse: pulse.looked_s - last_sign_s(pulse) >= seconds


def test_an_agent_that_answers_and_disks_that_work_are_signs_of_life() -> None:
    async def story(signs: FakeSigns, until: Until) -> None:
        pulse = await until(lambda pulse: pulse.agent_s is not None and pulse.io_s is not None)
        assert pulse.stuck_s is None
        signs.frozen = True
        await until(lambda pulse: pulse.frozen)

    play(story)


def test_silence_grows_when_neither_says_anything() -> None:
    async def story(signs: FakeSigns, until: Until) -> None:
        await until(lambda pulse: pulse.agent_s is not None)
        signs.agent_answers, signs.idle = False, True
        pulse = await until(silent_for(TERMS.silence_s))
        assert pulse.stuck_s is None
        signs.idle = False
        await until(lambda later: later.io_s is not None and later.io_s > pulse.looked_s)

    play(story)


def test_a_qemu_that_answers_nothing_is_silent_and_asked_only_once() -> None:
    async def story(signs: FakeSigns, until: Until) -> None:
        await until(lambda pulse: pulse.agent_s is not None)
        signs.qemu.clear()
        pulse = await until(silent_for(TERMS.silence_s))
        assert pulse.stuck_s is not None
        assert signs.counting == 1

    play(story)


def test_vms_that_hang_do_not_take_all_of_libvirts_workers() -> None:
    async def story(signs: FakeSigns, until: Until) -> None:
        await until(lambda pulse: pulse.agent_s is not None)
        signs.each_waits = True
        signs.qemu.clear()
        await until(lambda _pulse: signs.counting >= module.COUNTS_OPEN)
        began_s = now_s()
        await until(lambda pulse: now_s() - began_s > 3 * module.ANSWERS_S)
        assert signs.counting == module.COUNTS_OPEN
        signs.each_waits = False
        signs.qemu.set()
        await until(lambda pulse: pulse.looked_s > began_s and pulse.stuck_s is None)

    play(story)


@pytest.mark.parametrize("how", ["gone", "hangs"])
def test_nothing_is_concluded_while_libvirt_does_not_answer_and_the_watch_begins_anew_after_it(how: str) -> None:
    async def story(signs: FakeSigns, until: Until) -> None:
        first = await until(lambda pulse: pulse.agent_s is not None)
        signs.agent_answers, signs.idle = False, True
        if how == "gone":
            signs.down = True
        else:
            signs.libvirt.clear()
        began_s = now_s()
        while now_s() < began_s + 4 * TERMS.silence_s:
            pulse = await until(lambda _pulse: True)
            assert not silent_for(TERMS.silence_s)(pulse), pulse
            await asyncio.sleep(INTERVAL_S)
        signs.down = False
        signs.libvirt.set()
        back = await until(lambda pulse: pulse.looked_s > began_s + 4 * TERMS.silence_s)
        assert back.watched_since_s > first.watched_since_s, "the gap was taken for silence"

    play(story)


def test_a_check_is_made_again_and_again_and_its_failures_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = [Look(True, "answers")]
    monkeypatch.setattr(module, "look", lambda _check: outcome[0])
    check = HealthCheck("web", CheckKind.TCP, "10.0.0.1:80", every_s=0.02, fails=3)

    async def story(_signs: FakeSigns, until: Until) -> None:
        good = (await until(lambda pulse: "web" in pulse.checks)).checks["web"]
        assert (good.ok, good.fails) == (True, 0)
        assert good.ok_s is not None
        outcome[0] = Look(False, "no answer")
        bad = (await until(lambda pulse: pulse.checks["web"].fails >= 3)).checks["web"]
        assert (bad.ok, bad.detail) == (False, "no answer")
        assert bad.ok_s is not None
        assert bad.ok_s < bad.boottime_s

    play(story, Watched(UUID, None, (check,)))


def test_who_is_no_longer_followed_has_no_pulse() -> None:
    async def whole() -> None:
        tasks: list[asyncio.Task[None]] = []

        def spawn(work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
            tasks.append(asyncio.create_task(work))
            return tasks[-1]

        watch = Watch(FakeSigns(), lambda: None, spawn)
        watch.follow({UUID: Watched(UUID, TERMS, ())})
        assert set(watch.pulses()) == {UUID}
        watch.follow({})
        assert watch.pulses() == {}
        await asyncio.gather(*tasks, return_exceptions=True)
        assert all(task.cancelled() for task in tasks)

    asyncio.run(whole())


def test_an_agent_is_asked_rarely_while_disks_work_and_at_once_after(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bedside, "AGENT_EVERY_S", 60.0)

    async def story(signs: FakeSigns, until: Until) -> None:
        first = await until(lambda pulse: pulse.agent_s is not None and pulse.io_s is not None)
        later = await until(lambda pulse: pulse.looked_s > first.looked_s + 4 * INTERVAL_S)
        assert later.agent_s == first.agent_s
        signs.idle = True
        await until(lambda pulse: pulse.agent_s != first.agent_s)

    play(story)


def test_a_vm_without_a_channel_for_an_agent_is_asked_rarely_and_its_agent_is_found_after_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(bedside, "ABSENT_EVERY_S", 12 * INTERVAL_S)

    async def story(signs: FakeSigns, until: Until) -> None:
        signs.has_channel, signs.idle = False, True
        first = await until(lambda pulse: signs.asked > 0 and pulse.looked_s > 0)
        asked = signs.asked
        await until(lambda pulse: pulse.looked_s > first.looked_s + 6 * INTERVAL_S)
        assert signs.asked <= asked + 1, "one that never answered is asked at least every 0.2 s"
        signs.has_channel = True
        await until(lambda pulse: pulse.agent_s is not None)

    play(story)


def test_threads_are_used_again_and_one_that_hangs_holds_up_nobody() -> None:
    threads, free = Threads("test"), threading.Event()
    hanging = [threads.begin(free.wait) for _ in range(10)]
    names = {threads.begin(lambda: threading.current_thread().ident).result(DEADLINE_S) for _ in range(20)}
    assert len(names) < 20
    assert not any(future.done() for future in hanging)
    free.set()
    assert all(future.result(DEADLINE_S) for future in hanging)
    with pytest.raises(ZeroDivisionError):
        threads.begin(lambda: 1 // 0).result(DEADLINE_S)
