"""The records of a cluster from a file, or as the API tells them: read, and held against each other."""

from haven.core.codec import CodecError, decode
from haven.core.snapshot import Snapshot
from haven.core.view import Kept, belongs
from haven.sim.errors import CaseError
from haven.sim.files import line_of, read_json

NEXT = "save them anew: haven sim what-if --save FILE"


def read_snapshot(text: str) -> Snapshot:
    """What the API tells at /haven/records. Raises CaseError."""
    try:
        snapshot: Snapshot = decode(Snapshot, read_json(text))
    except CodecError as error:
        raise CaseError(f"these are no records of haven: {error}") from error
    except ValueError as error:  # a number of thousands of digits
        raise CaseError(f"not valid JSON: {error}") from error
    for kind, kept in snapshot.view.kept.items():
        _check(text, kind, kept)
    if not snapshot.members:
        raise CaseError(f"the records name no node in members; {NEXT}", line=line_of(text, ("members",)))
    return snapshot


def _check(text: str, kind: str, kept: Kept) -> None:
    """Each record stands where it says that it does, and has its revision. Raises CaseError."""
    for name in sorted(kept.records.keys() ^ kept.revisions.keys()):
        missing = "revision" if name in kept.records else "record"
        raise CaseError(f"{_key(kind, name)} has no {missing}; {NEXT}", line=line_of(text, (kind, name)))
    for name, record in kept.records.items():
        if not belongs(_key(kind, name), record):
            what = f"a {type(record).__name__} of another name or kind stands under {_key(kind, name)!r}"
            raise CaseError(f"{what}; {NEXT}", line=line_of(text, (kind, name)))


def _key(kind: str, name: str) -> str:
    return f"{kind}/{name}" if name else kind
