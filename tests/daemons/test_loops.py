"""LRM and CRM as loops in one process: a real store, real clocks, VMs in memory."""

import asyncio
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from haven.core.node import long_start
from haven.core.records import ServiceConfig, ServiceStatus
from haven.core.settings import Settings
from haven.core.transaction import Committed, Outcome, Put, Transaction, Unavailable
from haven.core.view import View
from haven.core.words import Cause, ServiceState, Wanted
from haven.daemons import systemd
from haven.daemons.crm import Crm
from haven.daemons.lrm import Lrm
from haven.daemons.story import Story
from haven.daemons.wake import Waker
from haven.daemons.worker import BoundedStore
from haven.history.history import History
from haven.history.writer import HistoryWriter
from haven.store.doorbell import Doorbell
from haven.store.sqlite import SqliteStore, open_store
from tests.daemons.fake_hypervisor import FakeHypervisor

DEADLINE_S = 30.0
UUIDS = ("aaaaaaaa-0000-4000-8000-000000000101", "bbbbbbbb-0000-4000-8000-000000000102")


class FullDisk:
    """A store that can be read but not written while `full`."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        self.damaged: dict[str, str] = {}
        self.full = False

    def read(self) -> View:
        view = self._store.read()
        self.damaged = self._store.damaged
        return view

    def commit(self, transaction: Transaction, *, quiet: bool = False) -> Outcome:
        return Unavailable("the disk is full") if self.full else self._store.commit(transaction, quiet=quiet)

    def close(self) -> None:
        self._store.close()


@dataclass
class Host:
    hypervisor: FakeHypervisor
    store: SqliteStore
    disk: FullDisk
    history: Path
    lrm: Lrm

    def protect(self, *uuids: str, wanted: Wanted = Wanted.STARTED) -> None:
        view = self.store.read()
        puts = tuple(
            Put(f"config/vm:{uuid[-3:]}", ServiceConfig(f"vm:{uuid[-3:]}", uuid, "pve", wanted)) for uuid in uuids
        )
        assert isinstance(self.store.commit(Transaction(view.incarnation, (), puts)), Committed)

    def service(self, sid: str) -> ServiceStatus | None:
        return self.store.read().services().get(sid)

    async def until(self, condition: Callable[[], bool], what: str) -> None:
        async def poll() -> None:
            while not condition():
                await asyncio.sleep(0.005)

        try:
            await asyncio.wait_for(poll(), DEADLINE_S)
        except TimeoutError:
            raise AssertionError(f"not within {DEADLINE_S:g} s: {what}") from None

    async def until_started(self, uuid: str, times: int) -> None:
        await self.until(lambda: self.hypervisor.starts.count(uuid) == times, f"{uuid} was started {times} times")

    async def until_runs(self, sid: str) -> None:
        def confirmed() -> bool:
            service = self.service(sid)
            return service is not None and service.running and service.state is ServiceState.STARTED

        await self.until(confirmed, f"{sid} is confirmed to run")


@asynccontextmanager
async def a_host(tmp_path: Path, max_workers: int = 4, tick_s: float = 10.0) -> AsyncIterator[Host]:
    """One host with two VMs (101 runs, 102 is off), its LRM and its CRM."""
    settings = Settings(
        node="pve",
        state_dir=str(tmp_path),
        run_dir=str(tmp_path),
        start_retry_s=0.1,
        max_workers=max_workers,
        tick_s=tick_s,
    )
    hypervisor = FakeHypervisor()
    hypervisor.add(UUIDS[0], "opnsense-101", running=True)
    hypervisor.add(UUIDS[1], "maas-102", running=False)
    tasks: list[asyncio.Task[None]] = []
    closing: list[Callable[[], object]] = []
    host: Host | None = None
    for name in ("lrm", "crm"):
        store = open_store(tmp_path, tmp_path, name)
        history = HistoryWriter(tmp_path, name)
        bell = Doorbell(tmp_path, name)
        disk = FullDisk(store)
        closing += [history.close, bell.close, store.close]
        waker = Waker(bell, settings.tick_s)
        waker.__enter__()
        bounded, story = BoundedStore(disk), Story(name, history)
        if name == "lrm":
            lrm = Lrm(settings, "lrm-1", bounded, hypervisor, story, waker)
            host = Host(hypervisor, open_store(tmp_path, tmp_path, "test"), disk, tmp_path / "history.db", lrm)
            tasks.append(asyncio.create_task(lrm.run()))
        else:
            tasks.append(asyncio.create_task(Crm(settings, "crm-1", bounded, story, waker).run()))
    assert host is not None
    try:
        yield host
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for close in closing:
            close()


def test_every_crash_of_many_in_a_row_is_restarted(tmp_path: Path) -> None:
    """A result that came while a look was under way used to be lost, and with it all later restarts."""

    async def story() -> None:
        async with a_host(tmp_path) as host:
            host.protect(*UUIDS)
            for sid in ("vm:101", "vm:102"):
                await host.until_runs(sid)
            for restarts in (1, 2):
                for uuid in UUIDS:
                    host.hypervisor.kill(uuid)
                await host.until_started(UUIDS[0], restarts)
                await host.until_started(UUIDS[1], restarts + 1)

    asyncio.run(story())


def test_the_daemons_of_an_idle_host_live_on_and_wake_nobody(tmp_path: Path) -> None:
    def signs(host: Host) -> tuple[float, float]:
        view = host.store.read()
        lrm, manager = view.lrms().get("pve"), view.manager()
        return (lrm.timestamp_wall_s if lrm else 0.0, manager.timestamp_wall_s if manager else 0.0)

    async def rung_between_signs(host: Host, bell: Doorbell) -> bool:
        bell.drain()
        before = signs(host)
        await host.until(lambda: all(new > old for new, old in zip(signs(host), before, strict=True)), "both live")
        return bell.drain()

    async def story() -> None:
        with closing(Doorbell(tmp_path, "api")) as bell:
            async with a_host(tmp_path, tick_s=0.5) as host:
                host.protect(UUIDS[0])
                await host.until_runs("vm:101")
                deadline_s = time.monotonic() + DEADLINE_S
                while await rung_between_signs(host, bell):
                    assert time.monotonic() < deadline_s, "each sign of life rings"

    asyncio.run(story())


def test_a_full_disk_does_not_stop_a_restart_and_nothing_is_forgotten(tmp_path: Path) -> None:
    async def story() -> None:
        async with a_host(tmp_path) as host:
            host.protect(*UUIDS)
            await host.until_runs("vm:102")
            host.disk.full = True
            host.hypervisor.kill(UUIDS[0])
            await host.until(lambda: UUIDS[0] in host.hypervisor.starts, "101 is restarted on a full disk")
            assert host.store.read().journals()[UUIDS[0]].crashes_boottime_s == ()
            host.disk.full = False
            await host.until(
                lambda: len(host.store.read().journals()[UUIDS[0]].crashes_boottime_s) == 1,
                "the crash is journalled",
            )

    asyncio.run(story())


def test_a_vm_that_died_while_libvirt_was_away_is_found(tmp_path: Path) -> None:
    async def story() -> None:
        async with a_host(tmp_path) as host:
            host.protect(UUIDS[0])
            await host.until_runs("vm:101")
            host.hypervisor.go_away()
            host.hypervisor.kill(UUIDS[0])
            await host.until(lambda: not host.store.read().lrms()["pve"].hypervisor_ok, "the loss is recorded")
            assert host.hypervisor.starts == []
            host.hypervisor.down = False
            await host.until(lambda: host.hypervisor.starts == [UUIDS[0]], "101 is restarted")
            history = History(host.history)
            await host.until(lambda: len(history.incidents("vm:101")) == 1, "one incident")

    asyncio.run(story())


def test_a_missing_disk_is_held_and_its_return_ends_the_hold(tmp_path: Path) -> None:
    async def story() -> None:
        async with a_host(tmp_path) as host:
            host.hypervisor.missing.add(UUIDS[1])
            host.protect(UUIDS[1])

            def held() -> bool:
                service = host.service("vm:102")
                return service is not None and service.held is not None

            await host.until(held, "102 is held")
            service = host.service("vm:102")
            assert service and service.held and service.held.detail == "disk /gone is missing"
            host.hypervisor.missing.clear()
            await host.until_runs("vm:102")

    asyncio.run(story())


def test_an_error_in_the_middle_of_a_start_that_nobody_thought_of_leaves_no_vm_behind(tmp_path: Path) -> None:
    """Its result never came, so the start counted as under way for ever and the VM was not looked at again."""

    async def story() -> None:
        async with a_host(tmp_path) as host:
            host.protect(UUIDS[0])
            await host.until_runs("vm:101")
            host.hypervisor.bugs = 1
            host.hypervisor.kill(UUIDS[0])
            await host.until_started(UUIDS[0], 1)

    asyncio.run(story())


def more_vms(host: Host, count: int) -> list[str]:
    """Off, and known to libvirt only; their uuids end in their VMIDs, from 201 on."""
    uuids = [f"cccccccc-0000-4000-8000-000000000{number}" for number in range(201, 201 + count)]
    for uuid in uuids:
        host.hypervisor.add(uuid, f"more-{uuid[-3:]}", running=False)
    return uuids


def test_looks_at_a_dead_mount_take_no_place_from_starts(tmp_path: Path) -> None:
    async def story() -> None:
        async with a_host(tmp_path, max_workers=1) as host:
            sick = more_vms(host, 5)
            host.protect(UUIDS[0])
            await host.until_runs("vm:101")
            host.hypervisor.missing.update(sick)
            host.hypervisor.dead_mount = threading.Event()
            host.protect(*sick)

            def held(uuid: str) -> bool:
                service = host.service(f"vm:{uuid[-3:]}")
                return service is not None and service.held is not None

            try:
                await host.until(lambda: all(map(held, sick)), "all whose disk is missing are held")
                host.hypervisor.kill(UUIDS[0])
                await host.until_started(UUIDS[0], 1)
            finally:
                host.hypervisor.dead_mount.set()

    asyncio.run(story())


def test_starts_that_hang_in_libvirt_leave_room_for_other_starts_and_for_stops(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(long_start, "LONG_S", 0.05)

    async def story() -> None:
        async with a_host(tmp_path, max_workers=1) as host:
            hanging = more_vms(host, 4)
            host.protect(UUIDS[0])
            await host.until_runs("vm:101")
            host.hypervisor.hanging.update(hanging)
            try:
                host.protect(*hanging[:3])
                await host.until(lambda: len(host.hypervisor.began) == 3, "three starts hang")
                host.hypervisor.kill(UUIDS[0])
                await host.until_started(UUIDS[0], 1)
                host.protect(hanging[3])
                await host.until(lambda: len(host.hypervisor.began) == 4, "four starts hang")
                host.protect(UUIDS[0], wanted=Wanted.STOPPED)
                await host.until(lambda: host.hypervisor.is_off(UUIDS[0]), "the other VM is stopped")
            finally:
                host.hypervisor.end_hanging.set()

    asyncio.run(story())


@pytest.mark.parametrize("hangs", [False, True])
def test_the_end_of_the_process_waits_for_an_order_and_not_for_one_that_hangs(tmp_path: Path, hangs: bool) -> None:
    async def story() -> None:
        async with a_host(tmp_path) as host:
            host.hypervisor.hanging.add(UUIDS[1])
            host.protect(UUIDS[1])
            await host.until(lambda: host.hypervisor.began == [UUIDS[1]], "its start is under way")
            if not hangs:
                threading.Timer(0.2, host.hypervisor.end_hanging.set).start()
            try:
                await asyncio.wait_for(host.lrm.close(), 5.0)
                assert host.hypervisor.end_hanging.is_set() is not hangs
            finally:
                host.hypervisor.end_hanging.set()

    asyncio.run(story())


def test_a_record_that_cannot_be_read_is_told_with_its_mend(tmp_path: Path) -> None:
    async def story() -> None:
        async with a_host(tmp_path) as host:
            host.protect(*UUIDS)
            await host.until_runs("vm:102")
            with sqlite3.connect(tmp_path / "haven.db") as database:
                database.execute(
                    "UPDATE records SET json = '{}', revision = revision + 999 WHERE key = 'config/vm:101'"
                )
                database.execute("UPDATE meta SET value = value + 999 WHERE name = 'revision'")
            history = History(host.history)

            def told() -> bool:
                return any(
                    "config/vm:101; stop haven" in entry.event.sentence for entry in history.entries(limit=999)
                )

            await host.until(told, "the damage is told")

    asyncio.run(story())


def test_a_host_that_goes_down_and_kills_vms_gets_one_restart_and_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No clean end came before, so nobody had asked whether the host is going down."""
    _under_systemd(tmp_path, monkeypatch, "echo stopping")

    async def story() -> None:
        async with a_host(tmp_path) as host:
            host.protect(UUIDS[0])
            await host.until_runs("vm:101")
            host.hypervisor.kill(UUIDS[0])
            await host.until_started(UUIDS[0], 1)
            await host.until_runs("vm:101")
            host.hypervisor.kill(UUIDS[0])

            def stays_off() -> bool:
                record = host.store.read().lrms()["pve"]
                return record.waiting.get("vm:101") == "not started: the host is shutting down"

            await host.until(stays_off, "vm:101 stays off")
            assert host.hypervisor.starts.count(UUIDS[0]) == 1

    asyncio.run(story())


