"""Starting a daemon: its claim on the host, its store, its voice, its end by signal."""

import asyncio
import contextlib
import logging
import os
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

from haven.core.event import Event, Scalar
from haven.core.settings import Settings
from haven.core.words import Kind, Level
from haven.daemons.in_force import keep_settings
from haven.daemons.logs import set_up_logging
from haven.daemons.story import Story
from haven.daemons.wake import Waker
from haven.daemons.worker import BoundedStore
from haven.history.writer import HistoryWriter
from haven.store.claim import claim_daemon
from haven.store.doorbell import Doorbell
from haven.store.protocol import Store, StoreError
from haven.store.sqlite import SqliteStore, open_store

COPY_EVERY_S = 60.0


def run_lrm(settings: Settings) -> int:
    """Run the node daemon until SIGTERM or SIGINT. Raises StoreError when it cannot start."""
    from haven.daemons.lrm import Lrm
    from haven.hypervisor.libvirt_hypervisor import LibvirtHypervisor
    from haven.hypervisor.life_signs import LibvirtLifeSigns

    async def work(holder: str, store: BoundedStore, story: Story, waker: Waker) -> None:
        signs = LibvirtLifeSigns(settings)
        lrm = Lrm(settings, holder, store, LibvirtHypervisor(settings), story, waker, signs)
        try:
            await lrm.run()
        finally:
            await lrm.close()

    return _run("lrm", settings, work)


def run_crm(settings: Settings) -> int:
    """Run the manager daemon until SIGTERM or SIGINT. Raises StoreError when it cannot start."""
    from haven.daemons.crm import Crm

    async def work(holder: str, store: BoundedStore, story: Story, waker: Waker) -> None:
        await Crm(settings, holder, store, story, waker).run()

    return _run("crm", settings, work)


Work = Callable[[str, BoundedStore, Story, Waker], Awaitable[None]]


def _run(name: str, settings: Settings, work: Work) -> int:
    set_up_logging(settings.log_level)
    state_dir, run_dir = Path(settings.state_dir), Path(settings.run_dir)
    with ExitStack() as stack:
        claim = claim_daemon(run_dir, name)
        stack.callback(claim.release)
        store = open_store(state_dir, run_dir, name)
        stack.callback(store.close)
        refuse_strange_store(settings, store)
        history = HistoryWriter(state_dir, name, settings.history_days)
        stack.callback(history.close)
        bell = Doorbell(run_dir, name)
        stack.callback(bell.close)
        story = Story(name, history)
        for notice in store.notices:
            story.note(Kind.STORE_TROUBLE, notice, Level.ERR)
        if changed := keep_settings(store, settings, name, time.time()):
            story.note(Kind.CONFIG_CHANGED, changed)
        holder = f"{name}-{os.getpid()}-{os.urandom(4).hex()}"
        asyncio.run(_until_signal(settings, holder, store, story, bell, work))
    return 0


def refuse_strange_store(settings: Settings, store: Store) -> None:
    """A host that was renamed, or a copy of another host's disk: nothing in the store is under this name, so
    nothing would be protected. Raises StoreError."""
    owners = store.read().agents()
    if owners and settings.node not in owners:
        name = next(iter(owners))
        raise StoreError(
            f'the store in {settings.state_dir} belongs to host "{name}", this one is called "{settings.node}":'
            f' set node = "{name}" in haven.toml, or move the store away if it is another host\'s'
        )


async def _until_signal(
    settings: Settings, holder: str, store: SqliteStore, story: Story, bell: Doorbell, work: Work
) -> None:
    """Run the daemon's loop; SIGTERM and SIGINT end it and touch no VM."""
    bounded = BoundedStore(store)
    with Waker(bell, settings.tick_s) as waker:
        loop_task = asyncio.ensure_future(work(holder, bounded, story, waker))
        copy_task = asyncio.ensure_future(keep_copy(store))
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, loop_task.cancel)
        story.tell((_started(holder.partition("-")[0], settings.node, store),))
        try:
            await loop_task
        except asyncio.CancelledError:
            logging.getLogger("haven").info("%s ends; no VM is touched", holder.partition("-")[0])
        finally:
            copy_task.cancel()


def _started(daemon: str, node: str, store: Store) -> Event:
    """Of a node daemon also since when nobody had looked: the time before is not known to have been well."""
    fields: dict[str, Scalar | tuple[str, ...]] = {"daemon": daemon}
    with contextlib.suppress(StoreError):
        if daemon == "lrm" and (before := store.read().lrms().get(node)):
            fields["looked_wall_s"] = before.looked_wall_s
    return Event(Kind.DAEMON_STARTED, f"{daemon} started on {node}", fields=fields)


class CopiedStore(Store, Protocol):
    """A store that can keep a good copy of itself."""

    def save_copy(self) -> bool: ...


async def keep_copy(store: CopiedStore) -> None:
    """Keep a good copy of the store beside it, for the day its file is damaged; reads and commits go on."""
    apart = BoundedStore(store)  # a thread of its own: in the daemon's, a look would find a store that is busy
    while True:
        await asyncio.sleep(COPY_EVERY_S)
        await apart.call(store.save_copy)
