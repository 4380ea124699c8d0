"""uvicorn without its command line: 2 MiB that a process which is no command line can do without."""

import sys
from importlib import import_module
from importlib.util import find_spec, module_from_spec


def load_uvicorn_alone() -> None:
    """Have the package `uvicorn` hold its server and nothing else. Its own `__init__` would load `uvicorn.main`,
    and with that click, multiprocessing and what watches files for `--reload`."""
    found = find_spec("uvicorn")
    if "uvicorn" in sys.modules or found is None:
        return
    package = module_from_spec(found)
    sys.modules["uvicorn"] = package
    for name, module in (("Config", "uvicorn.config"), ("Server", "uvicorn.server")):
        setattr(package, name, getattr(import_module(module), name))  # for uvicorn's own modules
