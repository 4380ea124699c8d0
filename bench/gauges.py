"""What a piece of work costs: in time, and in what the interpreter does for it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class Gauge(Protocol):
    def __call__(self, work: Callable[[], T]) -> tuple[T, float]:
        """Do the work; its result, and its cost."""


def processor_ms(work: Callable[[], T]) -> tuple[T, float]:
    """Milliseconds of processor time: nothing waits, and other processes of the machine do not count."""
    began_s = time.process_time()
    result = work()
    return result, 1000 * (time.process_time() - began_s)


def steps(work: Callable[[], T]) -> tuple[T, float]:
    """The instructions of the Python interpreter, counted one by one: the same on every machine and at every hour.
    What one of them does in C, as to copy or to compare a whole table, is not in it."""
    count = 0

    def stepped(_frame: FrameType, event: str, _argument: Any) -> Any:
        nonlocal count
        count += event == "opcode"
        return stepped

    def entered(frame: FrameType, _event: str, _argument: Any) -> Any:
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return stepped

    before = sys.gettrace()
    sys.settrace(entered)
    try:
        result = work()
    finally:
        sys.settrace(before)
    return result, float(count)
