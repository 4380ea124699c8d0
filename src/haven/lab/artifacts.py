"""The guests' kernel and initrd in the project's own folder: fetched, unpacked, built, found again.

Nothing of it is installed: the machine's own kernel and services stay as they are.
"""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path

from haven.bootstrap.progress import Step
from haven.lab import accel, cpio, guest, kernel
from haven.lab.errors import LabError
from haven.lab.guest import Accel, GuestArtifacts
from haven.lab.packages import Apt, kernel_packages

_GUEST_PACKAGES = ("busybox-static", "qemu-guest-agent")


def project_root() -> Path:
    """The checkout this package runs from."""
    return Path(__file__).resolve().parents[3]


def default_folder() -> Path:
    """Where the artefacts of this checkout are."""
    return project_root() / "build" / "guest"


@dataclass(frozen=True)
class ArtifactFolder:
    """The folder of the artefacts: ``unpacked`` is the packages' content, the rest is made from it."""

    path: Path

    @property
    def unpacked(self) -> Path:
        """The content of the downloaded packages."""
        return self.path / "unpacked"

    def load(self) -> GuestArtifacts:
        """The finished artefacts with what runs them on this boot of the machine; LabError if they are missing."""
        kernel_image, initrd = self.path / "vmlinuz", self.path / "initrd"
        if not (kernel_image.exists() and initrd.exists()):
            raise LabError(f"no guest kernel in {self.path}: run `make demo` first, which prepares it")
        return GuestArtifacts(kernel_image, initrd, accel.recorded(self.path) or Accel.TCG)


def prepare(folder: ArtifactFolder, apt: Apt, step: Step, kernel_meta: str) -> None:
    """Makes the artefacts, or finds that they are there and that nothing they are made by has changed."""
    folder.path.mkdir(parents=True, exist_ok=True)
    if not folder.unpacked.is_dir():
        _fetch(folder, apt, step, kernel_meta)
    recipe = folder.path / "recipe"
    if recipe.exists() and recipe.read_text() == _recipe():
        step.note(f"kernel {kernel.find_kernel(folder.unpacked).version}")
        return
    tree = kernel.find_kernel(folder.unpacked)
    step.note(f"building the initrd for kernel {tree.version}")
    initrd = guest.build_initrd(tree, _program(folder, "busybox"), _program(folder, "qemu-ga"))
    shutil.copyfile(tree.image, folder.path / "vmlinuz")
    (folder.path / "initrd").write_bytes(initrd)
    recipe.write_text(_recipe())
    step.note(f"kernel {tree.version}, initrd {len(initrd) / 2**20:.1f} MiB")


def _recipe() -> str:
    """Changes when the initrd would: with the code that makes it."""
    sources = (module.__file__ for module in (cpio, guest, kernel))
    digest = hashlib.sha256(b"".join(Path(source).read_bytes() for source in sources if source))
    return digest.hexdigest()


def _program(folder: ArtifactFolder, name: str) -> Path:
    for place in ("bin", "usr/bin", "sbin", "usr/sbin"):
        if (path := folder.unpacked / place / name).is_file():
            return path
    raise LabError(f"{folder.unpacked} lacks {name}; delete the folder and try again")


def _fetch(folder: ArtifactFolder, apt: Apt, step: Step, kernel_meta: str) -> None:
    apt.ensure_known(step, [kernel_meta])
    packages = folder.path / "packages"
    fresh = folder.path / "unpacked.new"
    for leftover in (packages, fresh):
        shutil.rmtree(leftover, ignore_errors=True)
    packages.mkdir()
    apt.download(step, [*kernel_packages(kernel_meta), *_GUEST_PACKAGES], packages)
    step.note("unpacking the guests' kernel")
    for package in sorted(packages.glob("*.deb")):
        apt.progress.run(step, ["dpkg-deb", "-x", str(package), str(fresh)])
    # Renamed at the end: a folder of this name is complete.
    fresh.rename(folder.unpacked)
    shutil.rmtree(packages)
