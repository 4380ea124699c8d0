"""Virtual environments from hashed locks; a checkout's own is left alone as long as those do not change."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from haven.bootstrap.progress import Progress, Step


def python_packages() -> tuple[str, ...]:
    """The distribution's packages that this Python lacks; asked by ability, since it need not be Debian's own."""
    lacks = {
        "python3-venv": importlib.util.find_spec("ensurepip") is None,
        "python3-dev": not Path(sysconfig.get_paths()["include"], "Python.h").exists(),
    }
    return tuple(name for name, lacking in lacks.items() if lacking)


def is_distribution_python() -> bool:
    """Whether packages of the distribution can add to this Python."""
    return Path(sys.base_prefix).resolve() == Path("/usr")


@dataclass(frozen=True)
class Venv:
    """A virtual environment, to be made by the interpreter ``base``, with no module of the current folder (-P).

    Without ``own_pip`` the running Python's pip installs into it: pip's own installation takes longer than all
    else.
    """

    folder: Path
    base: str
    own_pip: bool = True

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin" / "python"

    def create(self, progress: Progress, step: Step) -> None:
        """Makes it."""
        step.note("making the virtual environment")
        options = [] if self.own_pip else ["--without-pip"]
        progress.run(step, [self.base, "-P", "-m", "venv", *options, str(self.folder)])

    def install_locked(self, progress: Progress, step: Step, requirements: Path, name: str) -> None:
        """Installs what a project's locks name: the build tools, then the lock ``name`` ("runtime" or "dev")."""
        # setuptools first, by hash: pip's build isolation would fetch an unpinned one past the locks.
        hashed = ["--require-hashes", "--no-deps", "--no-build-isolation", "-r"]
        step.note("installing build tools")
        self.pip(progress, step, *hashed, str(requirements / "build.lock"))
        step.note("installing Python packages (libvirt's is compiled)")
        self.pip(progress, step, *hashed, str(requirements / f"{name}.lock"))

    def install_project(self, progress: Progress, step: Step, *words: str) -> None:
        """Installs haven itself, without asking anybody for anything else."""
        step.note("installing haven")
        self.pip(progress, step, "--no-index", "--no-deps", "--no-build-isolation", *words)

    def pip(self, progress: Progress, step: Step, *words: str) -> None:
        """`pip install`. Root's pip complains about being root, outside and inside of environments."""
        quiet = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_ROOT_USER_ACTION": "ignore", "PIP_NO_INPUT": "1"}
        pip = [str(self.python), "-P", "-m", "pip"] if self.own_pip else _running_pip(self.python)
        progress.run(step, [*pip, "install", *words], env=os.environ | quiet)


def _running_pip(python: Path) -> list[str]:
    return [sys.executable, "-P", "-m", "pip", "--python", str(python)]


@dataclass(frozen=True)
class Environment:
    """The virtual environment of a checkout; ``lock`` is "runtime" or "dev"."""

    project: Path
    lock: str

    @property
    def venv(self) -> Venv:
        """Where it is, and of which Python."""
        return Venv(self.project / ".venv", sys.executable)

    def prepare(self, progress: Progress, step: Step) -> None:
        """Makes it, or finds that it was made by the same Python from the same locks."""
        venv = self.venv
        stamp = venv.folder / "haven-setup.stamp"
        if stamp.exists() and stamp.read_text().startswith(self._stamp()):
            step.note("nothing has changed")
            return
        if venv.folder.exists() and not self._same_python(venv):
            shutil.rmtree(venv.folder)
        if not venv.folder.exists():
            venv.create(progress, step)
        venv.install_locked(progress, step, self.project / "requirements", self.lock)
        venv.install_project(progress, step, "-e", str(self.project))
        stamp.write_text(self._stamp() + "\n")

    def _stamp(self) -> str:
        digest = hashlib.sha256(sys.version.encode())
        locks = (self.project / "requirements" / f"{name}.lock" for name in ("build", self.lock))
        for path in (*locks, self.project / "pyproject.toml"):
            digest.update(path.read_bytes())
        return f"{self.lock} {digest.hexdigest()}"

    def _same_python(self, venv: Venv) -> bool:
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        return venv.python.exists() and (venv.folder / "lib" / version).is_dir()
