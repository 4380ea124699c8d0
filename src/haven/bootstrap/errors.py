"""The one exception of this room."""

from __future__ import annotations


class SetupError(Exception):
    """Something a person can act on: one line naming what is wrong, with which value, and what to do next.

    ``detail`` is what a failing command said last; it is shown below the line.
    """

    def __init__(self, message: str, detail: str = "") -> None:
        super().__init__(message)
        self.detail = detail
