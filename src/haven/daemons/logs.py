"""A daemon's log."""

import faulthandler
import logging
import os
import sys

from haven.daemons.journal import UNIT_VARIABLE, JournalHandler


def set_up_logging(level: str) -> None:
    """Entries of the journal below haven's own units; else plain lines on stderr, with the time unless a journal
    adds its own."""
    handlers: list[logging.Handler]
    if unit := os.environ.get(UNIT_VARIABLE):
        faulthandler.enable()  # systemd's watchdog ends a daemon that hangs by SIGABRT: say where it hung
        handlers, form = [JournalHandler(unit)], "%(message)s"
    else:
        stamp = "" if "JOURNAL_STREAM" in os.environ else "%(asctime)s "
        handlers, form = [logging.StreamHandler(sys.stderr)], f"{stamp}%(name)s %(levelname)s: %(message)s"
    logging.basicConfig(handlers=handlers, level=level.upper(), format=form)
