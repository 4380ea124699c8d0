"""The versions of haven on a host, each in a folder of its own: source, locks, environment, files for the host.

/opt/haven/0.1.0-3f2a91c4/
    source/       pyproject.toml, requirements/, src/: all that is needed to make the rest again
    venv -> venv.1
    venv.1/       an environment is never changed: a repair makes another one and moves the link
    files/        what is copied to the host, with paths as from /
    complete      written last; its time orders the versions
/opt/haven/current -> 0.1.0-3f2a91c4
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from importlib.metadata import Distribution
from pathlib import Path

from haven.bootstrap.environment import Venv
from haven.bootstrap.errors import SetupError
from haven.bootstrap.progress import Progress, Step
from haven.setup import host, packages
from haven.setup.places import Places

_LOCKS = ("build", "runtime")
_LEFT_BY_PIP = ("build", "src/haven.egg-info")
KEPT = 3
"""So many versions stay: the one in use and those before it."""


@dataclass(frozen=True)
class Source:
    """A checkout, or the source that an installed version keeps."""

    folder: Path

    def files(self) -> list[Path]:
        """All that an installation needs, relative to the folder."""
        single = [Path(name) for name in ("pyproject.toml", "README.md", "LICENSE")]
        locks = [Path("requirements", f"{name}.lock") for name in _LOCKS]
        code = sorted(path.relative_to(self.folder) for path in (self.folder / "src/haven").rglob("*.py"))
        return [*single, *locks, *code]

    def name(self) -> str:
        """The version and a digest of every file, so that two builds of one version never share a folder."""
        with (self.folder / "pyproject.toml").open("rb") as file:
            version = tomllib.load(file)["project"]["version"]
        digest = hashlib.sha256()
        for path in self.files():
            digest.update(f"{path}\0".encode() + (self.folder / path).read_bytes() + b"\0")
        return f"{version}-{digest.hexdigest()[:8]}"

    def pinned(self) -> dict[str, str]:
        """Every package that the locks name."""
        texts = (self.folder / "requirements" / f"{name}.lock" for name in _LOCKS)
        return {name: version for path in texts for name, version in packages.pinned(path.read_text()).items()}


def running_source() -> Source:
    """The source of the running haven. SetupError when it came without."""
    package = Path(__file__).resolve().parents[1]
    beside = Path(sys.prefix).resolve().parent / "source"
    for folder in (package.parents[1], beside):
        if (folder / "pyproject.toml").exists() and (folder / "requirements/runtime.lock").exists():
            return Source(folder)
    raise SetupError(
        f"no source beside {package}: run it from a checkout (make setup, then .venv/bin/haven setup as root)"
    )


@dataclass(frozen=True)
class Version:
    """One version's folder."""

    folder: Path

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def source(self) -> Source:
        return Source(self.folder / "source")

    @property
    def complete(self) -> bool:
        return (self.folder / "complete").exists()

    @property
    def python(self) -> Path:
        return self.folder / "venv/bin/python"

    @property
    def files(self) -> Path:
        """What is copied to the host."""
        return self.folder / "files"

    def trouble(self) -> str:
        """Why its environment cannot be used; empty if it can."""
        if not os.access(self.python, os.X_OK):
            return f"its Python is gone ({self.python} leads to {os.path.realpath(self.python)})"
        program = "import haven.daemons.run, haven.daemons.lrm, haven.hypervisor.libvirt_hypervisor, haven.api.app"
        program += ", haven.cli.main, haven.cli.qm"
        done = subprocess.run(
            [self.python, "-I", "-c", program], capture_output=True, text=True, check=False, cwd="/"
        )
        last = (done.stderr.strip().splitlines() or ["it ends at once"])[-1]
        return f"its Python cannot load haven ({last})" if done.returncode else ""

    def ask(self, program: str) -> str:
        """What this version's own Python prints. SetupError with its last words."""
        done = subprocess.run(
            [self.python, "-I", "-c", program], capture_output=True, text=True, check=False, cwd="/"
        )
        if done.returncode != 0:
            raise SetupError(f"haven {self.name}: {(done.stderr.strip().splitlines() or ['no answer'])[-1]}")
        return done.stdout.strip()


