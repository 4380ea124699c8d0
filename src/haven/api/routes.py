"""A route as a value: method, path, the privilege it needs, its parameters, and who answers."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from haven.api.identity import Identity
from haven.api.params import Parameter, Params
from haven.api.state import State


@dataclass(frozen=True, slots=True)
class Call:
    """One request, checked. `params` holds those of the path too."""

    state: State
    identity: Identity
    params: Params


Handler = Callable[[Call], object]


@dataclass(frozen=True, slots=True)
class Route:
    """`privilege` is PVE's: one that the caller must hold on the object; empty: every known user may.

    The handler blocks and runs in a thread; its result is the answer's `data`, or a Listing or Lines.
    """

    method: str
    path: str
    privilege: str
    handler: Handler
    schema: Mapping[str, Parameter] = field(default_factory=dict)
