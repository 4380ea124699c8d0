"""Opening what the API works with, and closing it in order."""

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

from haven.api.bell import Bell
from haven.api.state import Chronicle, State
from haven.api.tasks import TaskBook
from haven.core.event import Event
from haven.core.settings import Settings
from haven.core.words import Kind, Level
from haven.daemons.in_force import keep_settings
from haven.history.history import HISTORY_FILE
from haven.hypervisor.inventory import LibvirtInventory
from haven.store.doorbell import Doorbell
from haven.store.sqlite import open_store


@contextmanager
def open_state(settings: Settings) -> Iterator[State]:
    """Everything that the handlers share, until the end of the block. Raises StoreError."""
    state_dir, run_dir = Path(settings.state_dir), Path(settings.run_dir)
    with ExitStack() as stack:
        store = stack.enter_context(closing(open_store(state_dir, run_dir, "api")))
        news = [Event(Kind.STORE_TROUBLE, notice, level=Level.ERR) for notice in store.notices]
        chronicle = stack.enter_context(closing(Chronicle(state_dir / HISTORY_FILE)))
        inventory = stack.enter_context(closing(LibvirtInventory(settings)))
        bell = stack.enter_context(closing(Bell(Doorbell(run_dir, "api"))))
        state = State(settings, settings.node, store, chronicle, inventory, TaskBook(settings.node), bell=bell)
        if changed := keep_settings(store, settings, "api", state.wall_s()):
            news.append(Event(Kind.CONFIG_CHANGED, changed))
        state.tell([*news, Event(Kind.DAEMON_STARTED, f"api started on {settings.node}")])
        yield state
