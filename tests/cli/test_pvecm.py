"""`pvecm` shows one host as what it is: a cluster of one, quorate by itself."""

import re

import pytest

from haven.cli import pvecm
from tests.cli.fake_api import FakeApi

CLUSTER = {"type": "cluster", "id": "cluster", "name": "pve", "nodes": 1, "version": 1, "quorate": 1}
NODE = {"type": "node", "id": "node/pve", "name": "pve", "nodeid": 1, "ip": "10.0.0.1", "local": 1, "online": 1}
Output = pytest.CaptureFixture[str]


def test_status_has_the_blocks_that_people_and_scripts_read(api: FakeApi, capsys: Output) -> None:
    api.answer("GET /cluster/status", [CLUSTER, NODE])
    assert pvecm.main(["status"]) == 0
    lines = capsys.readouterr().out.splitlines()
    dated = r"Date:             [A-Z][a-z]{2} [A-Z][a-z]{2} [ 123]\d \d\d:\d\d:\d\d \d{4}"
    assert [line for line in lines if re.fullmatch(dated, line)] == [lines[9]]
    assert lines[:9] + lines[10:] == [
        "Cluster information",
        "-------------------",
        "Name:             pve",
        "Config Version:   1",
        "Transport:        none",
        "Secure auth:      off",
        "",
        "Quorum information",
        "------------------",
        "Quorum provider:  haven",
        "Nodes:            1",
        "Node ID:          0x00000001",
        "Ring ID:          1.1",
        "Quorate:          Yes",
        "",
        "Votequorum information",
        "----------------------",
        "Expected votes:   1",
        "Highest expected: 1",
        "Total votes:      1",
        "Quorum:           1",
        "Flags:            Quorate",
        "",
        "Membership information",
        "----------------------",
        "    Nodeid      Votes Name",
        "0x00000001          1 10.0.0.1 (local)",
    ]


def test_a_lost_quorum_is_said_where_scripts_look(api: FakeApi, capsys: Output) -> None:
    api.answer("GET /cluster/status", [CLUSTER | {"quorate": 0}, NODE])
    assert pvecm.main(["status"]) == 0
    out = capsys.readouterr().out
    assert "Quorate:          No\n" in out
    assert "Quorum:           1 Activity blocked\n" in out


def test_nodes_lists_the_members_by_name(api: FakeApi, capsys: Output) -> None:
    api.answer("GET /cluster/status", [CLUSTER, NODE])
    assert pvecm.main(["nodes"]) == 0
    assert capsys.readouterr().out == (
        "Membership information\n"
        "----------------------\n"
        "    Nodeid      Votes Name\n"
        "         1          1 pve (local)\n"
    )
