"""What is wrong with a file that was given to the simulator."""

import re

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class CaseError(Exception):
    """A file cannot be used. `where` names the place in words (`service_config vm:101`); `line` is its line,
    when it is known."""

    def __init__(self, what: str, *, line: int | None = None) -> None:
        super().__init__(what)
        self.what, self.line = what, line

    def at(self, path: str) -> str:
        """One line for people: file, line, what is wrong."""
        return f"{path}:{self.line}: {self.what}" if self.line else f"{path}: {self.what}"


class WordsError(Exception):
    """Words that cannot be used; the text says which, and what is known or expected."""


def has_control(text: str) -> bool:
    """Whether it has characters that do something on a terminal, or break a line."""
    return _CONTROL.search(text) is not None


def harmless(text: str) -> str:
    """Written out instead, so that what others named cannot clear a screen or forge a line."""
    return _CONTROL.sub(lambda found: repr(found[0])[1:-1], text)


class LiveError(Exception):
    """The live cluster cannot be asked; the text says why, and what to do."""
