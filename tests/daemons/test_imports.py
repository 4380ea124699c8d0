"""lrm and crm stay small: what talks to people is loaded by other processes."""

import subprocess
import sys
from pathlib import Path

import pytest

import haven

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


HEAVY = {
    "up": ("asyncio", "sqlite3", "hashlib", "ssl", "socket", "tomllib", "haven.core.settings"),
    "lrm": ("hashlib", "ssl", "haven.core.manager"),
    "crm": ("hashlib", "ssl", "libvirt", "haven.daemons.lrm"),
    "api": ("click", "multiprocessing", "uvicorn.main", "prometheus_client", "apprise"),
}
"""What would cost each of them megabytes, and is of no use to it."""

_AT_WORK = {
    "up": "import haven.up",
    "lrm": "import haven.daemons.lrm, haven.hypervisor.libvirt_hypervisor, haven.hypervisor.life_signs",
    "crm": "import haven.daemons.crm",
    "api": "import haven.api.opening",
}
"""What it imports when it runs."""


_READY = """
from haven.core.settings import Settings
from haven.core.settings_change import as_texts
_runner({!r})
as_texts(Settings(webhook_url="http://127.0.0.1/token"))
"""
"""One of those that read haven.toml."""


@pytest.mark.parametrize("name", HEAVY)
def test_a_daemon_leaves_out_what_it_does_not_use(name: str) -> None:
    """And TLS is there for a health check that wants it."""
    program = f"""
import sys
from haven.__main__ import _runner
{"" if name == "up" else _READY.format(name)}
{_AT_WORK[name]}
print(*sys.modules)
import ssl
ssl.create_default_context()
"""
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout.split()
    assert {"up": "haven.up", "api": "haven.api.server"}.get(name, "haven.daemons.run") in loaded
    assert [module for module in HEAVY[name] if module in loaded] == []


def test_haven_setup_runs_with_a_bare_python() -> None:
    """A repair must work when the environment, and every package in it, is gone."""
    source = Path(haven.__file__).parents[1]
    program = f"import sys; sys.path.insert(0, {str(source)!r}); sys.argv = ['haven', 'setup', '--help']"
    program += "; import haven.__main__; sys.exit(haven.__main__.main())"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "--repair" in done.stdout
