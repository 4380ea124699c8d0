"""What a person may ask of haven for one VM, as a table: name, meaning, limits, from text and back to text.

Texts are what `haven set` takes and `haven options` shows; what is shown can be set again as it is.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from haven.core.health import MAX_CHECKS, check_text, parse_check
from haven.core.records import DrillPlan, HangTerms, VmCare

DRILL_EVERY_DAYS = {"daily": 1, "weekly": 7, "monthly": 30, "quarterly": 91}
"""The rhythms of drills that have a name."""

_UNITS_S = {"": 1, "s": 1, "min": 60, "h": 3600, "d": 86400}
_MAX_DRILL_DAYS = 366
_MAX_URL = 512
_DRILL_FORM = "expected: monthly 02-05 (daily, weekly, monthly, quarterly or 10d; hours as 02-05 or 22-04), or off"

OFF = "off"
"""Sets an option back to its default."""


class OptionError(ValueError):
    """An option cannot be set so; `name` is the option."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(text)
        self.name = name
        self.text = text


@dataclass(frozen=True, slots=True)
class Option:
    """One wish. `take` reads a text into the record or raises ValueError; `show` is its text, None when it is at
    its default; `clear` sets it back. `default` says in words what holds when it is not set."""

    name: str
    form: str
    meaning: str
    default: str
    take: Callable[[VmCare, str], VmCare]
    show: Callable[[VmCare], str | None]
    clear: Callable[[VmCare], VmCare]


def changed(care: VmCare, given: Mapping[str, str], deleted: Sequence[str] = ()) -> VmCare:
    """The record with options set and others back at their defaults. `check` may hold several lines: each adds a
    check, or replaces the one of the same name; `check:NAME` deletes one. Raises OptionError."""
    for name in deleted:
        care = _cleared(care, name)
    for option in OPTIONS:
        if option.name not in given:
            continue
        text = given[option.name].strip()
        try:
            care = option.clear(care) if text == OFF else option.take(care, text)
        except ValueError as error:
            raise OptionError(option.name, str(error)) from error
    return care


def _cleared(care: VmCare, name: str) -> VmCare:
    kind, _, one = name.partition(":")
    if kind == "check" and one:
        left = tuple(check for check in care.checks if check.name != one)
        if left == care.checks:
            raise OptionError("delete", f"there is no check '{one}'")
        return replace(care, checks=left)
    option = BY_NAME.get(name)
    if option is None:
        raise OptionError("delete", f"no such option '{name}'; options: {', '.join(BY_NAME)}")
    return option.clear(care)


def shown(care: VmCare) -> dict[str, str]:
    """The options that are set, as text, in the table's order."""
    return {option.name: text for option in OPTIONS if (text := option.show(care)) is not None}


def difference(before: VmCare, after: VmCare) -> str:
    """What a change changed, from what to what; empty when nothing. The secret part of a push URL is left out."""
    old, new = shown(before), shown(after)
    names = [option.name for option in OPTIONS if old.get(option.name) != new.get(option.name)]
    return ", ".join(f"{name} from {_told(name, old.get(name))} to {_told(name, new.get(name))}" for name in names)


def _told(name: str, text: str | None) -> str:
    if text is None:
        return BY_NAME[name].default
    if name == "push_url":
        return "/".join(text.split("/")[:3]) + "/..."
    return "; ".join(text.splitlines())


# Texts of the kinds that several options have


def seconds(text: str, low_s: float, high_s: float) -> float:
    """`60`, `60 s`, `5 min`, `2h`. ValueError when it is none or out of bounds."""
    match = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,3})?) ?([a-z]{0,3})", text)
    if not match or match[2] not in _UNITS_S:
        raise ValueError(f"value '{text[:40]}': expected a time, as 60, 5min or 2h")
    value_s = float(match[1]) * _UNITS_S[match[2]]
    if not low_s <= value_s <= high_s:
        raise ValueError(f"value '{text}': expected {low_s:g} to {high_s:g} seconds")
    return value_s


def whole(text: str, low: int, high: int) -> int:
    """A whole number. ValueError when it is none or out of bounds."""
    if not re.fullmatch(r"-?[0-9]{1,9}", text) or not low <= int(text) <= high:
        raise ValueError(f"value '{text[:40]}': expected a whole number from {low} to {high}")
    return int(text)


def _length(value_s: float) -> str:
    return f"{value_s:.10g} s"


# hang


def _hang_after(care: VmCare, text: str) -> VmCare:
    silence_s = seconds(text, 5, 86400)
    return replace(care, hang=replace(care.hang or HangTerms(silence_s), silence_s=silence_s))


def _terms(care: VmCare) -> HangTerms:
    if care.hang is None:
        raise ValueError("says how a hang is dealt with: set hang_after, too")
    return care.hang


def _hang_uptime(care: VmCare, text: str) -> VmCare:
    return replace(care, hang=replace(_terms(care), uptime_s=seconds(text, 0, 86400)))


def _hang_resets(care: VmCare, text: str) -> VmCare:
    return replace(care, hang=replace(_terms(care), resets=whole(text, 0, 100)))


def _hang_window(care: VmCare, text: str) -> VmCare:
    return replace(care, hang=replace(_terms(care), window_s=seconds(text, 60, 7 * 86400)))


def _show_hang(field: str) -> Callable[[VmCare], str | None]:
    def show(care: VmCare) -> str | None:
        if care.hang is None or getattr(care.hang, field) == getattr(HangTerms(0), field):
            return None
        value = getattr(care.hang, field)
        return str(value) if isinstance(value, int) else _length(value)

    return show


