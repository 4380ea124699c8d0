"""What `haven setup --remove --purge` takes away, and what it leaves: a state directory may be shared."""

from pathlib import Path

from haven.setup.files import write
from haven.setup.removal import forget, remove_tree

HAVENS = (
    "haven.db",
    "haven.db-wal",
    "haven.db.schema-1",
    "history.db",
    "notify.db",
    "store.lock",
    "history.opening",
)


def filled(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).write_text("x")
    return folder


def test_a_state_directory_of_havens_own_is_gone(tmp_path: Path) -> None:
    state = filled(tmp_path / "haven", *HAVENS)
    assert forget(state) == "removed"
    assert not state.exists()
    assert forget(state) == "not there"


def test_in_a_shared_folder_only_havens_files_go(tmp_path: Path) -> None:
    state = filled(tmp_path / "tank", *HAVENS, "vm-102.qcow2")
    assert forget(state) == "what is haven's is removed; the rest stays: vm-102.qcow2"
    assert [path.name for path in state.iterdir()] == ["vm-102.qcow2"]


def test_of_a_link_the_contents_go(tmp_path: Path) -> None:
    state = filled(tmp_path / "disk", *HAVENS)
    (tmp_path / "haven").symlink_to(state)
    assert forget(tmp_path / "haven") == "emptied; the folder itself stays: it is a link, or mounted"
    assert list(state.iterdir()) == []


def test_a_tree_behind_a_link_goes_with_the_link(tmp_path: Path) -> None:
    tree = filled(tmp_path / "disk" / "opt", "complete")
    (tmp_path / "haven").symlink_to(tree)
    assert remove_tree(tmp_path / "haven") == "removed"
    assert not tree.exists() and not (tmp_path / "haven").is_symlink()


def test_a_file_is_written_with_its_mode_whatever_was_left(tmp_path: Path) -> None:
    (tmp_path / ".haven.toml.haven").write_text("half")
    write(tmp_path / "haven.toml", b"whole", 0o600)
    assert (tmp_path / "haven.toml").read_text() == "whole"
    assert (tmp_path / "haven.toml").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["haven.toml"]
