"""What is said on stderr about a file that can be used."""

import sys
from pathlib import Path

from haven.sim.errors import CaseError, harmless
from haven.sim.inputs import Inputs

_SHOWN = 10


def tell_doubts(inputs: Inputs, path: Path) -> None:
    """What is likely a slip, a line each, and not a page of them."""
    for line, what in inputs.doubts[:_SHOWN]:
        note = CaseError(f"note: {what}", line=line).at(str(path))
        print(f"haven sim: {harmless(note)}", file=sys.stderr)
    if len(inputs.doubts) > _SHOWN:
        print(f"haven sim: {harmless(str(path))}: note: and {len(inputs.doubts) - _SHOWN} more", file=sys.stderr)
