"""Taking away what haven wrote: nothing else, wherever the settings had it written."""

from __future__ import annotations

import shutil
from pathlib import Path

_REMEMBERED = ("haven.db*", "history.db*", "notify.db*", "store.lock", "store.copying", "*.opening")
"""In the state directory: the store, the history and what waits to be told, with copies and locks."""


def remove_tree(folder: Path) -> str:
    """A folder that is haven's alone, with all that is in it; of a link, also what it leads to."""
    if not folder.exists():
        return "not there"
    target = folder.resolve()
    if folder.is_symlink():
        folder.unlink()
    shutil.rmtree(target)
    return "removed"


def remove_file(path: Path) -> str:
    path.unlink(missing_ok=True)
    return "removed"


def forget(state_dir: Path) -> str:
    """The store and the history; the folder, too, if nothing else is in it: the settings may name a shared one."""
    if not state_dir.exists():
        return "not there"
    for path in [path for pattern in _REMEMBERED for path in state_dir.glob(pattern)]:
        path.unlink(missing_ok=True)
    left = sorted(path.name for path in state_dir.iterdir())
    if left:
        return f"what is haven's is removed; the rest stays: {', '.join(left[:5])}{', ...' if left[5:] else ''}"
    try:
        state_dir.rmdir()
    except OSError:
        return "emptied; the folder itself stays: it is a link, or mounted"
    return "removed"
