"""Events: what happened or was decided, with the rule and the sentence that a person reads."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from haven.core.words import Kind, Level

Scalar = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the story.

    `sentence` is for people; `rule` names the rule behind it (R-4.7, or a name of haven's policy);
    `fields` are the machine's facts, in the vocabulary of spec chapter 11.
    """

    kind: Kind
    sentence: str
    sid: str | None = None
    rule: str = ""
    level: Level = Level.INFO
    fields: Mapping[str, Scalar | tuple[str, ...]] = field(default_factory=dict)

    @property
    def sids(self) -> tuple[str, ...]:
        """The VMs that it is about: one, or those that `fields` names."""
        several = self.fields.get("sids")
        return several if isinstance(several, tuple) else (self.sid,) if self.sid else ()
