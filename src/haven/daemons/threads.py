"""Calls that may never return: each in a thread of its own, which keeps neither the process nor others waiting.

A pool's threads are joined when the process ends; one that waits for a QEMU that hangs would hold up that end.
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


def in_thread(call: Callable[[], T], name: str) -> "Future[T]":
    """Begin the call now; its outcome comes with the future."""
    future: Future[T] = Future()
    future.set_running_or_notify_cancel()

    def run() -> None:
        try:
            outcome = call()
        except Exception as error:  # noqa: BLE001 - handed on, to whoever reads the future
            future.set_exception(error)
        else:
            future.set_result(outcome)

    threading.Thread(target=run, name=name, daemon=True).start()
    return future
