"""Blocking calls to the store, bounded in time: a disk that hangs must not hang the restarts."""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from haven.core.transaction import Committed, Outcome, Transaction, Unavailable, Unknown
from haven.core.view import View
from haven.store.protocol import Store, StoreError

T = TypeVar("T")

STORE_TIMEOUT_S = 2.0

log = logging.getLogger(__name__)


class BoundedStore:
    """A store behind one thread. A call that takes too long is given up; while it still hangs, the next
    ones fail at once instead of queueing behind it."""

    def __init__(self, store: Store, timeout_s: float = STORE_TIMEOUT_S) -> None:
        self._store = store
        self._timeout_s = timeout_s
        self._thread = ThreadPoolExecutor(1, "store")
        self._hanging: Future[object] | None = None
        self.trouble: str | None = None
        """Why the store cannot be used, in words; None while it works."""

    def apart(self) -> "BoundedStore":
        """The same store behind a thread of its own, for commits that have time: while one is under way, the
        daemon's own calls go on. Not for readings: what changed since the last one is told only once."""
        return BoundedStore(self._store, self._timeout_s)

    @property
    def damaged(self) -> frozenset[str]:
        """Keys of records that cannot be read."""
        return frozenset(self._store.damaged)

    async def read(self) -> View | None:
        """The store's content now; None when it cannot be read in time."""
        try:
            view = await self._call(self._store.read)
        except (TimeoutError, StoreError) as error:
            self.trouble = f"cannot be read: {error or 'no answer in time'}"
            return None
        return view

    async def commit(self, transactions: tuple[Transaction, ...], *, quiet: bool = False) -> Outcome:
        """Commit in order until one does not; the outcome of the last one tried. `quiet`: nobody is woken."""
        outcome: Outcome = Committed(0)
        for transaction in transactions:
            outcome = await self._commit_one(transaction, quiet)
            if not isinstance(outcome, Committed):
                break
        if isinstance(outcome, Committed) and transactions:
            self.trouble = None
        elif isinstance(outcome, Unavailable | Unknown):
            self.trouble = f"cannot be written: {outcome.why}"
        return outcome

    async def call(self, work: Callable[[], T]) -> T | None:
        """Some other work on the store at leisure; None when it does not end in time."""
        try:
            return await self._call(work)
        except (TimeoutError, StoreError) as error:
            log.warning("store: %s", error or "no answer in time")
            return None

    async def _commit_one(self, transaction: Transaction, quiet: bool) -> Outcome:
        try:
            return await self._call(lambda: self._store.commit(transaction, quiet=quiet))
        except TimeoutError:
            return Unknown(f"no answer within {self._timeout_s:g} s")

    async def _call(self, work: Callable[[], T]) -> T:
        if self._hanging and not self._hanging.done():
            raise TimeoutError("an earlier call still hangs")
        future = self._thread.submit(work)
        self._hanging = future  # type: ignore[assignment]  # only asked whether it is done
        async with asyncio.timeout(self._timeout_s):
            return await asyncio.shield(asyncio.wrap_future(future))