def test_a_systemd_that_is_slow_after_a_crash_is_no_host_that_goes_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would leave the next crashed VM off until a tick, and call its crash one of the host."""
    _under_systemd(tmp_path, monkeypatch, "exec /bin/sleep 60")
    monkeypatch.setattr(systemd, "SYSTEMCTL_TIMEOUT_S", 0.1)

    async def story() -> None:
        async with a_host(tmp_path) as host:
            host.protect(UUIDS[0])
            await host.until_runs("vm:101")
            for restarts in (1, 2):
                host.hypervisor.kill(UUIDS[0])
                await host.until_started(UUIDS[0], restarts)
                await host.until_runs("vm:101")
                await asyncio.sleep(0.3)
            assert host.store.read().journals()[UUIDS[0]].last_cause is Cause.CRASH
            assert host.store.read().lrms()["pve"].waiting == {}

    asyncio.run(story())


def _under_systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, does: str) -> None:
    """A host under systemd whose only program is a `systemctl` that does this."""
    systemctl = tmp_path / "bin" / "systemctl"
    systemctl.parent.mkdir()
    systemctl.write_text(f"#!/bin/sh\n{does}\n")
    systemctl.chmod(0o755)
    monkeypatch.setattr(systemd, "RUNS", tmp_path)
    monkeypatch.setenv("PATH", str(systemctl.parent))
