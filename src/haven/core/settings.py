"""haven's one configuration file, as a value: every key, its meaning, its default, its limits."""

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from haven.core.masking import SECRET_KEYS, masked
from haven.core.words import Pacing, Policy


class SettingsError(Exception):
    """The file cannot be used; the text names the key, the value and what is expected."""


def _key(default: object, meaning: str, at_least: float | None = None, at_most: float | None = None) -> Any:
    return field(default=default, metadata={"meaning": meaning, "min": at_least, "max": at_most})


@dataclass(frozen=True, slots=True)
class Settings:
    """Every key of haven.toml. The defaults are what a host with one administrator wants."""

    node: str = _key("", "this host's name in haven; empty: its host name, without the domain")
    state_dir: str = _key("/var/lib/haven", "where the store and the history are kept")
    run_dir: str = _key("/run/haven", "sockets and locks; gone after a reboot")
    libvirt_uri: str = _key("", "the hypervisor; empty: the system's libvirt, by whichever of its sockets answers")
    qemu_pid_dir: str = _key("/run/libvirt/qemu", "where libvirt writes QEMU's pid files")
    qemu_log_dir: str = _key("/var/log/libvirt/qemu", "where QEMU's own logs are")
    tick_s: float = _key(10.0, "seconds between looks at everything when no event comes", 1, 20)
    max_workers: int = _key(4, "starts and stops that may run at the same time", 1, 64)
    start_retry_s: float = _key(1.0, "pause before the first repeat of a failed start; then doubled", 0.1, 60)
    brake_window_s: float = _key(600.0, "crashes within this time count together", 10, 86400)
    brake_hold_s: float = _key(600.0, "how long a VM that keeps crashing is held", 1, 86400)
    history_days: int = _key(400, "how long the story is kept", 1, 36500)
    log_level: str = _key("info", "debug, info, warning or error")
    memory_low_percent: float = _key(5.0, "available memory of the host below this share is told", 0, 90)
    memory_pressure_percent: float = _key(20.0, "the same for time spent waiting for memory (PSI)", 0, 100)
    memory_reserve_mib: int = _key(128, "memory that a start of a VM leaves free for the host", 0, 65536)
    memory_needed_percent: float = _key(
        100.0, "share of a VM's memory that must be available for its start; 0: none", 0, 100
    )
    storage_low_percent: float = _key(5.0, "free space below this share under a VM's images is told", 0, 90)
    notify: tuple[str, ...] = _key((), "where incidents are sent: Apprise URLs, in quotes and brackets")
    webhook_url: str = _key("", "gets each incident as JSON, by POST")
    notify_command: str = _key("", "run for each incident, with its JSON on standard input")
    notify_per_hour: int = _key(20, "messages an hour at most; the rest is summed up in one", 1, 3600)
    heartbeat_url: str = _key("", "called every minute while haven is well: a push monitor of Uptime Kuma")
    metrics_listen: str = _key("", 'where Prometheus may ask, as "127.0.0.1:9177"; empty: nowhere')
    policy: Policy = Policy.HAVEN
    pacing: Pacing = Pacing.FAST


LOG_LEVELS = ("debug", "info", "warning", "error")
_SHOWN_CHARS = 80
_WEB_ADDRESS = re.compile(r"https?://[^/\s]")
_HIDDEN = {"policy", "pacing"}  # chosen by the simulator, never by a user (DESIGN: two explicit inputs)


def parse_settings(text: str) -> Settings:
    """Read haven.toml's text. Raises SettingsError for anything it does not know or that is out of bounds."""
    try:
        given = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # also numbers and nesting beyond all reason
        raise SettingsError(f"not valid TOML: {str(error)[:_SHOWN_CHARS]}") from error
    known = {spec.name: spec for spec in fields(Settings) if spec.name not in _HIDDEN}
    values: dict[str, Any] = {}
    for key, value in given.items():
        if key not in known:
            import difflib  # only here: every process of haven reads its settings

            near = difflib.get_close_matches(key[:_SHOWN_CHARS], known, n=1)
            hint = f'; did you mean "{near[0]}"?' if near else ""
            raise SettingsError(f"unknown key {_short(key)}{hint}")
        values[key] = _checked(key, value, known[key].default, known[key].metadata)
    return Settings(**values)


