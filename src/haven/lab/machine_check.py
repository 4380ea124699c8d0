"""What a lab needs of the machine and cannot install: each missing thing in one line, with what to do."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from haven.bootstrap.environment import is_distribution_python, python_packages
from haven.lab.packages import Distribution

_CAPABILITIES = {"CAP_NET_ADMIN": 12, "CAP_SYS_ADMIN": 21}


def parse_effective_capabilities(status: str) -> int:
    """The bit mask of effective capabilities in the text of /proc/self/status."""
    line = next(line for line in status.splitlines() if line.startswith("CapEff:"))
    return int(line.split()[1], 16)


def missing_capabilities(mask: int) -> tuple[str, ...]:
    """The names of the needed capabilities that the mask lacks."""
    return tuple(name for name, bit in _CAPABILITIES.items() if not mask >> bit & 1)


def problems(distribution: Distribution) -> Iterator[str]:
    """One line for each thing that is missing."""
    system, processor = platform.system(), platform.machine()
    if (system, processor) != ("Linux", "x86_64"):
        yield f"the lab runs on Linux on x86_64, this is {system} on {processor}: use another machine or a VM"
        return
    yield from _rights()
    yield from _programs(distribution)
    lacking = python_packages()
    if lacking and not is_distribution_python():
        yield f"{sys.executable} lacks what {' and '.join(lacking)} would add: run this with /usr/bin/python3"


def _rights() -> Iterator[str]:
    if os.geteuid() != 0:
        yield "the lab needs root: run it as root or with sudo"
        return
    lacking = missing_capabilities(parse_effective_capabilities(Path("/proc/self/status").read_text()))
    if lacking:
        yield f"root lacks {' and '.join(lacking)} here: use a host, a VM, or a privileged container"


def _programs(distribution: Distribution) -> Iterator[str]:
    lacking = [name for name in ("apt-get", "apt-cache", "dpkg-query", "dpkg-deb") if shutil.which(name) is None]
    if lacking:
        where = distribution.name or "this system"
        yield f"no {lacking[0]} on {where}: the setup installs packages on Debian 12, Debian 13 and Ubuntu 24.04"
    for program in ("unshare", "nsenter", "setpriv"):
        if shutil.which(program) is None:
            yield f"no {program} in PATH: install util-linux, and see that PATH has /usr/bin and /usr/sbin"
