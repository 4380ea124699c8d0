"""Whether somebody changed a protected VM's definition in libvirt: a line of the story that says what.

Asked after libvirt's word that it was defined, when it starts, and when the daemon begins: at leisure, in a
helper's thread, never on the way to a restart.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any

from haven.core.definition_change import difference
from haven.core.event import Event
from haven.core.hypervisor import Happening, Moment
from haven.core.records import DefinitionSeen
from haven.core.transaction import Committed, Guard, Put, Transaction
from haven.core.view import View
from haven.core.words import Kind
from haven.daemons.story import Story
from haven.daemons.threads import Threads
from haven.daemons.worker import BoundedStore
from haven.hypervisor.protocol import HypervisorError, Sight

log = logging.getLogger("haven.lrm")

BY_ANOTHER = "changed by another libvirt client"
_TELLING = frozenset({Moment.DEFINED, Moment.STARTED})


class Definitions:
    """What is known of the definitions is in the store: a change while haven was away is found, too."""

    def __init__(
        self,
        node: str,
        hypervisor: Sight,
        store: BoundedStore,
        story: Story,
        threads: Threads,
        spawn: Callable[[Coroutine[Any, Any, None]], object],
    ) -> None:
        self._node = node
        self._hypervisor = hypervisor
        self._store = store.apart()  # in the daemon's own, a look would find a store that is busy
        self._story = story
        self._threads = threads
        self._spawn = spawn
        self._view: View | None = None
        self._known: set[str] = set()
        self._looking: set[str] = set()

    def heed(self, happenings: Iterable[Happening], view: View, *, reachable: bool) -> None:
        """Look again at those that something happened to, and at those that were never looked at."""
        self._view = view
        if not reachable:
            return
        own = {config.uuid: config.sid for config in view.configs().values() if config.node == self._node}
        told = {happening.uuid for happening in happenings if happening.moment in _TELLING}
        for uuid in (told & own.keys()) | (own.keys() - self._known):
            if uuid in self._looking:
                self._known.discard(uuid)  # it may be read already: once more
            else:
                self._known.add(uuid)
                self._looking.add(uuid)
                self._spawn(self._look(uuid, own[uuid]))
        self._known &= own.keys()

    async def _look(self, uuid: str, sid: str) -> None:
        try:
            parts = await asyncio.wrap_future(self._threads.begin(lambda: self._hypervisor.definition(uuid)))
            if parts:
                await self._compare(uuid, sid, parts)
        except HypervisorError as error:
            log.debug("definition of %s: %s", sid, error)
            self._known.discard(uuid)
        finally:
            self._looking.discard(uuid)

    async def _compare(self, uuid: str, sid: str, parts: Mapping[str, str]) -> None:
        view = self._view
        assert view is not None, "heed comes first"
        before, key = view.definitions().get(uuid), f"definition/{uuid}"
        if before is not None and before.parts == parts:
            return
        guard, put = Guard(key, view.revision_of(key)), Put(key, DefinitionSeen(uuid, dict(parts)))
        written = await self._store.commit((Transaction(view.incarnation, (guard,), (put,)),))
        if not isinstance(written, Committed):
            self._known.discard(uuid)
        elif before is not None:
            self._story.tell((_event(sid, difference(before.parts, parts)),))


def _event(sid: str, changed: str) -> Event:
    fields = {"who": "", "via": "libvirt"}
    return Event(Kind.CONFIG_CHANGED, f"definition {BY_ANOTHER}: {changed}", sid, fields=fields)
