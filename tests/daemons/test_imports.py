"""lrm and crm stay small: what talks to people is loaded by other processes."""

import subprocess
import sys

import pytest

FOR_PEOPLE = (
    "rich",
    "typer",
    "click",
    "starlette",
    "uvicorn",
    "fastapi",
    "apprise",
    "psutil",
    "prometheus_client",
    "requests",
)


@pytest.mark.parametrize("module", ["haven.daemons.lrm", "haven.daemons.crm", "haven.daemons.run", "haven.up"])
def test_a_daemon_loads_nothing_that_is_for_people(module: str) -> None:
    program = f"import sys, {module}; print(' '.join(sys.modules))"
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.split()
    assert module in loaded
    assert [name for name in FOR_PEOPLE if name in loaded] == []
