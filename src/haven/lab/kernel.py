"""The guests' kernel: finding modules in an unpacked kernel package and putting them in loading order."""

from __future__ import annotations

import lzma
import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from haven.lab.errors import LabError

# modinfo entries are NUL-separated "key=value" strings in a section of the object file. Reading them directly
# saves depmod: modules.dep is made at installation, and this kernel is only unpacked.
_DEPENDS = re.compile(rb"\0depends=([^\0]*)\0")


@dataclass(frozen=True)
class Module:
    """One kernel module: its name with underscores, and its decompressed object code."""

    name: str
    code: bytes


@dataclass(frozen=True)
class KernelTree:
    """An unpacked kernel: ``image`` is bootable, ``modules`` is its lib/modules/VERSION folder."""

    image: Path
    modules: Path

    @property
    def version(self) -> str:
        """The kernel's release, such as 6.1.0-56-cloud-amd64."""
        return self.modules.name


def find_kernel(unpacked: Path) -> KernelTree:
    """The kernel unpacked below a folder; LabError if it is not there or there are several."""
    images = sorted(unpacked.glob("boot/vmlinuz-*"))
    if len(images) != 1:
        names = ", ".join(image.name for image in images) or "none"
        raise LabError(f"{unpacked} should hold one kernel image, found: {names}; delete the folder and try again")
    version = images[0].name.removeprefix("vmlinuz-")
    for folder in ("lib/modules", "usr/lib/modules"):
        modules = unpacked / folder / version
        if modules.is_dir():
            return KernelTree(images[0], modules)
    raise LabError(f"{unpacked} holds no modules for kernel {version}; delete the folder and try again")


def load_order(tree: KernelTree, wanted: Iterable[str]) -> tuple[Module, ...]:
    """The wanted modules and what they depend on, each after its needs; built-in ones are left out.

    Raises LabError for a module that the kernel does not have at all.
    """
    files = _module_files(tree)
    builtin = _builtin_names(tree)
    order: dict[str, Module] = {}

    def visit(name: str) -> None:
        if name in order or name in builtin:
            return
        if name not in files:
            raise LabError(f"kernel {tree.version} has no module {name}, which the guests need")
        code = _decompressed(files[name])
        for need in depends(code):
            visit(need)
        order[name] = Module(name, code)

    for name in wanted:
        visit(name)
    return tuple(order.values())


def depends(code: bytes) -> tuple[str, ...]:
    """The names of the modules that this module's code says it depends on."""
    found = _DEPENDS.search(code)
    names = found.group(1).decode() if found else ""
    return tuple(_plain(name) for name in names.split(",") if name)


def _plain(name: str) -> str:
    return name.replace("-", "_")


def _module_files(tree: KernelTree) -> dict[str, Path]:
    return {_plain(path.name.split(".ko")[0]): path for path in tree.modules.rglob("*.ko*")}


def _builtin_names(tree: KernelTree) -> set[str]:
    lines = (tree.modules / "modules.builtin").read_text().splitlines()
    return {_plain(Path(line).name.removesuffix(".ko")) for line in lines}


def _decompressed(path: Path) -> bytes:
    # Debian 12 ships plain modules, Debian 13 xz, Ubuntu 24.04 zstd.
    if path.suffix == ".xz":
        return lzma.decompress(path.read_bytes())
    if path.suffix == ".zst":
        return subprocess.run(["zstd", "-dcq", str(path)], check=True, capture_output=True).stdout
    return path.read_bytes()
