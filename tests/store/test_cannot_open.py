"""A store that cannot be opened at all: one line says why, and nothing is invented."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from haven.store.protocol import StoreError
from haven.store.sqlite import open_store
from tests.store.rig import database, in_small_tmpfs, may_mount, opened
from tests.store.test_opening import with_one_vm


@pytest.mark.parametrize("where", ["state", "run"])
def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path, where: str) -> None:
    (tmp_path / where).write_text("in the way")
    with pytest.raises(StoreError, match=f"cannot create .*{where}"):
        opened(tmp_path)


def test_a_directory_in_the_stores_place_is_named(tmp_path: Path) -> None:
    database(tmp_path).mkdir(parents=True)
    with pytest.raises(StoreError, match=r"cannot open .*haven\.db"):
        open_store(tmp_path / "state", tmp_path / "run", "lrm")


@pytest.mark.skipif(not may_mount(), reason="needs root and mount namespaces")
def test_a_disk_too_full_for_a_first_store_is_said_in_one_line(tmp_path: Path) -> None:
    done = in_small_tmpfs(tmp_path, 8, "open_only", str(tmp_path))
    assert done.returncode != 0
    assert "StoreError: cannot open" in done.stderr


@pytest.mark.skipif(not may_mount(), reason="needs root and mount namespaces")
def test_no_space_to_restore_a_good_copy_is_never_answered_with_an_empty_store(tmp_path: Path) -> None:
    done = in_small_tmpfs(tmp_path, 1024, "restore_on_full_disk", str(tmp_path))
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert "the disk is full" in told["full"]
    assert "the disk is full" in told["again"]
    assert "restored from the copy" in told["notices"]
    assert told["comment"] == "kept"


@pytest.mark.skipif(not may_mount(), reason="needs root and mount namespaces")
def test_a_read_only_file_system_is_said_in_words(tmp_path: Path) -> None:
    with_one_vm(tmp_path)
    script = f"mount --bind '{tmp_path}' '{tmp_path}' && mount -o remount,bind,ro '{tmp_path}' && exec \"$@\""
    code = "import sys; from pathlib import Path; from tests.store.rig import opened; opened(Path(sys.argv[1]))"
    done = subprocess.run(
        ["unshare", "-m", "sh", "-c", script, "sh", sys.executable, "-c", code, str(tmp_path)],
        capture_output=True,
        text=True,
    )
    assert "Read-only file system" in done.stderr.splitlines()[-1]
    assert "haven.store.protocol.StoreError: cannot open" in done.stderr.splitlines()[-1]
