"""A store in a temporary directory, records to put in it, and child processes that use it."""

import os
import subprocess
import sys
from pathlib import Path

from haven.core.records import Command, Lock, Origin, Record, ServiceConfig
from haven.core.transaction import Delete, Guard, Put, Transaction
from haven.core.view import View
from haven.core.words import Verb
from haven.store.sqlite import SqliteStore, open_store

ROOT = Path(__file__).parents[2]
ORIGIN = Origin("root", "test", 0.0)


def opened(directory: Path, who: str = "lrm") -> SqliteStore:
    return open_store(directory / "state", directory / "run", who)


def database(directory: Path) -> Path:
    return directory / "state" / "haven.db"


def lock(holder: str) -> Lock:
    return Lock("alpha", holder)


def config(sid: str, comment: str | None = None) -> ServiceConfig:
    return ServiceConfig(sid, f"uuid-{sid}", "alpha", comment=comment)


def command(number: int) -> Command:
    return Command(str(number), Verb.STOP, "vm:1", 0, ORIGIN)


def put(view: View, key: str, record: Record) -> Transaction:
    """Write one record, guarded by what the view says of its key."""
    return Transaction(view.incarnation, (Guard(key, view.revision_of(key)),), (Put(key, record),))


def delete(view: View, key: str) -> Transaction:
    return Transaction(view.incarnation, (Guard(key, view.revision_of(key)),), (Delete(key),))


def child(*arguments: str) -> list[str]:
    """The command line of a child process: see tests/store/child.py."""
    return [sys.executable, "-m", "tests.store.child", *arguments]


def spawn(*arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(child(*arguments), cwd=ROOT, stdout=subprocess.PIPE, text=True)


def in_small_tmpfs(mount_point: Path, size_kib: int, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run a child with a tmpfs of that size at `mount_point`, in a mount namespace of its own."""
    script = f"mount -t tmpfs -o size={size_kib}k tmpfs '{mount_point}' && exec \"$@\""
    return subprocess.run(
        ["unshare", "-m", "sh", "-c", script, "sh", *child(*arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )


def may_mount() -> bool:
    return os.geteuid() == 0 and subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode == 0
