"""What `haven up` has to know of haven.toml: `python -m haven.up_settings` prints where it runs and what it logs.

A process of its own reads the file: what that takes would stay for good in one that does nothing but wait.
"""

import sys

from haven.core.settings import SettingsError
from haven.daemons.machine import load_settings
from haven.up import CANNOT_START


def main() -> int:
    """A line each: the folder, the level. Every error is one line on stderr."""
    try:
        settings = load_settings()
    except SettingsError as error:
        print(f"haven up: {error}", file=sys.stderr)
        return CANNOT_START
    print(settings.run_dir, settings.log_level, sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
