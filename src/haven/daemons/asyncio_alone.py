"""asyncio without OpenSSL: 4 MiB in every process that never speaks TLS by it."""

import sys


def load_asyncio_alone() -> None:
    """Import asyncio as on a Python that was built without TLS, which asyncio allows for (it catches the
    ImportError; None in sys.modules is Python's own way to say that a module is not to be had). Afterwards `ssl`
    can be imported as ever: a health check over HTTPS does, in a thread, without asyncio."""
    if "asyncio" in sys.modules or "ssl" in sys.modules:
        return
    sys.modules["ssl"] = None  # type: ignore[assignment]
    try:
        import asyncio  # noqa: F401
    finally:
        del sys.modules["ssl"]
