"""A change of a VM's definition behind haven's back is a line of the story, also one made while it was away."""

import asyncio
from pathlib import Path

from haven.core.words import Kind
from haven.history.history import History
from tests.daemons.test_loops import UUIDS, Host, a_host

UUID, SID = UUIDS[0], "vm:101"


def told(host: Host) -> list[str]:
    return [one.event.sentence for one in History(host.history).entries(SID, kinds=[Kind.CONFIG_CHANGED])]


async def known(host: Host, **parts: str) -> None:
    """The node daemon has seen this definition."""

    def seen() -> bool:
        record = host.store.read().definitions().get(UUID)
        return record is not None and record.parts == parts

    await host.until(seen, f"{parts} are kept")


def test_what_another_client_changed_is_told(tmp_path: Path) -> None:
    async def story() -> None:
        async with a_host(tmp_path) as host:
            host.hypervisor.definitions[UUID] = {"memory": "512 MiB", "cpus": "1"}
            host.protect(UUID)
            await known(host, memory="512 MiB", cpus="1")
            assert told(host) == [], "the first sight of a definition is no change"
            host.hypervisor.redefine(UUID, memory="1024 MiB")
            await known(host, memory="1024 MiB", cpus="1")
            await host.until(lambda: bool(told(host)), "it is told")
            host.hypervisor.redefine(UUID)
            host.hypervisor.redefine(UUID, cpus="2")
            await known(host, memory="1024 MiB", cpus="2")
            await host.until(lambda: len(told(host)) == 2, "the second is told, once")

    asyncio.run(story())
    by = "definition changed by another libvirt client"
    assert [
        one.event.sentence for one in History(tmp_path / "history.db").entries(SID, kinds=["config_changed"])
    ] == [
        f"{by}: memory from 512 MiB to 1024 MiB",
        f"{by}: cpus from 1 to 2",
    ]


def test_a_change_while_haven_was_away_is_told_at_its_start(tmp_path: Path) -> None:
    async def before() -> None:
        async with a_host(tmp_path) as host:
            host.hypervisor.definitions[UUID] = {"memory": "512 MiB"}
            host.protect(UUID)
            await known(host, memory="512 MiB")

    async def after() -> None:
        async with a_host(tmp_path) as host:
            host.hypervisor.definitions[UUID] = {"memory": "256 MiB"}
            await host.until(lambda: len(told(host)) == 1, "it is told")

    asyncio.run(before())
    asyncio.run(after())
