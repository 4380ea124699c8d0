"""Looking at VMs never waits for one that hangs."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

from haven.core.hypervisor import Power, Vm
from haven.daemons.eyes import Eyes
from tests.daemons.fake_hypervisor import FakeHypervisor

HANGING, WELL = "aaaaaaaa-0000-4000-8000-000000000101", "bbbbbbbb-0000-4000-8000-000000000102"
DEADLINE_S = 30.0


class HangingHypervisor(FakeHypervisor):
    """libvirt does not answer for one VM; for the others it does."""

    def __init__(self) -> None:
        super().__init__()
        self.released = threading.Event()
        self.released.set()
        self.add(HANGING, "hangs-101", running=True)
        self.add(WELL, "well-102", running=True)

    def vm(self, uuid: str) -> Vm | None:
        if uuid == HANGING:
            self.released.wait(DEADLINE_S)
        return super().vm(uuid)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not condition():
            await asyncio.sleep(0.002)


def play(story: Callable[[HangingHypervisor, Eyes], Coroutine[Any, Any, None]]) -> None:
    async def whole() -> None:
        hypervisor, tasks = HangingHypervisor(), set[asyncio.Task[None]]()

        def spawn(work: Coroutine[Any, Any, None]) -> None:
            tasks.add(asyncio.create_task(work))

        eyes = Eyes(hypervisor, lambda: None, spawn)
        spawn(eyes.stay_connected())
        await until(lambda: eyes.vms is not None)
        try:
            await story(hypervisor, eyes)
        finally:
            hypervisor.released.set()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(whole())


def power(eyes: Eyes, uuid: str) -> Power | None:
    return eyes.vms[uuid].power if eyes.vms else None


def test_a_vm_that_hangs_does_not_keep_the_others_from_being_seen() -> None:
    async def story(hypervisor: HangingHypervisor, eyes: Eyes) -> None:
        hypervisor.released.clear()
        hypervisor.kill(HANGING)
        hypervisor.kill(WELL)
        await until(lambda: power(eyes, WELL) is Power.OFF)
        assert power(eyes, HANGING) is Power.RUNNING
        hypervisor.released.set()
        await until(lambda: power(eyes, HANGING) is Power.OFF)

    play(story)


def test_what_happens_during_a_look_is_followed_by_another_look() -> None:
    async def story(hypervisor: HangingHypervisor, eyes: Eyes) -> None:
        hypervisor.released.clear()
        eyes.look_at(HANGING)
        eyes.look_at(HANGING)
        hypervisor.kill(HANGING)
        hypervisor.released.set()
        await until(lambda: power(eyes, HANGING) is Power.OFF)
        assert len(eyes.take_happenings()) == 1

    play(story)


def test_nothing_is_known_while_libvirt_is_away() -> None:
    async def story(hypervisor: HangingHypervisor, eyes: Eyes) -> None:
        hypervisor.go_away()
        await until(lambda: eyes.vms is None)
        hypervisor.kill(WELL)
        hypervisor.down = False
        await until(lambda: power(eyes, WELL) is Power.OFF)

    play(story)


def test_a_dead_vm_that_libvirt_calls_running_is_looked_at_until_libvirt_has_found_out() -> None:
    async def story(hypervisor: HangingHypervisor, eyes: Eyes) -> None:
        hypervisor.go_away()
        await until(lambda: eyes.vms is None)
        hypervisor.lose_process(WELL)
        hypervisor.down = False
        await until(lambda: eyes.vms is not None)
        assert power(eyes, WELL) is Power.RUNNING
        hypervisor.down = True  # nothing is told
        hypervisor.kill(WELL)
        hypervisor.down = False
        await until(lambda: power(eyes, WELL) is Power.OFF)
        assert eyes.take_happenings() == []

    play(story)
