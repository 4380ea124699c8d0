from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from haven.lab import packages
from haven.lab.errors import LabError
from haven.lab.packages import Distribution

DEBIAN = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nVERSION_ID="12"\nID=debian\n'
UBUNTU = 'NAME="Ubuntu"\nVERSION_ID="24.04"\nID=ubuntu\nID_LIKE=debian\n'
ARCH = "NAME=Arch\nID=arch\n"


@pytest.mark.parametrize(
    ("text", "distribution", "tested"),
    [
        (DEBIAN, Distribution("debian", "12"), True),
        (UBUNTU, Distribution("ubuntu", "24.04"), True),
        (DEBIAN.replace("12", "11"), Distribution("debian", "11"), False),
        (ARCH, Distribution("arch", ""), False),
        ("", Distribution("", ""), False),
    ],
)
def test_distributions(text: str, distribution: Distribution, tested: bool) -> None:
    assert packages.parse_os_release(text) == distribution
    assert distribution.tested is tested


def test_only_a_known_distribution_has_a_kernel_for_guests() -> None:
    assert Distribution("debian", "13").kernel_package == "linux-image-cloud-amd64"
    assert Distribution("ubuntu", "24.04").kernel_package == "linux-image-virtual"
    with pytest.raises(LabError, match="not on arch"):
        _ = Distribution("arch", "").kernel_package


def test_ubuntu_needs_zstd_to_read_its_modules() -> None:
    assert "zstd" in Distribution("ubuntu", "24.04").lab_packages
    assert "zstd" not in Distribution("debian", "13").lab_packages


def test_storage_pools_need_a_package_of_their_own_from_debian_13_on() -> None:
    pools = "libvirt-daemon-driver-storage"
    versions = ("12", "13", "")  # a Debian that is not released yet has none
    assert [pools in Distribution("debian", version).lab_packages for version in versions] == [False, True, True]
    assert pools not in Distribution("ubuntu", "24.04").lab_packages


def test_a_removed_package_is_not_an_installed_one() -> None:
    listing = "gcc installed\nqemu-system-x86 config-files\nlibvirt-dev not-installed\nodd\n"
    assert packages.parse_installed(listing) == {"gcc"}


def test_kernel_packages_behind_a_meta_package() -> None:
    debian = "linux-image-cloud-amd64\n  Depends: linux-image-6.1.0-56-cloud-amd64\n"
    ubuntu = (
        "linux-image-6.8.0-151-generic\n  Depends: kmod\n  Depends: linux-modules-6.8.0-151-generic\n"
        "  Conflicts: linux-image-unsigned-6.8.0-151-generic\n  Suggests: linux-tools\n"
    )
    assert packages.parse_kernel_depends(debian) == ("linux-image-6.1.0-56-cloud-amd64",)
    assert packages.parse_kernel_depends(ubuntu) == ("linux-modules-6.8.0-151-generic",)


@pytest.fixture
def refusing(tmp_path: Path) -> Path:
    """The two programs that dpkg finds first, with the real ones replaced by one that prints what it was told."""
    (tmp_path / "real").write_text('#!/bin/sh\necho "$@"\n')
    (tmp_path / "real").chmod(0o755)
    for name, text in packages.REFUSALS.items():
        program = tmp_path / name
        program.write_text(text.replace(f"exec /usr/bin/{name}", str(tmp_path / "real")))
        program.write_text(program.read_text().replace(f"exec /usr/sbin/{name}", str(tmp_path / "real")))
        program.chmod(0o755)
    return tmp_path


def told(folder: Path, *words: str) -> tuple[int, str]:
    argv = [str(folder / words[0]), *words[1:]]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env=os.environ)
    return done.returncode, done.stdout.strip()


def test_a_package_hears_that_its_unit_shall_not_be_enabled(refusing: Path) -> None:
    helper = "deb-systemd-helper"
    assert told(refusing, helper, "--quiet", "was-enabled", "libvirtd.service") == (1, "")
    assert told(refusing, helper, "enable", "libvirtd.service") == (1, "")
    assert told(refusing, helper, "update-state", "x.service") == (0, "update-state x.service")


def test_a_new_init_script_is_registered_as_disabled(refusing: Path) -> None:
    assert told(refusing, "update-rc.d", "no-such-one", "defaults") == (0, "no-such-one defaults-disabled")
    assert told(refusing, "update-rc.d", "no-such-one", "remove") == (0, "no-such-one remove")
