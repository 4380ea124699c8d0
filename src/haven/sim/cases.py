"""`haven sim cases FILE...`: case files of every kind, each told by what is in it, and how the core does."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from haven.sim import bundle_cases, conformance, fence_cases, rules_cases, scheduler_cases, selection_cases
from haven.sim.errors import CaseError
from haven.sim.files import read_json, read_text

Json = Mapping[str, Any]
_SHOWN = 3


class CaseFileError(Exception):
    """A case file cannot be used; the text names the file and what is wrong, with the line where there is one."""


@dataclass(frozen=True, slots=True)
class CaseKind:
    """A kind of case: how one is recognised, and what differs between its `expected` and what the core does."""

    name: str
    keys: frozenset[str]
    differences: Callable[[Json], list[str]]

    def fits(self, case: Json) -> bool:
        return self.keys <= _keys_of(case)


def _kind(name: str, keys: str, differences: Callable[[Json], list[str]]) -> CaseKind:
    return CaseKind(name, frozenset(keys.split()), differences)


KINDS = (
    _kind("run", "inputs.hardware_status expected", conformance.differences),
    _kind("selection", "steps inputs.sid", selection_cases.differences),
    _kind("bundle", "inputs.positive_affinity expected", bundle_cases.differences),
    _kind("rules", "inputs.rules expected", rules_cases.differences),
    _kind("fence", "inputs.config expected", fence_cases.differences),
    _kind("scheduler", "inputs.nodes expected", scheduler_cases.differences),
    _kind("scheduler", "expected.nodes", scheduler_cases.differences),
)


def run_cases(paths: Iterable[Path]) -> tuple[list[str], bool]:
    """A line for each file, in order, and whether all cases are exact. Raises CaseFileError for a bad file."""
    lines, all_ok = [], True
    for path in paths:
        kind, found = _run(path)
        lines.append(f"{'FAIL' if found else 'ok  '} {kind.name:<10} {path}{_shown(found)}")
        all_ok = all_ok and not found
    return lines, all_ok


def _run(path: Path) -> tuple[CaseKind, list[str]]:
    case = read_case(path)
    kind = next((kind for kind in KINDS if kind.fits(case)), None)
    if kind is None:
        known = ", ".join(dict.fromkeys(kind.name for kind in KINDS))
        raise CaseFileError(f"{path}: not a case of any known kind ({known}): it has {_short(_keys_of(case))}")
    try:
        return kind, kind.differences(case)
    except CaseError as error:
        raise CaseFileError(f"{path}: {error}") from error
    except KeyError as error:
        raise CaseFileError(f"{path}: not a complete {kind.name} case: {error} is missing or unknown") from error
    except (ValueError, TypeError, AttributeError, ArithmeticError) as error:
        raise CaseFileError(f"{path}: not a valid {kind.name} case: {error}") from error


def read_case(path: Path) -> Json:
    """The content of a case file. Raises CaseFileError when it is not a readable JSON object."""
    try:
        case = read_json(read_text(path))
    except CaseError as error:
        raise CaseFileError(error.at(str(path))) from error
    if not isinstance(case, dict):
        raise CaseFileError(f"{path}: a case is a JSON object, this is a {type(case).__name__}")
    return case


def _keys_of(case: Json) -> set[str]:
    """The names at the top, and of what lies below `inputs` and `expected` (a list: of its first entry)."""
    keys = set(case)
    for name in ("inputs", "expected"):
        part = case.get(name)
        if isinstance(part, list) and part:
            part = part[0]
        if isinstance(part, dict):
            keys |= {f"{name}.{key}" for key in part}
    return keys


def _short(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)[:10]) or "nothing in it"


def _shown(found: list[str]) -> str:
    """The first differences, in the file's line."""
    if not found:
        return ""
    more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return f": {'; '.join(found[:_SHOWN])}{more}".replace("\n", "\\n")
