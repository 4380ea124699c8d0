"""Disks on servers in the network, with real sockets in their place."""

import socket
from pathlib import Path
from xml.etree import ElementTree

import pytest

from haven.core.hypervisor import Obstacle
from haven.core.words import HoldCause
from haven.hypervisor import servers


def disk(*hosts: str, protocol: str = "nbd") -> str:
    source = f"<source protocol='{protocol}' name='x'>{''.join(hosts)}</source>"
    return f"<domain><devices><disk type='network'>{source}</disk></devices></domain>"


def named(xml: str) -> str:
    source = ElementTree.fromstring(xml).find("devices/disk/source")
    assert source is not None
    return servers.named(source)


def tcp(port: int) -> str:
    return f"<host name='127.0.0.1' port='{port}'/>"


@pytest.fixture
def port() -> int:
    """One at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_a_disk_whose_server_does_not_answer_is_missing(port: int) -> None:
    detail = f"disk nbd/x is missing: 127.0.0.1:{port} does not answer (connection refused)"
    assert servers.absent_server(disk(tcp(port))) == Obstacle(HoldCause.DISK_MISSING, detail)
    assert named(disk(tcp(port))) == f"nbd/x at 127.0.0.1:{port}"


def test_one_of_its_servers_is_enough(port: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        assert servers.absent_server(disk(tcp(port), tcp(server.getsockname()[1]))) is None


def test_a_unix_socket_without_anybody_behind_it_is_no_server(tmp_path: Path) -> None:
    path = tmp_path / "nbd"
    xml = disk(f"<host transport='unix' socket='{path}'/>")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        assert servers.absent_server(xml) is None
    found = servers.absent_server(xml)
    assert found is not None
    assert found.detail == f"disk nbd/x is missing: {path} does not answer (connection refused)"


@pytest.mark.parametrize(
    "xml",
    [
        disk(),
        disk("<host name='127.0.0.1'/>", protocol="rbd"),
        disk("<host name='127.0.0.1' port='1' transport='rdma'/>"),
    ],
)
def test_of_a_server_that_cannot_be_asked_nothing_is_said(xml: str) -> None:
    assert servers.absent_server(xml) is None
