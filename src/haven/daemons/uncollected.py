"""A step without Python's garbage collector."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def uncollected() -> Iterator[None]:
    """The collector waits until the step is over. A step keeps nearly all that it makes, and makes no cycles: a
    pass in its midst would go through every record of the cluster to find nothing."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