def _checked(key: str, value: object, default: object, metadata: Mapping[str, Any]) -> object:
    """The value in the default's type and within its limits."""
    if isinstance(default, tuple):
        return _texts(key, value)
    whole_for_float = isinstance(default, float) and type(value) is int
    if type(value) is not type(default) and not whole_for_float:
        raise SettingsError(f"{_given(key, value)}: expected {_type_name(default)}")
    if isinstance(value, str):
        _check_text(key, value)
        return value
    assert isinstance(value, (int, float))
    low, high = metadata["min"], metadata["max"]
    if not low <= value <= high:
        raise SettingsError(f"{key} = {_short(value)}: expected {low:g} to {high:g}")
    return float(value) if whole_for_float else value


def _texts(key: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise SettingsError(f"{_given(key, value)}: expected texts in quotes, in brackets")
    for text in value:
        _check_text(key, text)
    return tuple(value)


def _check_text(key: str, value: str) -> None:
    if "\n" in value or "\0" in value:
        raise SettingsError(f"{key}: line breaks are not allowed")
    if key == "log_level" and value not in LOG_LEVELS:
        raise SettingsError(f"log_level = {_short(value)}: expected one of {', '.join(LOG_LEVELS)}")
    if key.endswith("_dir") and not value.startswith("/"):
        raise SettingsError(f"{key} = {_short(value)}: expected a full path, one that begins with /")
    if key in ("webhook_url", "heartbeat_url") and value and not _WEB_ADDRESS.match(value):
        raise SettingsError(f"{_given(key, value)}: expected an address that begins with http:// or https://")
    if key == "metrics_listen" and value:
        listen_address(value)


def listen_address(text: str) -> tuple[str, int]:
    """`127.0.0.1:9177`, `[::1]:9177`; `:9177` and `9177` are for this host only. Raises SettingsError."""
    host, _, port = text.rpartition(":")
    if not (port.isascii() and port.isdecimal() and 0 < int(port) < 65536):
        raise SettingsError(
            f'metrics_listen = {_short(text)}: expected an address and a port, as "127.0.0.1:9177"'
        )
    return host.strip("[]") or "127.0.0.1", int(port)


def _given(key: str, value: object) -> str:
    """The key and what was given for it; of a secret only what kind of address it is."""
    if key not in SECRET_KEYS:
        return f"{key} = {_short(value)}"
    return f"{key} = {masked(value)}" if isinstance(value, str) else key


def _short(value: object) -> str:
    """A value as an error shows it: in one line, and not a megabyte of it."""
    shown = json.dumps(value) if isinstance(value, str) else repr(value)
    return shown if len(shown) <= _SHOWN_CHARS else shown[:_SHOWN_CHARS] + "..."


def _default(value: object) -> str:
    if isinstance(value, tuple):
        return "[]"
    return f'"{value}"' if isinstance(value, str) else f"{value:g}"


def _type_name(default: object) -> str:
    return {str: "text in quotes", int: "a whole number", float: "a number"}[type(default)]


def described_keys() -> tuple[tuple[str, str, str], ...]:
    """Every key with its default, as TOML, and its meaning."""
    shown = (spec for spec in fields(Settings) if spec.name not in _HIDDEN)
    return tuple((spec.name, _default(spec.default), str(spec.metadata["meaning"])) for spec in shown)


def describe_settings() -> str:
    """The documented configuration file: every key, commented out, with its default."""
    lines = ["# haven.toml: every key with its default. Remove the # to change one.", ""]
    for key, default, meaning in described_keys():
        lines += [f"# {meaning}", f"#{key} = {default}", ""]
    return "\n".join(lines)
