"""Health checks from outside: how a person writes them down, and whether a VM is healthy now."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

from haven.core.host import CheckSeen, Pulse
from haven.core.hypervisor import Power, Vm
from haven.core.records import HealthCheck, VmCare
from haven.core.words import CheckKind

MAX_CHECKS = 16
_MAX_TEXT = 512
_LIMITS = {"every_s": (1.0, 3600.0), "timeout_s": (0.5, 60.0), "fails": (1, 100), "status": (100, 599)}
WORDS = {
    "name": "name",
    "status": "status",
    "text": "text",
    "every": "every_s",
    "timeout": "timeout_s",
    "fails": "fails",
}
"""What may follow a check's target, and the field it fills."""


@dataclass(frozen=True, slots=True)
class Health:
    """Whether a VM is healthy, and why it is said to be (or not), in a few words."""

    ok: bool
    why: str


def healthy(care: VmCare, vm: Vm | None, pulse: Pulse | None) -> Health:
    """Whether the VM serves now, for whoever waits for it: it runs, and every check's last look, made since its
    QEMU started, was good. Without checks its agent must have answered since, if it is watched for hangs; a VM
    with neither is healthy as soon as it runs."""
    if vm is None or vm.power is not Power.RUNNING:
        return Health(False, "it does not run")
    started_s = started_boottime_s(vm)
    if care.checks:
        return _by_checks(care, pulse, started_s)
    if care.hang is None:
        return Health(True, "it runs")
    if pulse and pulse.agent_s is not None and pulse.agent_s >= started_s:
        return Health(True, "its agent answers")
    return Health(False, "its agent has not answered yet")


def _by_checks(care: VmCare, pulse: Pulse | None, started_s: float) -> Health:
    seen = pulse.checks if pulse else {}
    for check in care.checks:
        last = seen.get(check.name)
        if last is None or last.boottime_s < started_s:
            return Health(False, f"{check.name}: not looked at yet")
        if not last.ok:
            return Health(False, f"{check.name}: {last.detail}")
    return Health(True, "its checks are good")


def unhealthy(check: HealthCheck, seen: CheckSeen | None) -> bool:
    """Whether the check failed as often in a row as it must to count."""
    return seen is not None and seen.fails >= check.fails


def started_boottime_s(vm: Vm) -> float:
    """When the VM's QEMU started, 0 when that is not known."""
    return 0.0 if vm.uptime_s is None else vm.checked_boottime_s - vm.uptime_s


def check_text(check: HealthCheck) -> str:
    """The check as a person writes it, read back to the same by `parse_check`."""
    words = [check.kind.value, check.target]
    plain = HealthCheck(_default_name(check.kind, check.target), check.kind, check.target)
    for word, field in WORDS.items():
        value = getattr(check, field)
        if value != getattr(plain, field):
            words.append(f"{word}={value:.10g}" if isinstance(value, float) else f"{word}={value}")
    return shlex.join(words)


def parse_check(text: str) -> HealthCheck:
    """`ping HOST`, `tcp HOST:PORT`, `http URL`, then words as `name=web every=10 timeout=5 fails=3 status=200
    text="up"`; a URL alone is `http`. ValueError says what is wrong."""
    if len(text) > _MAX_TEXT or not text.isprintable():
        raise ValueError(f"expected one line of at most {_MAX_TEXT} characters")
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise ValueError(f"quotes do not match ({error})") from error
    if words and words[0].startswith(("http://", "https://")):
        words = ["http", *words]
    if len(words) < 2 or words[0] not in list(CheckKind):
        raise ValueError("expected: ping HOST, tcp HOST:PORT or http URL")
    kind, target = CheckKind(words[0]), words[1]
    _check_target(kind, target)
    check = HealthCheck(_default_name(kind, target), kind, target)
    return _with_words(check, words[2:])


def _default_name(kind: CheckKind, target: str) -> str:
    return target if kind is CheckKind.HTTP else f"{kind.value} {target}"


def _with_words(check: HealthCheck, words: list[str]) -> HealthCheck:
    given: dict[str, object] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or name not in WORDS:
            raise ValueError(f"{_short(word)}: expected {', '.join(f'{known}=' for known in WORDS)}")
        if check.kind is not CheckKind.HTTP and name in ("status", "text"):
            raise ValueError(f"{name}= is for http only")
        given[WORDS[name]] = _typed(WORDS[name], value)
    return replace(check, **given)  # type: ignore[arg-type]


def _typed(field: str, value: str) -> object:
    if field not in _LIMITS:
        if not value:
            raise ValueError(f"{field}= is empty")
        return value
    low, high = _LIMITS[field]
    kinds = {spec.name: spec.type for spec in fields(HealthCheck)}
    try:
        number = float(value) if kinds[field] is float else int(value)
    except ValueError:
        number = low - 1
    if not low <= number <= high:
        raise ValueError(f"{field.removesuffix('_s')}={_short(value)}: expected {low:g} to {high:g}")
    return number


def _check_target(kind: CheckKind, target: str) -> None:
    if any(character.isspace() for character in target) or target.startswith("-"):
        raise ValueError(f"{_short(target)}: not an address")
    if kind is CheckKind.HTTP:
        _check_url(target)
    elif kind is CheckKind.TCP:
        host, colon, port = target.rpartition(":")
        if not (host and colon) or not is_port(port):
            raise ValueError(f"{_short(target)}: expected HOST:PORT, as 192.168.4.53:5240")
    elif "://" in target or "/" in target:
        raise ValueError(f"{_short(target)}: expected a host name or an address, as 192.168.4.1")


def _check_url(url: str) -> None:
    scheme, separator, rest = url.partition("://")
    host = rest.partition("/")[0]
    if scheme not in ("http", "https") or not separator or not host.rpartition("@")[2].strip(":"):
        raise ValueError(f"{_short(url)}: expected a URL, as https://192.168.4.1")
    port = host.rpartition("]")[2].partition(":")[2]
    if port and not is_port(port):
        raise ValueError(f"{_short(url)}: the port is not one from 1 to 65535")


def is_port(text: str) -> bool:
    return text.isascii() and text.isdecimal() and 1 <= int(text[:6]) <= 65535


def _short(text: str) -> str:
    shown = "".join(character if character.isprintable() else "?" for character in text[:41])
    return shown if len(shown) <= 40 else shown[:37] + "..."


def failing(care: VmCare, pulse: Pulse | None) -> Mapping[str, CheckSeen]:
    """The checks that count as failed now, by name."""
    seen = pulse.checks if pulse else {}
    return {check.name: seen[check.name] for check in care.checks if unhealthy(check, seen.get(check.name))}
