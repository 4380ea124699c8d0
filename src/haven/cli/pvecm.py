"""`pvecm`: Proxmox VE's view of the cluster, as far as one host is one: quorate by itself."""

import time
from collections.abc import Sequence
from typing import Any

from haven.api.client import ApiClient
from haven.cli.pve_args import Call, Command
from haven.cli.pve_tool import Report, Verb, run_tool
from haven.cli.text import c_time, printable

_LABEL_WIDTH = 18


def status(api: ApiClient, _call: Call) -> Report:
    entries = api.get("/cluster/status")
    cluster, nodes = _cluster(entries), _nodes(entries)
    blocks = (_information(cluster, nodes), _quorum(cluster, nodes), _votes(cluster, nodes), _membership(nodes))
    return Report(entries, "\n\n".join("\n".join(block) for block in blocks))


def nodes(api: ApiClient, _call: Call) -> Report:
    entries = api.get("/cluster/status")
    rows = [f"{node['nodeid']:>10} {1:>10} {_name(node, 'name')}" for node in _nodes(entries)]
    return Report(entries, "\n".join([*_head("Membership information"), _COLUMNS, *rows]))


def _cluster(entries: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return next((entry for entry in entries if entry["type"] == "cluster"), {})


def _nodes(entries: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    members = [entry for entry in entries if entry["type"] == "node"]
    return sorted(members, key=lambda node: int(node["nodeid"]))


_COLUMNS = "    Nodeid      Votes Name"


def _head(title: str) -> list[str]:
    return [title, "-" * len(title)]


def _line(label: str, value: object) -> str:
    return f"{label + ':':<{_LABEL_WIDTH}}{printable(str(value))}".rstrip()


def _information(cluster: dict[str, Any], nodes: list[dict[str, Any]]) -> list[str]:
    """The first block. One host talks to nobody: no transport, so nothing to authenticate."""
    name = cluster.get("name") or (nodes[0]["name"] if nodes else "haven")
    return [
        *_head("Cluster information"),
        _line("Name", name),
        _line("Config Version", cluster.get("version", 1)),
        _line("Transport", "none"),
        _line("Secure auth", "off"),
    ]


def _quorum(cluster: dict[str, Any], nodes: list[dict[str, Any]]) -> list[str]:
    local = next((int(node["nodeid"]) for node in nodes if node.get("local")), 0)
    return [
        *_head("Quorum information"),
        _line("Date", c_time(time.time())),
        _line("Quorum provider", "haven"),
        _line("Nodes", sum(1 for node in nodes if node.get("online"))),
        _line("Node ID", f"0x{local:08x}"),
        _line("Ring ID", f"{local:x}.{int(cluster.get('version', 1)):x}"),
        _line("Quorate", "Yes" if cluster.get("quorate") else "No"),
    ]


def _votes(cluster: dict[str, Any], nodes: list[dict[str, Any]]) -> list[str]:
    quorate = bool(cluster.get("quorate"))
    needed = len(nodes) // 2 + 1
    return [
        *_head("Votequorum information"),
        _line("Expected votes", len(nodes)),
        _line("Highest expected", len(nodes)),
        _line("Total votes", sum(1 for node in nodes if node.get("online"))),
        _line("Quorum", needed if quorate else f"{needed} Activity blocked"),
        _line("Flags", "Quorate" if quorate else ""),
    ]


def _membership(nodes: list[dict[str, Any]]) -> list[str]:
    rows = [
        f"0x{int(node['nodeid']):08x} {1:>10} {_name(node, 'ip', 'name')}" for node in nodes if node.get("online")
    ]
    return [*_head("Membership information"), _COLUMNS, *rows]


def _name(node: dict[str, Any], *keys: str) -> str:
    """The first of the keys that the node has, and whether it is this one."""
    name = next(str(node[key]) for key in keys if node.get(key))
    return printable(f"{name} (local)" if node.get("local") else name)


VERBS = (
    Verb(Command(("nodes",), "Show the members."), nodes),
    Verb(Command(("status",), "Show whether there is a quorum, and who votes."), status),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line; returns the exit status."""
    return run_tool("pvecm", VERBS, argv)
