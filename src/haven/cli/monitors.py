"""Monitors as the guide writes them down for Uptime Kuma, read as health checks.

    Monitor: MAAS Service
    Type: HTTP
    URL: http://192.168.4.53:5240/MAAS/

Fields may come in any order after `Monitor:`; lines that begin with `#`, or hold no field, are passed over.
"""

import re
import shlex
from dataclasses import dataclass

_FIELD = re.compile(r"\s*(?:[-*]\s+)?([A-Za-z ]{2,20}?)\s*:\s+(\S.*?)\s*$")
_KINDS = {
    "ping": "ping",
    "icmp": "ping",
    "tcp": "tcp",
    "tcp port": "tcp",
    "port": "tcp",
    "http": "http",
    "https": "http",
    "http(s)": "http",
    "keyword": "http",
}


@dataclass(frozen=True, slots=True)
class Monitors:
    """Checks as `haven set --check` takes them, and what could not be taken, in words."""

    checks: tuple[str, ...]
    notes: tuple[str, ...]


def read_monitors(text: str) -> Monitors:
    """The checks that a text with `Monitor:` blocks asks for."""
    checks, notes = [], []
    for block in _blocks(text):
        try:
            checks.append(_check(block))
        except ValueError as error:
            notes.append(f"{block['monitor']}: not added: {error}")
    return Monitors(tuple(checks), tuple(notes))


def _blocks(text: str) -> list[dict[str, str]]:
    """Each `Monitor:` line begins one; fields before the first belong to none."""
    blocks: list[dict[str, str]] = []
    for line in text.splitlines():
        match = None if line.lstrip().startswith("#") else _FIELD.match(line)
        if not match:
            continue
        name = match[1].lower()
        if name in ("monitor", "friendly name"):
            blocks.append({"monitor": match[2]})
        elif blocks:
            blocks[-1].setdefault(name, match[2])
    return blocks


def _check(block: dict[str, str]) -> str:
    kind = block.get("type", "").lower()
    if kind == "push":
        raise ValueError(
            "a push monitor waits to be called; give its URL to the VM (haven set SID --push-url URL), or set"
            " heartbeat_url in haven.toml for haven itself"
        )
    if kind not in _KINDS:
        raise ValueError(f"type '{kind}' is none of ping, TCP, HTTP" if kind else "it has no Type: line")
    words = [_KINDS[kind], _target(_KINDS[kind], block), f"name={block['monitor']}"]
    if text := block.get("keyword"):
        words.append(f"text={text}")
    return shlex.join(words)


def _target(kind: str, block: dict[str, str]) -> str:
    host = block.get("hostname") or block.get("host")
    url = block.get("url") or host
    if kind == "http" and url:
        return url
    if kind == "tcp" and host and (port := block.get("port")):
        return f"{host}:{port}"
    if kind != "http" and host:
        return host
    raise ValueError("it has no URL: line" if kind == "http" else "it has no Hostname: line")
