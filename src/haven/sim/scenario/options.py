"""The options of a scenario, by the names that Proxmox VE gives them, and what each may be."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from haven.core.records import ClusterOptions
from haven.core.words import RebalanceMethod, SchedulerMode, ShutdownPolicy
from haven.sim.errors import WordsError
from haven.sim.scenario.names import hint, shown


@dataclass(frozen=True, slots=True)
class Option:
    """One option: the field of ClusterOptions, what is expected, in words, and how it is read."""

    field: str
    expected: str
    read: Callable[[str], Any]


def _words(kind: type[StrEnum]) -> str:
    return ", ".join(kind)


def _share(text: str) -> float:
    """What an option of Proxmox VE says in percent."""
    if not re.fullmatch(r"(0(\.[0-9]{1,9})?|1(\.0{1,9})?)", text):
        raise ValueError(text)
    return float(text)


def _rounds(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,3}", text):
        raise ValueError(text)
    return int(text)


def _on_off(text: str) -> bool:
    return {"on": True, "off": False, "1": True, "0": False}[text]


OPTIONS = {
    "shutdown_policy": Option("shutdown_policy", _words(ShutdownPolicy), ShutdownPolicy),
    "scheduler": Option("scheduler", _words(SchedulerMode), SchedulerMode),
    "ha-rebalance-on-start": Option("rebalance_on_start", "on or off", _on_off),
    "ha-auto-rebalance": Option("auto_rebalance", "on or off", _on_off),
    "ha-auto-rebalance-threshold": Option("threshold", "a number from 0 to 1", _share),
    "ha-auto-rebalance-method": Option("method", _words(RebalanceMethod), RebalanceMethod),
    "ha-auto-rebalance-hold-duration": Option("hold_rounds", "a number of rounds up to 999", _rounds),
    "ha-auto-rebalance-margin": Option("margin", "a number from 0 to 1", _share),
}


def checked_option(name: str, value: str) -> tuple[str, Any]:
    """The field of ClusterOptions and its value. Raises WordsError."""
    option = OPTIONS.get(name)
    if option is None:
        raise WordsError(f"option {shown(name)} is not known; {hint(name, list(OPTIONS), 'known are')}")
    try:
        return option.field, option.read(value)
    except (KeyError, ValueError) as error:
        default = getattr(ClusterOptions(), option.field)
        text = f"{name} = {shown(value)}: expected {option.expected} (default {default})"
        raise WordsError(text) from error
