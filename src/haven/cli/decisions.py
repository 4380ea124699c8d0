"""`haven decisions`: the steps that are kept, one of them as a file for `haven replay`."""

import json
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from haven.cli.arguments import AnySid
from haven.cli.console import complain
from haven.cli.session import connect
from haven.cli.times import clock, wall_now_s

MAX_LIMIT = 500


def decisions(
    sid: AnySid = None,
    save: Annotated[
        int | None,
        typer.Option(min=1, metavar="ID", help="Print this one whole, for haven replay: --save 7 > FILE."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=MAX_LIMIT, help="At most so many, the newest.")] = 20,
    as_json: Annotated[bool, typer.Option("--json", help="Print the API's answer as JSON.")] = False,
) -> int:
    """List saved decisions, or save one for haven replay."""
    api = connect("haven decisions")
    if save is not None:
        print(json.dumps(api.get(f"/haven/decisions/{save}"), indent=1, ensure_ascii=False))
        return 0
    found = api.get("/haven/decisions", sid=sid, limit=limit)
    if as_json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
    elif found:
        from haven.cli.screen import open_screen

        open_screen().print(_table(found, wall_now_s()))
    else:
        complain("no decision is kept" + (f" about {sid}" if sid else ""))
    return 0


def _table(found: Sequence[dict[str, Any]], now_s: float) -> Any:
    """Oldest first: id, when, who, about which VMs, and what it told."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for name in ("ID", "Time", "By", "VM"):
        table.add_column(name, no_wrap=True)
    table.add_column("What it told", overflow="fold")
    for one in found:
        sids = ", ".join(one["sids"][:2]) + (", ..." if len(one["sids"]) > 2 else "")
        told = "\n".join(one["sentences"])
        table.add_row(str(one["id"]), clock(float(one["time"]), now_s), one["source"], sids or "-", told)
    return table