def installed(places: Places) -> list[Version]:
    """The complete versions, the oldest first."""
    found = [Version(mark.parent) for mark in places.opt.glob("*/complete") if not mark.parent.is_symlink()]
    return sorted(found, key=lambda version: (version.folder / "complete").stat().st_mtime)


def current(places: Places) -> Version | None:
    """The version in use."""
    return Version(places.current.resolve()) if places.current.is_symlink() else None


def point(link: Path, target: str) -> None:
    """Makes or moves a link at one stroke."""
    staged = link.with_name(f".{link.name}.new")
    staged.unlink(missing_ok=True)
    staged.symlink_to(target)
    staged.replace(link)


def build(version: Version, source: Source, progress: Progress, step: Step) -> None:
    """Makes a version's folder; what a setup that broke off left there is made anew."""
    if version.folder.exists():
        shutil.rmtree(version.folder)
    for path in source.files():
        if (source.folder / path).exists():
            target = version.folder / "source" / path
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source.folder / path, target)
    make_environment(version, progress, step)
    make_files(version, progress, step)
    (version.folder / "complete").touch()


def make_files(version: Version, progress: Progress, step: Step) -> None:
    """Units, programs, man pages and completions, by the version itself."""
    step.note("writing man pages and completions")
    if version.files.exists():
        shutil.rmtree(version.files)
    progress.run(step, [str(version.python), "-I", "-m", "haven.setup.pages", str(version.files)], cwd=Path("/"))


def base_python() -> str:
    """The interpreter to build with, by the name that has its version in it: when an upgrade of the system takes
    it away, it is gone, and not another one that finds no packages."""
    base = getattr(sys, "_base_executable", None) or sys.executable
    return os.path.realpath(base)


def make_environment(version: Version, progress: Progress, step: Step) -> None:
    """A new environment of the version, and the link to it. SetupError; the one before is then still there."""
    number = 1 + max([int(path.suffix[1:]) for path in version.folder.glob("venv.*")], default=0)
    has_pip = importlib.util.find_spec("pip") is not None
    venv = Venv(version.folder / f"venv.{number}", base_python(), own_pip=not has_pip)
    before = list(version.folder.glob("venv.*"))
    try:
        _fill(version, venv, progress, step)
    except BaseException:
        shutil.rmtree(venv.folder, ignore_errors=True)
        raise
    point(version.folder / "venv", venv.folder.name)
    for old in before:
        shutil.rmtree(old)


def _fill(version: Version, venv: Venv, progress: Progress, step: Step) -> None:
    found = _packages_at_hand(version)
    if lacking := host.lacking_packages(has_pip=not venv.own_pip, compiles=not found):
        raise SetupError(f"to build haven's environment, install first: apt install {' '.join(lacking)}")
    venv.create(progress, step)
    site = packages.site_packages(venv.folder)
    assert site is not None  # venv has just made it
    if found:
        step.note("copying Python packages")
        packages.copy(found, site)
    else:
        venv.install_locked(progress, step, version.source.folder / "requirements", "runtime")
    venv.install_project(progress, step, str(version.source.folder))
    for name in _LEFT_BY_PIP:
        shutil.rmtree(version.source.folder / name, ignore_errors=True)


def _packages_at_hand(version: Version) -> list[Distribution] | None:
    """In the running environment, or in one that is on this host already, of the same Python."""
    minor = f"python3.{sys.version_info.minor}"
    for environment in (Path(sys.prefix), *version.folder.glob("venv.*"), *version.folder.parent.glob("*/venv.*")):
        site = packages.site_packages(environment)
        if environment != Path(sys.base_prefix) and site and site.parent.name == minor:
            found = packages.found_in(site, version.source.pinned())
            if found:
                return found
    return None