def _clear_hang(field: str) -> Callable[[VmCare], VmCare]:
    def clear(care: VmCare) -> VmCare:
        if care.hang is None:
            return care
        return replace(care, hang=replace(care.hang, **{field: getattr(HangTerms(0), field)}))

    return clear


# checks


def _checks(care: VmCare, text: str) -> VmCare:
    checks = {check.name: check for check in care.checks}
    for line in filter(None, map(str.strip, text.splitlines())):
        check = parse_check(line)
        checks[check.name] = check
    if len(checks) > MAX_CHECKS:
        raise ValueError(f"{len(checks)} checks: at most {MAX_CHECKS} are made of one VM")
    return replace(care, checks=tuple(checks.values()))


def _show_checks(care: VmCare) -> str | None:
    return "\n".join(map(check_text, care.checks)) or None


# the rest


def _push_url(care: VmCare, text: str) -> VmCare:
    if not re.fullmatch(r"https?://[^\s/]+(/\S*)?", text) or len(text) > _MAX_URL or not text.isprintable():
        raise ValueError("expected a URL, as http://192.168.4.10:3001/api/push/TOKEN")
    return replace(care, push_url=text)


def _wait_for(care: VmCare, text: str) -> VmCare:
    if not re.fullmatch(r"vm:[1-9][0-9]{2,8}", text):
        raise ValueError(f"value '{text[:40]}': expected another VM, as vm:101")
    if text == care.sid:
        raise ValueError(f"{text} cannot wait for itself")
    return replace(care, wait_for=text)


def _drill(care: VmCare, text: str) -> VmCare:
    match = re.fullmatch(r"([a-z]+|[0-9]{1,3} ?d)(?: +([0-9]{1,2})-([0-9]{1,2}))?", text)
    if not match:
        raise ValueError(f"value '{text[:40]}': {_DRILL_FORM}")
    every = match[1].rstrip(" d") if match[1][0].isdecimal() else match[1]
    days = int(every) if every.isdecimal() else DRILL_EVERY_DAYS.get(every, 0)
    hours = (int(match[2]), int(match[3])) if match[2] else (2, 5)
    if not (1 <= days <= _MAX_DRILL_DAYS and hours_of_a_window(*hours)):
        raise ValueError(f"value '{text[:40]}': {_DRILL_FORM}")
    return replace(care, drill=DrillPlan(days, *hours))


def hours_of_a_window(from_hour: int, to_hour: int) -> bool:
    """Whether a drill may have these hours; from a later to an earlier one is over midnight."""
    return 0 <= from_hour <= 23 and 0 <= to_hour <= 24 and from_hour != to_hour


def _show_drill(care: VmCare) -> str | None:
    if care.drill is None:
        return None
    words = {days: word for word, days in DRILL_EVERY_DAYS.items()}
    every = words.get(care.drill.every_days, f"{care.drill.every_days}d")
    return f"{every} {care.drill.from_hour:02}-{care.drill.to_hour:02}"


OPTIONS = (
    Option(
        "hang_after", "SECONDS", "silent so long, it has hung and is reset", OFF,
        _hang_after,
        lambda care: None if care.hang is None else _length(care.hang.silence_s),
        lambda care: replace(care, hang=None),
    ),
    Option(
        "hang_uptime", "SECONDS", "no hang is seen so soon after its start", "120 s",
        _hang_uptime, _show_hang("uptime_s"), _clear_hang("uptime_s"),
    ),
    Option(
        "hang_resets", "COUNT", "at most so many resets within hang_window; 0: hangs are only told", "3",
        _hang_resets, _show_hang("resets"), _clear_hang("resets"),
    ),
    Option(
        "hang_window", "SECONDS", "the time in which resets are counted", "3600 s",
        _hang_window, _show_hang("window_s"), _clear_hang("window_s"),
    ),
    Option(
        "check", "CHECK", "a look from outside, added: 'ping HOST', 'tcp HOST:PORT' or 'http URL'", "none",
        _checks, _show_checks,
        lambda care: replace(care, checks=()),
    ),
    Option(
        "start_order", "NUMBER", "at host boot lower numbers start first, VMs without one last", "last",
        lambda care, text: replace(care, start_order=whole(text, 0, 9999)),
        lambda care: None if care.start_order is None else str(care.start_order),
        lambda care: replace(care, start_order=None),
    ),
    Option(
        "start_delay", "SECONDS", "at host boot the next VM starts so much later", "0 s",
        lambda care, text: replace(care, start_delay_s=seconds(text, 0, 86400)),
        lambda care: _length(care.start_delay_s) if care.start_delay_s else None,
        lambda care: replace(care, start_delay_s=0.0),
    ),
    Option(
        "wait_for", "SID", "at host boot it starts when this other VM is healthy", "nobody",
        _wait_for,
        lambda care: care.wait_for,
        lambda care: replace(care, wait_for=None),
    ),
    Option(
        "priority", "NUMBER", "0 to 100: the higher, the later the kernel kills it for memory", "0",
        lambda care, text: replace(care, priority=whole(text, 0, 100)),
        lambda care: str(care.priority) if care.priority else None,
        lambda care: replace(care, priority=0),
    ),
    Option(
        "push_url", "URL", "a push monitor of Uptime Kuma that is told up and down", "none",
        _push_url,
        lambda care: care.push_url or None,
        lambda care: replace(care, push_url=""),
    ),
    Option(
        "drill", "PLAN", "it is killed and brought back so often, as 'monthly 02-05'", OFF,
        _drill, _show_drill,
        lambda care: replace(care, drill=None),
    ),
)  # fmt: skip
"""In the order in which they are read: hang_after says that there are terms for the rest of hang."""

BY_NAME: Mapping[str, Option] = {option.name: option for option in OPTIONS}
