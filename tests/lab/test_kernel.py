from __future__ import annotations

import lzma
from pathlib import Path

import pytest

from haven.lab import kernel
from haven.lab.errors import LabError


def module(needs: str) -> bytes:
    return b"\x7fELF\0license=GPL\0depends=" + needs.encode() + b"\0retpoline=Y\0"


@pytest.fixture
def tree(tmp_path: Path) -> kernel.KernelTree:
    """Debian 13's shape: compressed modules, `virtio` needed by two, `button` built in."""
    (tmp_path / "boot").mkdir()
    (tmp_path / "boot/vmlinuz-6.12-cloud").write_bytes(b"kernel")
    folder = tmp_path / "usr/lib/modules/6.12-cloud"
    drivers = folder / "kernel/drivers"
    drivers.mkdir(parents=True)
    (folder / "modules.builtin").write_text("kernel/drivers/acpi/button.ko\n")
    (drivers / "virtio.ko").write_bytes(module(""))
    (drivers / "virtio_pci.ko.xz").write_bytes(lzma.compress(module("virtio")))
    (drivers / "pvpanic-mmio.ko").write_bytes(module("virtio,virtio-pci"))
    return kernel.find_kernel(tmp_path)


def test_the_kernel_is_found_with_its_modules(tree: kernel.KernelTree) -> None:
    assert tree.version == "6.12-cloud"
    assert tree.image.read_bytes() == b"kernel"


def test_a_module_loads_after_its_needs_and_once(tree: kernel.KernelTree) -> None:
    order = kernel.load_order(tree, ("pvpanic_mmio", "virtio_pci"))
    assert [m.name for m in order] == ["virtio", "virtio_pci", "pvpanic_mmio"]


def test_compressed_modules_come_out_plain(tree: kernel.KernelTree) -> None:
    assert kernel.load_order(tree, ("virtio_pci",))[1].code == module("virtio")


def test_built_in_modules_are_left_out(tree: kernel.KernelTree) -> None:
    assert kernel.load_order(tree, ("button",)) == ()


def test_an_unknown_module_is_named(tree: kernel.KernelTree) -> None:
    with pytest.raises(LabError, match=r"6\.12-cloud has no module i6300esb"):
        kernel.load_order(tree, ("i6300esb",))


def test_a_folder_without_a_kernel_is_named(tmp_path: Path) -> None:
    with pytest.raises(LabError, match="found: none"):
        kernel.find_kernel(tmp_path)
