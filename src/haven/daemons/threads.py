"""Calls that may never return: each in a thread that keeps neither the process nor other calls waiting.

A pool's threads are joined when the process ends; one that waits for a QEMU that hangs would hold up that end. And
a pool has an end, too: here a call that finds no idle thread gets a new one.
"""

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")

_MAX_IDLE = 4


class Threads:
    """Idle threads wait for the next call; a few of them are kept."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._calls: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._idle = 0

    def begin(self, call: Callable[[], T]) -> "Future[T]":
        """Begin the call now; its outcome comes with the future."""
        future: Future[T] = Future()
        future.set_running_or_notify_cancel()
        self._calls.put(lambda: _settle(future, call))
        with self._lock:
            if self._idle > 0:
                self._idle -= 1
                return future
        threading.Thread(target=self._work, name=self._name, daemon=True).start()
        return future

    def _work(self) -> None:
        while True:
            self._calls.get()()
            with self._lock:
                if self._idle >= _MAX_IDLE:
                    return
                self._idle += 1


def _settle(future: "Future[Any]", call: Callable[[], Any]) -> None:
    try:
        outcome = call()
    except Exception as error:  # noqa: BLE001 - handed on, to whoever reads the future
        future.set_exception(error)
    else:
        future.set_result(outcome)
