from __future__ import annotations

import stat

from hypothesis import given
from hypothesis import strategies as st

from haven.lab import cpio


def read_back(archive: bytes) -> list[cpio.Entry]:
    """A slow, obvious reader of the format."""
    entries: list[cpio.Entry] = []
    at = 0
    while True:
        assert archive[at : at + 6] == b"070701"
        fields = [int(archive[at + 6 + 8 * i : at + 14 + 8 * i], 16) for i in range(13)]
        mode, size, device, name_size = fields[1], fields[6], (fields[9], fields[10]), fields[11]
        name = archive[at + 110 : at + 110 + name_size - 1].decode()
        at += -(-(110 + name_size) // 4) * 4
        data = archive[at : at + size]
        at += -(-size // 4) * 4
        if name == "TRAILER!!!":
            return entries
        entries.append(cpio.Entry(name, mode, data, device))


NAMES = st.text("abcxyz0.-", min_size=1, max_size=12).filter(lambda name: name.strip("."))


@given(st.dictionaries(NAMES, st.binary(max_size=50)))
def test_what_is_written_can_be_read(files: dict[str, bytes]) -> None:
    entries = [cpio.file(name, data) for name, data in files.items()]
    assert read_back(cpio.archive(entries)) == entries


def test_kinds_of_members_keep_mode_target_and_device() -> None:
    entries = [
        cpio.directory("dev"),
        cpio.character_device("dev/console", 5, 1),
        cpio.symlink("sh", "bin/busybox"),
        cpio.file("init", b"#!/bin/sh\n", executable=True),
    ]
    got = read_back(cpio.archive(entries))
    assert got == entries
    assert stat.S_ISCHR(got[1].mode) and got[1].device == (5, 1)
    assert got[3].mode & 0o111


def test_every_file_comes_after_its_directories_and_no_directory_comes_twice() -> None:
    entries = cpio.with_parents([cpio.file("a/b/c", b""), cpio.file("a/d", b""), cpio.directory("a")])
    assert [entry.path for entry in entries] == ["a", "a/b", "a/b/c", "a/d"]


def test_the_same_entries_give_the_same_bytes_in_whole_blocks() -> None:
    entries = [cpio.file("init", b"x")]
    assert cpio.archive(entries) == cpio.archive(entries)
    assert len(cpio.archive(entries)) % 512 == 0
