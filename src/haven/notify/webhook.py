"""A webhook: each message as JSON, by POST."""

import json
from collections.abc import Sequence

from haven.core.masking import masked
from haven.notify.masking import key_of
from haven.notify.protocol import Delivery, Letter, NotifyError
from haven.notify.web import TIMEOUT_S, request


class Webhook:
    """See `protocol.Receiver`."""

    def __init__(self, url: str, timeout_s: float = TIMEOUT_S) -> None:
        self.key = key_of(f"webhook {url}")
        self.label = f"webhook ({masked(url)})"
        self._url = url
        self._timeout_s = timeout_s

    def deliver(self, letters: Sequence[Letter]) -> Delivery:
        for done, letter in enumerate(letters):
            body = json.dumps(letter.data, ensure_ascii=False).encode()
            try:
                request(self._url, "POST", body, "application/json", self._timeout_s)
            except NotifyError as error:
                return Delivery(done, str(error))
        return Delivery(len(letters))
