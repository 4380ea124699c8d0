"""The queue of commands for the manager (spec 7.1): written by people, read and emptied by the manager."""

import secrets
import time

from haven.api.routes import Call
from haven.core.records import Command
from haven.core.transaction import Delete, Put
from haven.core.view import View
from haven.core.words import DisarmMode, Verb


def new_command(
    call: Call, verb: Verb, *, sid: str = "", timeout_s: int = 0, node: str = "", mode: DisarmMode | None = None
) -> Command:
    """A command of this caller, to stand behind all others: ids sort by time."""
    name = f"{time.time_ns():016x}-{secrets.token_hex(4)}"
    return Command(name, verb, sid, timeout_s, call.identity.origin(call.state.wall_s()), node, mode)


def queued(view: View, command: Command) -> tuple[Put | Delete, ...]:
    """Write it. One that asks for the same and still waits goes, so that repeats never make the queue grow."""
    same = [waiting for waiting in view.commands().values() if _meaning(waiting) == _meaning(command)]
    return (Put(f"command/{command.id}", command), *(Delete(f"command/{waiting.id}") for waiting in same))


def _meaning(command: Command) -> tuple[object, ...]:
    return (command.verb, command.sid, command.timeout_s, command.node, command.mode)
