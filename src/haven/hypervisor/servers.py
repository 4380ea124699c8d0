"""Disks that a definition names by a server in the network: does it answer? NBD, iSCSI and the like."""

import socket
from xml.etree import ElementTree

from haven.core.hypervisor import Obstacle
from haven.core.words import HoldCause

ANSWER_S = 1.0
"""A server that accepts no connection by then is not there."""
RECONNECT_S = 60.0

_PORTS = {"nbd": 10809, "iscsi": 3260, "gluster": 24007, "ssh": 22, "http": 80, "https": 443}


Server = tuple[str, int] | str
"""Host and port, or the path of a unix socket."""


def named(source: ElementTree.Element) -> str:
    """A disk's source as people know it: `nbd/x at 10.0.0.9:10809`."""
    at = ", ".join(_text(server) for server in _servers(source) if server)
    return _name(source) + (f" at {at}" if at else "")


def reconnect_s(xml: str) -> float:
    """How long QEMU waits at most for a server that went away before it reports an error, up to RECONNECT_S."""
    delays = ElementTree.fromstring(xml).iterfind("devices/disk/source/reconnect")
    return min(RECONNECT_S, max((float(one.get("delay", "0")) for one in delays), default=0.0))


def absent_server(xml: str) -> Obstacle | None:
    """The first disk of which no server answers, and why; None when all have one. Each is waited for ANSWER_S."""
    for source in ElementTree.fromstring(xml).iterfind("devices/disk[@type='network']/source"):
        why = _all_silent(_servers(source))
        if why:
            return Obstacle(HoldCause.DISK_MISSING, f"disk {_name(source)} is missing: {why}")
    return None


def _name(source: ElementTree.Element) -> str:
    return "/".join(filter(None, (source.get("protocol"), source.get("name"))))


def _servers(source: ElementTree.Element) -> list[Server | None]:
    return [_server(host, source.get("protocol", "")) for host in source.iterfind("host")]


def _server(host: ElementTree.Element, protocol: str) -> Server | None:
    """None where no connection can tell: RDMA, or a port that is the protocol's own affair."""
    if host.get("transport", "tcp") == "unix":
        return host.get("socket")
    name, port = host.get("name"), host.get("port", str(_PORTS.get(protocol, "")))
    if host.get("transport", "tcp") != "tcp" or not port.isdecimal() or not name:
        return None
    return name, int(port)


def _text(server: Server) -> str:
    return server if isinstance(server, str) else f"{server[0]}:{server[1]}"


def _all_silent(servers: list[Server | None]) -> str:
    """What is wrong with every one of them, for any will do; empty when nothing is, or nothing can be said."""
    troubles = []
    for server in servers:
        trouble = _trouble(server) if server else ""
        if not server or not trouble:
            return ""
        troubles.append(f"{_text(server)} does not answer ({trouble})")
    return ", ".join(troubles)


def _trouble(server: Server) -> str:
    """A connection is made and let go before a word is said; no server minds that."""
    try:
        if isinstance(server, str):
            with socket.socket(socket.AF_UNIX) as unix:
                unix.settimeout(ANSWER_S)
                unix.connect(server)
        else:
            socket.create_connection(server, ANSWER_S).close()
    except TimeoutError:
        return f"nothing within {ANSWER_S:g} s"
    except OSError as error:
        return (error.strerror or str(error)).lower()
    return ""
