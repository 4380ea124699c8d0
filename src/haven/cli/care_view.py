"""`haven options`: what was asked of haven for one VM, and what could be."""

from collections.abc import Iterator, Mapping
from typing import Any

from rich.text import Text

from haven.cli.screen import GAP, hanging
from haven.cli.text import printable

_PLACE_COLUMNS = 12


def option_lines(data: Mapping[str, Any], width: int) -> Iterator[Text]:
    """A line for each option, those that are set first and bold; a check each in a line of its own."""
    sid, options = printable(str(data["sid"])), data["options"]
    if data["observe"]:
        yield Text(f"{sid} is only observed: haven touches nothing (haven observe)", "yellow")
    known = sorted(data["known"], key=lambda option: option["name"] not in options)
    columns = max(len(option["name"]) for option in known) + len(GAP)
    for option in known:
        name = str(option["name"])
        values = [printable(line) for line in str(options.get(name, "")).splitlines()]
        for value in values or [printable(str(option["default"]))]:
            head = f"{name:<{columns}}{value:<{_PLACE_COLUMNS}}{GAP}"
            meaning = Text(printable(str(option["meaning"])), "dim")
            yield hanging(head, meaning, width, "bold" if values else "dim")
    yield Text()
    yield Text(f"-> set one: haven set {sid} --hang-after 60; back to its default: --delete hang_after", "dim")
