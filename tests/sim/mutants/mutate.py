"""A deliberate bug as a change of a few words in one function of the program, made at run time."""

import inspect
import sys
import textwrap
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from haven.sim.fast.generate import Scope


@dataclass(frozen=True, slots=True)
class Words:
    """In the source of `where.name`, `old`, which must be there exactly once, becomes `new`."""

    where: Any
    name: str
    old: str
    new: str

    def apply(self, patch: pytest.MonkeyPatch) -> None:
        function = inspect.unwrap(getattr(self.where, self.name))
        source = textwrap.dedent(inspect.getsource(function))
        found = source.count(self.old)
        assert found == 1, f"{self.name} has {self.old!r} {found} times: write the mutant anew"
        space: dict[str, Any] = {}
        lines = compile(source.replace(self.old, self.new), f"<mutant of {self.name}>", "exec")
        exec(lines, function.__globals__, space)
        _put(patch, self.where, self.name, space[self.name])


@dataclass(frozen=True, slots=True)
class Value:
    """`where.name` becomes `new`, a function of what it was."""

    where: Any
    name: str
    new: Callable[[Any], Any]

    def apply(self, patch: pytest.MonkeyPatch) -> None:
        _put(patch, self.where, self.name, self.new(getattr(self.where, self.name)))


def _put(patch: pytest.MonkeyPatch, where: Any, name: str, new: Any) -> None:
    """There, and wherever it was imported by its name."""
    old = getattr(where, name)
    patch.setattr(where, name, new)
    if not callable(old) or isinstance(where, type):
        return
    for module_name, module in list(sys.modules.items()):
        if module_name.startswith("haven.") and getattr(module, name, None) is old:
            patch.setattr(module, name, new)


DENSE = Scope(nodes=(3, 4), guests=(2, 4), faults=14, seconds=400.0)
"""Small clusters in which much goes wrong: what they find, they find soon."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One bug. `promises`: how the violation begins that it causes, any of these; empty: any violation will do.
    `kinds`: the faults that the search throws at it. It must be caught within `seeds`."""

    name: str
    changes: tuple[Words | Value, ...]
    promises: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    seeds: range = range(1, 301)
    scope: Scope = DENSE

    def narrowed(self) -> Scope:
        return replace(self.scope, only=frozenset(self.kinds))
