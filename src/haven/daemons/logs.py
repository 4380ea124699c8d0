"""A daemon's log."""

import logging
import os
import sys

from haven.core.settings import Settings


def set_up_logging(settings: Settings) -> None:
    """Plain lines on stderr, with the time unless the journal adds its own."""
    stamp = "" if "JOURNAL_STREAM" in os.environ else "%(asctime)s "
    logging.basicConfig(
        stream=sys.stderr, level=settings.log_level.upper(), format=f"{stamp}%(name)s %(levelname)s: %(message)s"
    )
