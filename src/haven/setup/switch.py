"""Which version runs: changing it, with the way back when the new one does not come up."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from haven.bootstrap.errors import SetupError
from haven.bootstrap.progress import Step
from haven.setup import downgrade, files, versions
from haven.setup.downgrade import WayBack
from haven.setup.host import Systemctl
from haven.setup.places import UNITS, Places
from haven.setup.versions import Version


@dataclass(frozen=True)
class Switch:
    """The host's one place where versions are exchanged. `start`: whether haven is to run afterwards."""

    places: Places
    state_dir: Path
    systemctl: Systemctl
    start: bool = True

    def to(self, version: Version, step: Step, way: WayBack | None = None) -> str:
        """Makes `version` the one in use, with the store of `way` if it needs one; says what was done.

        SetupError when it does not come up: the version before runs again then.
        """
        before = versions.current(self.places)
        try:
            self._exchange(version, step, way)
        except (SetupError, OSError, KeyboardInterrupt) as error:
            if before is None or before.name == version.name:
                raise
            step.note(f"{version.name} does not come up: back to {before.name}")
            self._back(before, step, str(error))
            raise SetupError(f"haven {version.name} did not come up, {before.name} runs again: {error}") from error
        return f"{version.name}" + ("" if before in (None, version) else f", before it {before.name}")

    def _exchange(self, version: Version, step: Step, way: WayBack | None) -> None:
        running = self.systemctl.running()
        if running and not self._changes(version) and len(running) == len(UNITS):
            step.note("nothing has changed")
            return
        if running:
            # All of them before the first starts again: one process alone brings a store to a new schema.
            step.note("stopping haven; VMs run on")
            self.systemctl("stop", *UNITS)
        if way:
            downgrade.take(self.state_dir, way)
        self._put(version)
        if self.start:
            step.note("starting haven")
            self.systemctl("enable", *UNITS)
            self.systemctl("start", *UNITS)

    def _changes(self, version: Version) -> bool:
        now = versions.current(self.places)
        return now is None or now.name != version.name or bool(files.differing(self.places, version))

    def _put(self, version: Version) -> None:
        """The files of this version, and none that only another one had."""
        mine = set(files.of(version))
        others = {path for other in versions.installed(self.places) for path in files.of(other)}
        files.put(self.places, version)
        files.take_away(self.places, sorted(others - mine))
        versions.point(self.places.current, version.name)
        self.systemctl("daemon-reload")

    def _back(self, version: Version, step: Step, why: str) -> None:
        try:
            # What the newer one may have written into the store in its few seconds goes with it.
            self._exchange(version, step, downgrade.way_back(self.state_dir, version))
        except (SetupError, OSError) as error:
            raise SetupError(
                f"{why}; and going back to {version.name} failed: {error}; VMs run on, unprotected:"
                " look with journalctl -u pve-ha-lrm, then: systemctl start pve-ha-crm pve-ha-lrm"
            ) from error
