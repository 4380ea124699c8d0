"""The project's virtual environment: made from hashed locks, and left alone as long as those do not change."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from haven.lab.progress import Progress, Step


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
class Environment:
    """The virtual environment of a checkout; ``lock`` is "runtime" or "dev"."""

    project: Path
    lock: str

    @property
    def folder(self) -> Path:
        """Where it is."""
        return self.project / ".venv"

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin" / "python"

    def prepare(self, progress: Progress, step: Step) -> None:
        """Makes it, or finds that it was made by the same Python from the same locks."""
        stamp = self.folder / "haven-setup.stamp"
        if stamp.exists() and stamp.read_text().startswith(self._stamp()):
            step.note("nothing has changed")
            return
        self._create(progress, step)
        self._install(progress, step)
        stamp.write_text(self._stamp() + "\n")

    def _stamp(self) -> str:
        digest = hashlib.sha256(sys.version.encode())
        for path in (self._requirements("build"), self._requirements(self.lock), self.project / "pyproject.toml"):
            digest.update(path.read_bytes())
        return f"{self.lock} {digest.hexdigest()}"

    def _requirements(self, name: str) -> Path:
        return self.project / "requirements" / f"{name}.lock"

    def _create(self, progress: Progress, step: Step) -> None:
        step.note("making the virtual environment")
        if self.folder.exists() and not self._same_python():
            shutil.rmtree(self.folder)
        if not self.folder.exists():
            progress.run(step, [sys.executable, "-m", "venv", str(self.folder)])

    def _same_python(self) -> bool:
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        return self.python.exists() and (self.folder / "lib" / version).is_dir()

    def _install(self, progress: Progress, step: Step) -> None:
        # setuptools first, by hash: pip's build isolation would fetch an unpinned one past the locks.
        hashed = ["--require-hashes", "--no-deps", "--no-build-isolation", "-r"]
        step.note("installing build tools")
        self._pip(progress, step, *hashed, str(self._requirements("build")))
        step.note("installing Python packages (libvirt's is compiled)")
        self._pip(progress, step, *hashed, str(self._requirements(self.lock)))
        step.note("installing haven")
        self._pip(progress, step, "--no-deps", "--no-build-isolation", "-e", str(self.project))

    def _pip(self, progress: Progress, step: Step, *words: str) -> None:
        # Root's pip complains about being root, outside and inside of environments.
        quiet = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_ROOT_USER_ACTION": "ignore", "PIP_NO_INPUT": "1"}
        progress.run(step, [str(self.python), "-m", "pip", "install", *words], env=os.environ | quiet)
