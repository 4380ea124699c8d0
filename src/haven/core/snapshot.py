"""A cluster at one moment, whole: enough to ask what would happen next."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from haven.core.contract import Member
from haven.core.load import Figures
from haven.core.view import View


@dataclass(frozen=True, slots=True)
class Snapshot:
    """`members` is every node that is configured, at least this one. `figures` are those that are known;
    `titles` people's names of the guests by sid."""

    view: View
    members: Mapping[str, Member]
    figures: Figures = field(default_factory=Figures)
    titles: Mapping[str, str] = field(default_factory=dict)
