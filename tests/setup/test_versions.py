"""Versions in folders of their own, and packages taken from an environment that has them whole."""

import shutil
import sys
from pathlib import Path

import pytest

from haven.bootstrap.errors import SetupError
from haven.setup import packages, versions
from haven.setup.places import Places
from haven.setup.versions import Source, Version

LOCK = """typer==0.29.2 \\
    --hash=sha256:00
tzdata==2026.6 ; sys_platform == 'win32' \\
    --hash=sha256:00
Markdown_It.Py==4.3.0 \\
    --hash=sha256:00
"""


def test_a_locks_names_and_versions() -> None:
    assert packages.pinned(LOCK) == {"typer": "0.29.2", "markdown-it-py": "4.3.0"}


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """An environment with one package, h11, as it was installed here."""
    here = packages.site_packages(Path(sys.prefix))
    assert here is not None
    found = packages.found_in(here, {"h11": _version_here(here, "h11")})
    assert found is not None
    site = tmp_path / "lib/python3.11/site-packages"
    packages.copy(found, site)
    return site


def _version_here(site: Path, name: str) -> str:
    (folder,) = site.glob(f"{name}-*.dist-info")
    return folder.name.removeprefix(f"{name}-").removesuffix(".dist-info")


def test_a_copied_package_is_whole(site: Path) -> None:
    wanted = {"h11": _version_here(site, "h11")}
    assert (site / "h11/_connection.py").exists()
    assert packages.found_in(site, wanted) is not None


def test_another_version_a_missing_one_or_a_changed_file_is_not_taken(site: Path) -> None:
    wanted = {"h11": _version_here(site, "h11")}
    assert packages.found_in(site, {"h11": "0.0.1"}) is None
    assert packages.found_in(site, {**wanted, "rich": "15.0.0"}) is None
    with (site / "h11/_connection.py").open("a") as file:
        file.write("\n")
    assert packages.found_in(site, wanted) is None
    shutil.rmtree(site / "h11")
    assert packages.found_in(site, wanted) is None


def test_a_package_without_its_record_is_not_taken(site: Path) -> None:
    wanted = {"h11": _version_here(site, "h11")}
    next(site.glob("h11-*/RECORD")).unlink()
    assert packages.found_in(site, wanted) is None


def test_a_versions_name_changes_with_any_of_its_files(tmp_path: Path) -> None:
    source = versions.running_source()
    for path in source.files():
        target = tmp_path / path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source.folder / path, target)
    copy = Source(tmp_path)
    assert copy.name() == source.name()
    with (tmp_path / "requirements/runtime.lock").open("a") as file:
        file.write("# another hash\n")
    assert copy.name() != source.name()
    assert copy.name().startswith("0.1.0-")


def test_a_version_whose_python_is_gone_says_so(tmp_path: Path) -> None:
    version = Version(tmp_path / "1")
    assert "its Python is gone" in version.trouble()
    version.folder.mkdir()
    (version.folder / "venv").symlink_to(sys.prefix)
    assert version.trouble() == ""
    (version.folder / "venv").unlink()
    version.python.parent.mkdir(parents=True)
    version.python.write_text("#!/bin/sh\necho 'ImportError: libvirt.so.0' >&2; exit 1\n")
    version.python.chmod(0o755)
    assert version.trouble() == "its Python cannot load haven (ImportError: libvirt.so.0)"
    with pytest.raises(SetupError, match="haven 1: ImportError"):
        version.ask("print(1)")


def test_only_complete_versions_count_and_the_link_moves_at_one_stroke(tmp_path: Path) -> None:
    places = Places(tmp_path)
    for name in ("1", "2", "half"):
        (places.opt / name).mkdir(parents=True)
    for name in ("1", "2"):
        (places.opt / name / "complete").touch()
    assert versions.current(places) is None
    for name in ("1", "2"):
        versions.point(places.current, name)
        now = versions.current(places)
        assert now is not None and now.name == name
    assert {version.name for version in versions.installed(places)} == {"1", "2"}
