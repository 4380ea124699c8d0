"""The operators' guide for Proxmox VE, command line by command line, in a real shell."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.fake_api import FakeApi

RESOURCES = "/cluster/ha/resources"
TOOLS = {"ha-manager": "haven.cli.ha_manager", "qm": "haven.cli.qm", "pvecm": "haven.cli.pvecm"}


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A folder with the three programs, as an installation puts them on the PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, module in TOOLS.items():
        script = folder / name
        script.write_text(f"#!{sys.executable}\nimport sys\nfrom {module} import main\nsys.exit(main())\n")
        script.chmod(0o755)
    return folder


def shell(tools: Path, line: str) -> subprocess.CompletedProcess[str]:
    environ = os.environ | {"PATH": f"{tools}:{os.environ['PATH']}"}
    return subprocess.run(
        ["bash", "-c", line], env=environ, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.fixture
def guided(api: FakeApi) -> FakeApi:
    """A host named pve that runs the guide's two VMs."""
    services = [{"type": "service", "status": f"vm:{vmid} (pve, started)"} for vmid in (101, 102)]
    api.answer("GET /cluster/ha/status/current", [{"type": "quorum", "status": "OK"}, *services])
    entries = [{"sid": f"vm:{vmid}", "type": "vm", "state": "started", "max_restart": 3} for vmid in (101, 102)]
    api.answer(f"GET {RESOURCES}", entries)
    api.answer(f"POST {RESOURCES}", None)
    node = {"type": "node", "name": "pve", "nodeid": 1, "ip": "10.0.0.1", "local": 1, "online": 1}
    api.answer("GET /cluster/status", [{"type": "cluster", "name": "pve", "version": 1, "quorate": 1}, node])
    for vmid in (101, 102):
        api.answer(f"PUT {RESOURCES}/vm:{vmid}", None)
        api.answer(f"DELETE {RESOURCES}/vm:{vmid}", None)
        api.answer(
            f"GET /nodes/localhost/qemu/{vmid}/status/current", {"status": "running", "qmpstatus": "running"}
        )
        for command in ("stop", "shutdown"):
            api.task(f"POST /nodes/localhost/qemu/{vmid}/status/{command}", "hastop", vmid)
    return api


SERVICES = "service vm:101 (pve, started)\nservice vm:102 (pve, started)\n"
CONFIG = "vm:101\n\tmax_restart 3\n\tstate started\n\nvm:102\n\tmax_restart 3\n\tstate started\n\n"
LINES = [
    ("pvecm status | grep Quorate:", "Quorate:          Yes\n"),
    ("ha-manager add vm:102 --state started --max_restart 3 --max_relocate 1", ""),
    ("ha-manager add vm:101 --state started --max_restart 3 --max_relocate 1", ""),
    ("ha-manager config", CONFIG),
    ("ha-manager status", "quorum OK\n" + SERVICES),
    ("ha-manager status | grep 'vm:10[12]'", SERVICES),
    ("ha-manager status | grep vm:102", SERVICES.splitlines()[1] + "\n"),
    ("qm stop 102", "Requesting HA stop for VM 102\n"),
    ("ha-manager status | grep vm:102 && qm status 102", SERVICES.splitlines()[1] + "\nstatus: running\n"),
    ("ha-manager set vm:102 --state started", ""),
    ("ha-manager set vm:102 --state stopped", ""),
    ("qm shutdown 102", "Requesting HA stop for VM 102\n"),
    ("for vmid in 101 102; do\n    ha-manager set vm:$vmid --state stopped\ndone", ""),
    ("for vmid in 101 102; do\n    ha-manager set vm:$vmid --state started\ndone", ""),
    ('ha-manager config | grep -A3 "vm:102"', "vm:102\n\tmax_restart 3\n\tstate started\n\n"),
    ("ha-manager remove vm:102", ""),
    ("ha-manager add vm:102 --state started --max_restart 3", ""),
]


@pytest.mark.parametrize(("line", "printed"), LINES)
def test_the_guides_line_works_word_for_word(guided: FakeApi, tools: Path, line: str, printed: str) -> None:
    done = shell(tools, line)
    assert (done.returncode, done.stdout, done.stderr) == (0, printed, "")


def test_the_guides_add_asks_for_what_it_says(guided: FakeApi, tools: Path) -> None:
    shell(tools, "ha-manager add vm:102 --state started --max_restart 3 --max_relocate 1")
    expected = {"sid": "vm:102", "state": "started", "max_restart": "3", "max_relocate": "1"}
    assert guided.asked(f"POST {RESOURCES}") == [expected]


def test_a_reader_that_leaves_early_is_no_error_to_see(guided: FakeApi, tools: Path) -> None:
    many = [{"type": "service", "status": f"vm:{vmid} (pve, started)"} for vmid in range(100, 9000)]
    guided.answer("GET /cluster/ha/status/current", many)
    done = shell(tools, "ha-manager status | head -1")
    assert (done.returncode, done.stdout, done.stderr) == (0, "service vm:100 (pve, started)\n", "")


@pytest.mark.parametrize("module", list(TOOLS.values()))
def test_the_small_tools_start_without_the_large_libraries(module: str) -> None:
    probe = (
        f"import sys, {module}; print([name for name in ('typer', 'rich', 'starlette') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "[]\n"
