"""What a handler raises to refuse a request, with the status and the texts that clients look for."""

from collections.abc import Mapping

BAD_PARAMETERS = "Parameter verification failed."
CHANGED_MEANWHILE = "detected modified configuration - file changed by other user? Try again."


class RefusedError(Exception):
    """A refused request: HTTP status, the text (its first line is the reason phrase), errors by parameter."""

    def __init__(self, status: int, text: str, errors: Mapping[str, str] | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.errors = dict(errors or {})


def failed(text: str) -> RefusedError:
    """The request is well formed and cannot be done: missing, exists, locked (PVE has no 404)."""
    return RefusedError(500, text)


def bad_parameters(errors: Mapping[str, str]) -> RefusedError:
    """The request's parameters are wrong: a text for each."""
    return RefusedError(400, BAD_PARAMETERS, errors)


def not_implemented(method: str, path: str) -> RefusedError:
    return RefusedError(501, f"Method '{method} {path}' not implemented")
