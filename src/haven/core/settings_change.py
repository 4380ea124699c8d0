"""haven.toml as it is kept and told: every key as text, addresses masked, and what changed since."""

from collections.abc import Mapping
from dataclasses import fields

from haven.core.masking import SECRET_KEYS, marked
from haven.core.settings import Settings

_UNTOLD = {"policy", "pacing"}
NOTHING = "nothing"


def as_texts(settings: Settings) -> dict[str, str]:
    """Every key's value as text. A secret is masked, with a mark that tells one from the next."""
    return {
        spec.name: _text(spec.name, getattr(settings, spec.name))
        for spec in fields(settings)
        if spec.name not in _UNTOLD
    }


def difference(before: Mapping[str, str], after: Mapping[str, str]) -> str:
    """`tick_s from 10 to 5, webhook_url from nothing to https://example.net/*** (3f2a91)`; empty: the same.

    A key that one of the two does not know (another version of haven wrote it) is no change.
    """
    changed = [name for name in after if name in before and before[name] != after[name]]
    return ", ".join(f"{name} from {before[name] or NOTHING} to {after[name] or NOTHING}" for name in changed)


def _text(name: str, value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(_text(name, part) for part in value)
    if isinstance(value, str):
        return marked(value) if name in SECRET_KEYS else value
    return f"{value:g}" if isinstance(value, float) else str(value)
