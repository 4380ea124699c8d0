"""`haven cluster-options`: the datacenter options that HA reads, as Proxmox VE writes them."""

import json
from typing import Annotated

import typer

from haven.cli.session import connect


def cluster_options(
    ha: Annotated[
        str | None, typer.Option(metavar="KEY=VALUE", help="For example: shutdown_policy=migrate")
    ] = None,
    crs: Annotated[
        str | None, typer.Option(metavar="KEY=VALUE,...", help="For example: ha=static,ha-rebalance-on-start=1")
    ] = None,
    max_workers: Annotated[
        int | None, typer.Option("--max_workers", "--max-workers", help="Starts and stops at a time on one host.")
    ] = None,
    delete: Annotated[
        str | None, typer.Option(metavar="NAME,...", help="Back to the default: ha, crs, max_workers.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the API's answer as JSON.")] = False,
) -> int:
    """Show or change the cluster's options.

    As in Proxmox VE's datacenter.cfg: what is given takes the place of the whole line.
    """
    given = {"ha": ha, "crs": crs, "max_workers": max_workers, "delete": delete}
    changes = {name: value for name, value in given.items() if value is not None}
    api = connect("haven cluster-options")
    if changes:
        api.put("/cluster/options", **changes)
        return 0
    found = api.get("/cluster/options")
    if as_json:
        print(json.dumps(found, indent=2, ensure_ascii=False))
        return 0
    from haven.cli.story_view import option_lines

    for line in option_lines(found):
        print(line)
    return 0
