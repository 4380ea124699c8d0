"""A disk whose syncs fail, for one thread: a seccomp filter that answers fsync with EIO."""

import ctypes
import errno
import platform
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_PR_SET_SECCOMP, _PR_SET_NO_NEW_PRIVS = 22, 38
_FILTER_MODE = 2
_LOAD, _JUMP_IF_EQUAL, _RETURN = 0x20, 0x15, 0x06
_FAIL, _ALLOW = 0x00050000 | errno.EIO, 0x7FFF0000
SYNC_CALLS = {"x86_64": (74, 75), "aarch64": (82, 83)}.get(platform.machine())  # fsync, fdatasync


class _Instruction(ctypes.Structure):
    _fields_ = [("code", ctypes.c_uint16), ("yes", ctypes.c_uint8), ("no", ctypes.c_uint8), ("k", ctypes.c_uint32)]


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_uint16), ("first", ctypes.POINTER(_Instruction))]


def with_failing_sync(work: Callable[[], T]) -> T:
    """What `work` returns in a thread that cannot sync a file. The filter dies with the thread."""
    results: list[T] = []

    def run() -> None:
        _install_filter()
        results.append(work())

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return results[0]


def _install_filter() -> None:
    assert SYNC_CALLS
    fsync, fdatasync = SYNC_CALLS
    lines = [
        (_LOAD, 0, 0, 0),
        (_JUMP_IF_EQUAL, 1, 0, fsync),
        (_JUMP_IF_EQUAL, 0, 1, fdatasync),
        (_RETURN, 0, 0, _FAIL),
        (_RETURN, 0, 0, _ALLOW),
    ]
    code = (_Instruction * len(lines))(*(_Instruction(*line) for line in lines))
    program = _Program(len(code), ctypes.cast(code, ctypes.POINTER(_Instruction)))
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
    assert libc.prctl(_PR_SET_SECCOMP, _FILTER_MODE, ctypes.byref(program), 0, 0) == 0, ctypes.get_errno()
