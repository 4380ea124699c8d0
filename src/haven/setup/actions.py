"""What `haven setup` can be asked for: install, roll back, repair, remove. Each says step by step what it does."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from haven.bootstrap.errors import SetupError
from haven.bootstrap.progress import Progress, Step
from haven.core.settings import Settings, describe_settings
from haven.setup import downgrade, files, host, versions
from haven.setup.host import Systemctl
from haven.setup.places import UNITS, Places
from haven.setup.removal import forget, remove_file, remove_tree
from haven.setup.switch import Switch
from haven.setup.versions import Version

_READS_CONFIG = """
from haven.core.settings import SettingsError
from haven.daemons.machine import load_settings
try:
    load_settings()
except SettingsError as error:
    print(error)
"""


@dataclass(frozen=True)
class Setup:
    """One run. With `dry` nothing is changed, and every step says what it would do."""

    places: Places
    settings: Settings
    progress: Progress
    systemctl: Systemctl
    dry: bool = False
    start: bool = True

    def install(self) -> None:
        """The running haven's version, in place of the one that is there."""
        source = versions.running_source()
        version = Version(self.places.opt / source.name())
        if self._do(f"Version {version.name}", "already there" if version.complete else ""):
            with self._step(f"Version {version.name}") as step:
                versions.build(version, source, self.progress, step)
                step.note(f"built in {version.folder}, with {versions.base_python()}")
        self._mend(version)
        self._configure()
        if way := self._way_back(version):
            raise SetupError(
                f"{way.sentence}; if that is meant: haven setup --rollback {version.name} --old-store"
            )
        self._switch(version)
        self._prune(version)
        self._tell_next()

    def roll_back(self, name: str, old_store: bool) -> None:
        """To a version that is there already: the one installed before the one in use, or the one named."""
        version = self._earlier(name)
        if why := version.trouble():
            raise SetupError(f"haven {version.name} cannot run: {why}; install it again from its checkout")
        way = self._way_back(version)
        if way and not old_store and not self._agreed(way.sentence):
            raise SetupError(f"{way.sentence}; if that is meant, add --old-store")
        self._switch(version, way)

    def repair(self) -> None:
        """What an upgrade of the system, or somebody's hand, took away from the version in use."""
        version = versions.current(self.places)
        if version is None or not version.complete:
            raise SetupError("no complete version is installed: run haven setup from a checkout")
        self._switch(version, restart=self._mend(version))

    def remove(self, purge: bool) -> None:
        """Everything that a setup brought; with `purge` also what haven remembers."""
        paths = {path for version in versions.installed(self.places) for path in files.of(version)}
        self._short("Units", self._stop_for_good, "stop and disable " + ", ".join(UNITS))
        self._short("Files", partial(self._take_away, paths), f"remove up to {len(paths)} files")
        self._short("systemd", lambda: self.systemctl("daemon-reload") or "told", "reload its units")
        self._short(f"{self.places.opt}", lambda: remove_tree(self.places.opt), "remove it, with every version")
        state, config, log = self._state_dir, self.places.config.parent, self.places.log
        if purge:
            self._short(f"{state}", partial(forget, state), "remove haven's files there")
            self._short(f"{config}", partial(remove_tree, config), "remove it")
            self._short(f"{log}", partial(remove_file, log), "remove it")
        print("VMs run on as they are; nobody restarts them now.")
        if not purge:
            print(f"Kept, for a haven to come: {state} {config}; delete them by hand if there will be none.")

    # -- steps -----------------------------------------------------------------------------------------------

    def _mend(self, version: Version) -> bool:
        """Makes the environment of a version anew if it cannot be used; whether it could not."""
        if not version.complete:
            return False
        trouble = version.trouble()
        if self._do("Environment", "" if trouble else "works"):
            with self._step("Environment") as step:
                versions.make_environment(version, self.progress, step)
                versions.make_files(version, self.progress, step)
                step.note(f"made anew with {versions.base_python()}: {trouble}")
        return bool(trouble)

    def _way_back(self, version: Version) -> downgrade.WayBack | None:
        """What this version needs to run with what is here. SetupError when it cannot."""
        if not version.complete:
            return None
        if complaint := version.ask(_READS_CONFIG):
            raise SetupError(f"haven {version.name} cannot use it: {complaint}")
        return downgrade.way_back(self._state_dir, version)

    @property
    def _state_dir(self) -> Path:
        return Path(self.settings.state_dir)

    @contextmanager
    def _step(self, title: str) -> Iterator[Step]:
        with self.progress.step(title) as step:
            yield step

    def _do(self, title: str, nothing: str) -> bool:
        """Whether a step is to be done now; otherwise it has been said why not."""
        if nothing:
            with self._step(title) as step:
                step.note(nothing)
        elif self.dry:
            print(f"would  {title}")
        return not nothing and not self.dry

    def _short(self, title: str, action: Callable[[], str], would: str) -> None:
        if self.dry:
            print(f"would  {title}: {would}")
            return
        with self._step(title) as step:
            step.note(action())

    def _configure(self) -> None:
        config = self.places.config
        if config.exists():
            with self._step(f"{config}") as step:
                step.note("left as it is")
            return

        def write() -> str:
            config.parent.mkdir(parents=True, exist_ok=True)
            files.write(config, describe_settings().encode(), 0o600)
            return "written: every key with its meaning, all at their defaults"

        self._short(f"{config}", write, "write it, every key at its default")

    def _switch(self, version: Version, way: downgrade.WayBack | None = None, *, restart: bool = False) -> None:
        title = "Units, programs, man pages, completions"
        if self.dry:
            print(f"would  {title}: bring them to {version.name}" + (", and start haven" if self.start else ""))
            return
        files.refuse_foreign(self.places, version)
        with self._step(title) as step:
            if way:
                print(f"The store: {way.copy.name} takes its place, the newer one is kept beside it.")
            switch = Switch(self.places, self._state_dir, self.systemctl, self.start)
            if restart:
                self.systemctl.ask("stop", *UNITS)
            done = switch.to(version, step, way)
            step.note(f"{done}; runs: {', '.join(self.systemctl.running()) or 'nothing'}")

    def _prune(self, version: Version) -> None:
        """Old versions go, the newest few stay to be rolled back to."""
        for half in self.places.opt.glob("*/source"):
            if not (half.parent / "complete").exists():
                self._short(
                    f"Version {half.parent.name}", partial(remove_tree, half.parent), "remove it: unfinished"
                )
        others = [other for other in versions.installed(self.places) if other.name != version.name]
        for other in others[: -(versions.KEPT - 1)]:
            self._short(f"Version {other.name}", partial(remove_tree, other.folder), "remove it: it is old")

    def _earlier(self, name: str) -> Version:
        there = versions.installed(self.places)
        now = versions.current(self.places)
        if name:
            found = next((version for version in there if version.name == name), None)
        else:
            names = [version.name for version in there]
            index = names.index(now.name) if now and now.name in names else 0
            found = there[index - 1] if index else None
        if found is None:
            known = ", ".join(version.name for version in there) or "none"
            which = name or "before the one in use"
            raise SetupError(f"there is no version {which}; installed, oldest first: {known}")
        return found

    def _agreed(self, sentence: str) -> bool:
        if self.dry or not sys.stdin.isatty():
            return False
        print(f"haven setup: {sentence}.")
        try:
            return input("Go back to that store? [y/N] ").strip().lower() in ("y", "yes")
        except EOFError:
            print()
            return False

    def _stop_for_good(self) -> str:
        there = self.systemctl.exists()
        if there:
            self.systemctl("disable", "--now", *there)
        return f"stopped and disabled: {', '.join(there) or 'none was there'}"

    def _take_away(self, paths: set[Path]) -> str:
        return f"{files.take_away(self.places, sorted(paths))} removed"

    def _tell_next(self) -> None:
        if not self.dry:
            print("Next: qm list, then protect a VM: ha-manager add vm:102 --state started")
            print("      man haven; journalctl -u pve-ha-crm -f; to the version before: haven setup --rollback")


def check(places: Places, settings: Settings) -> None:
    """SetupError when this host is not one to set haven up on."""
    host.refuse_unfit(places)
    host.refuse_running_up(Path(settings.run_dir))
