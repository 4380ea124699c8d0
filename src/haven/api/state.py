"""What the handlers share: the store, the history, the hypervisor, the tasks, the clock."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from haven.api.bell import Bell
from haven.api.tasks import TaskBook
from haven.core.event import Event
from haven.core.settings import Settings
from haven.core.transaction import Outcome, Transaction
from haven.core.view import View
from haven.core.words import Kind, Level
from haven.history.history import History
from haven.history.model import HistoryError
from haven.hypervisor.protocol import Inventory
from haven.store.protocol import Store

if TYPE_CHECKING:
    from haven.api.telling.telling import Telling

log = logging.getLogger("haven.api")


class Chronicle:
    """The history, opened when it is first needed: its trouble is never a reason not to answer."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._history: History | None = None

    def book(self) -> History:
        """Raises HistoryError."""
        with self._lock:
            if self._history is None:
                self._history = _opened(self._path)
            return self._history

    def close(self) -> None:
        if self._history:
            self._history.close()


def _opened(path: Path) -> History:
    """The history, which tells first what became of itself. Raises HistoryError."""
    history = History(path)
    notices = [Event(Kind.DAEMON_ERROR, notice, level=Level.WARN) for notice in history.notices]
    history.record("api", notices, time.time())
    return history


@dataclass(slots=True)
class State:
    """One per process. Handlers run in several threads at once; `judging` lets those in one by one whose
    change is judged by what others have written: a guard does not see a record that is new."""

    settings: Settings
    node: str
    store: Store
    chronicle: Chronicle
    inventory: Inventory
    tasks: TaskBook
    wall_s: Callable[[], float] = time.time
    bell: Bell = field(default_factory=Bell)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    judging: threading.Lock = field(default_factory=threading.Lock)
    telling: "Telling | None" = None

    def view(self) -> View:
        """The store's records now. Raises StoreError."""
        return self.store.read()

    def commit(self, transaction: Transaction) -> Outcome:
        return self.store.commit(transaction)

    def tell(self, events: Sequence[Event]) -> None:
        """Add to the story what a person just changed; the change stands whether it can be told or not."""
        try:
            self.chronicle.book().record("api", events, self.wall_s())
        except HistoryError as error:
            log.warning("not in the history: %s: %s", [event.sentence for event in events], error)
