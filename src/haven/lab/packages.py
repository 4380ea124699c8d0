"""Which packages of the distribution a lab needs, and their installation without enabling any service."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from haven.bootstrap.progress import Progress, Step
from haven.lab.errors import LabError

# The last four build libvirt-python, which has no wheel; gcc only recommends libc6-dev.
LAB_PACKAGES = (
    "qemu-system-x86",
    "libvirt-daemon",
    "libvirt-daemon-driver-qemu",
    "libvirt-clients",
    "libvirt-dev",
    "pkg-config",
    "gcc",
    "libc6-dev",
)

# systemd boots as PID 1 of a host of the tests' own; openssl signs the certificate of a page that they look at.
TEST_PACKAGES = ("systemd", "openssl")

_TESTED = {"debian": ("12", "13"), "ubuntu": ("24.04",)}
_KERNEL_META = {"debian": "linux-image-cloud-amd64", "ubuntu": "linux-image-virtual"}
_KERNEL_PREFIXES = ("linux-image-", "linux-modules-")

# On Debian 12 and Ubuntu 24.04 these packages carry no units. On Debian 13 they bring libvirtd, virtlogd and
# libvirt-guests and enable them. Packages ask for that through these two programs, and Debian starts no unit that
# is not enabled. So dpkg finds ours first in its PATH: they say of every unit that the administrator does not
# want it, which Debian respects now and at upgrades. What is enabled already stays enabled, and nothing is left
# behind, even after a kill -9.
REFUSALS = {
    "deb-systemd-helper": """#!/bin/sh
for word in "$@"; do
    case "$word" in was-enabled|enable|reenable) exit 1 ;; esac
done
exec /usr/bin/deb-systemd-helper "$@"
""",
    "update-rc.d": """#!/bin/sh
known=$(ls /etc/rc?.d/[SK]??"$1" 2>/dev/null)
if [ "$2" = defaults ] && [ -z "$known" ]; then set -- "$1" defaults-disabled; fi
exec /usr/sbin/update-rc.d "$@"
""",
}
_DPKG_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True)
class Distribution:
    """What /etc/os-release says: ``name`` in lower case ("debian"), ``version`` ("12")."""

    name: str
    version: str

    @property
    def tested(self) -> bool:
        """Whether haven's setup has been tried on it."""
        return self.version in _TESTED.get(self.name, ())

    @property
    def lab_packages(self) -> tuple[str, ...]:
        """What a lab needs, apart from what the running Python may lack."""
        # Ubuntu's kernel modules are compressed by zstd, which Python 3.12 cannot read. From Debian 13 on
        # libvirt's storage pools are a package of their own, which is only recommended.
        own = {"ubuntu": ("zstd",), "debian": () if self.version == "12" else ("libvirt-daemon-driver-storage",)}
        return (*LAB_PACKAGES, *own.get(self.name, ()))

    @property
    def kernel_package(self) -> str:
        """The package that depends on the newest kernel for guests; LabError on an unknown distribution."""
        if self.name not in _KERNEL_META:
            raise LabError(f"the lab runs on Debian and Ubuntu, not on {self.name or 'this system'}")
        return _KERNEL_META[self.name]


def parse_os_release(text: str) -> Distribution:
    """The distribution from the text of /etc/os-release; empty strings for what it does not say."""
    pairs = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    return Distribution(*(pairs.get(key, "").strip("\"'").lower() for key in ("ID", "VERSION_ID")))


def parse_installed(listing: str) -> frozenset[str]:
    """Names of the installed packages in a dpkg-query listing of `Package Status` lines."""
    rows = (line.split() for line in listing.splitlines())
    return frozenset(row[0] for row in rows if len(row) == 2 and row[1] == "installed")


