"""Where things are on a host. Below `root`, which is / except in tests."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

UNITS = ("haven-api", "pve-ha-crm", "pve-ha-lrm")
"""In the order in which they are started; the names of the last two are those of Proxmox VE's guide."""
PROGRAMS = ("haven", "ha-manager", "qm", "pvecm")
MARK = "haven setup"
"""In the first lines of every file that haven puts among other people's."""
MARK_WITHIN_BYTES = 400


@dataclass(frozen=True)
class Places:
    """The paths of an installation."""

    root: Path = Path("/")

    @property
    def opt(self) -> Path:
        """The versions, each in its own folder."""
        return self.root / "opt/haven"

    @property
    def current(self) -> Path:
        """A link to the version in use."""
        return self.opt / "current"

    @property
    def log(self) -> Path:
        """The whole output of the commands of every setup."""
        return self.root / "var/log/haven-setup.log"

    @property
    def config(self) -> Path:
        """haven's one configuration file."""
        return self.root / "etc/haven/haven.toml"
