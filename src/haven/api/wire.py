"""The last step to the wire: PVE's clients read the error from the status line's reason phrase.

ASGI has no field for a reason phrase, h11 has: the envelope sends it as a header, and the connection
moves it to where it belongs.
"""

from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from haven.api.envelope import REASON_HEADER

_NAME = REASON_HEADER.encode()


class _Connection(h11.Connection):
    def send_with_data_passthrough(self, event: h11.Event) -> list[bytes] | None:
        if isinstance(event, h11.Response):
            event = _with_reason(event)
        return super().send_with_data_passthrough(event)


class Protocol(H11Protocol):
    """uvicorn's HTTP/1.1 with reason phrases of our own."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.conn = _Connection(h11.SERVER)


def _with_reason(response: h11.Response) -> h11.Response:
    reasons = [value for name, value in response.headers if name == _NAME]
    if not reasons:
        return response
    headers = [(name, value) for name, value in response.headers if name != _NAME]
    return h11.Response(status_code=response.status_code, headers=headers, reason=reasons[0])