def parse_kernel_depends(listing: str) -> tuple[str, ...]:
    """The kernel and module packages that an `apt-cache depends` listing names as needed."""
    rows = (line.split() for line in listing.splitlines())
    needed = (row[1] for row in rows if len(row) == 2 and row[0] in ("Depends:", "|Depends:"))
    return tuple(dict.fromkeys(name for name in needed if name.startswith(_KERNEL_PREFIXES)))


def missing(wanted: Sequence[str]) -> tuple[str, ...]:
    """Those of the wanted packages that are not installed, in the given order."""
    have = parse_installed(_output(["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n", *wanted]))
    return tuple(name for name in wanted if name not in have)


def kernel_packages(meta: str) -> tuple[str, ...]:
    """The packages that hold the kernel and the modules behind a meta package; LabError if apt knows none."""
    found: list[str] = []
    queue = [meta]
    while queue:
        needed = parse_kernel_depends(_output(["apt-cache", "depends", queue.pop()]))
        fresh = [name for name in needed if name not in found]
        found += fresh
        queue += fresh
    if not found:
        raise LabError(f"apt does not know the package {meta}; check the machine's package sources")
    return tuple(found)


def _output(argv: list[str]) -> str:
    """What a query prints; an exit status other than 0 only means that some name is unknown."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env=os.environ | {"LC_ALL": "C"})
    return done.stdout


@dataclass(frozen=True)
class Apt:
    """apt-get, with its lists refreshed at most when a package is not found."""

    progress: Progress

    def ensure_known(self, step: Step, names: Iterable[str]) -> None:
        """Sees to it that apt has every package; LabError naming those that it does not know after an update."""
        wanted = tuple(names)
        if not _unknown(wanted):
            return
        self._update(step)
        if unknown := _unknown(wanted):
            raise LabError(
                f"apt knows no package named {', '.join(unknown)}; "
                "check the machine's package sources (on Ubuntu the universe component is needed)"
            )

    def install(self, step: Step, names: Sequence[str]) -> None:
        """Installs packages without recommended ones, without questions, and without enabling a service."""
        self.ensure_known(step, names)
        with tempfile.TemporaryDirectory(prefix="haven-setup-") as folder:
            for program, text in REFUSALS.items():
                path = Path(folder, program)
                path.write_text(text)
                path.chmod(0o755)
            options = ["-y", "--no-install-recommends", "-o", f"DPkg::Path={folder}:{_DPKG_PATH}"]
            # Another apt may be at work, as after the boot of a cloud machine: wait for it.
            options += ["-o", "Dpkg::Options::=--force-confold", "-o", "DPkg::Lock::Timeout=300"]
            step.note(f"installing {len(names)} packages and what they need")
            self._apt_get(step, "install", *options, *names)

    def download(self, step: Step, names: Sequence[str], folder: Path) -> None:
        """Fetches packages into a folder without installing them."""
        self.ensure_known(step, names)
        step.note(f"downloading {', '.join(names)}")
        # As root: apt's own user cannot write into this folder.
        download = ("download", "-o", "APT::Sandbox::User=root", *names)
        try:
            self._apt_get(step, *download, cwd=folder)
        except LabError:
            # Lists that are days old name files which the server has replaced.
            self._update(step)
            self._apt_get(step, *download, cwd=folder)

    def _update(self, step: Step) -> None:
        step.note("refreshing apt's package lists")
        self._apt_get(step, "update")

    def _apt_get(self, step: Step, *words: str, cwd: Path | None = None) -> None:
        # Ubuntu's needrestart would restart services of the machine after an installation.
        quiet = {"DEBIAN_FRONTEND": "noninteractive", "NEEDRESTART_SUSPEND": "1", "LC_ALL": "C.UTF-8"}
        self.progress.run(step, ["apt-get", *words], env=os.environ | quiet, cwd=cwd)


def _unknown(names: Sequence[str]) -> tuple[str, ...]:
    known = _output(["apt-cache", "madison", *names])
    have = {line.split("|")[0].strip() for line in known.splitlines()}
    return tuple(name for name in names if name not in have)
