"""The figures of the last long fault search, as a table for docs/fault-search.md."""

import json
from pathlib import Path

FILES = ("search.json", "search_pve.json")


def search_table(directory: Path) -> str:
    """One column for each pacing that was searched; empty when none was: then the page is left as it is."""
    runs = [json.loads((directory / name).read_text()) for name in FILES if (directory / name).exists()]
    if not runs:
        return ""
    rows = [f"| {' | '.join(row)} |" for row in _rows(runs)]
    rows.insert(1, f"|{'---|' * (len(runs) + 1)}")
    return "\n".join(rows) + "\n"


def _rows(runs: list[dict[str, object]]) -> list[list[str]]:
    return [[key.replace("_", " "), *(str(run[key]) for run in runs)] for key in runs[0]]
