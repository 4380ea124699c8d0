"""What is wrong with a file that was given to the simulator."""


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


class LiveError(Exception):
    """The live cluster cannot be asked; the text says why, and what to do."""
