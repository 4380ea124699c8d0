"""What libvirt's status files say of its jobs; the texts are those of libvirt 10, shortened."""

import os
from pathlib import Path

import pytest

from haven.hypervisor.jobs import Jobs

IDLE = "<blockjobs active='no'/>"
BACKUP = "<job type='none' async='backup' flags='0x0' asyncStarted='1'/><blockjobs active='yes'/>"
SAVE = "<job type='none' async='save' flags='0x0' asyncStarted='1'/><blockjobs active='no'/>"
COPY = "<blockjobs active='yes'><blockjob name='copy-vda' type='copy' state='running' jobflags='0x6'/></blockjobs>"
MIGRATION = "<job type='none' async='migration out' phase='perform3'/>"
START = "<job type='none' async='start' flags='0x0'/>"


def written(folder: Path, inner: str, at_ns: int = 1) -> Path:
    path = folder / "web.xml"
    path.write_text(f"<domstatus state='running' reason='booted' pid='45'>{inner}<domain/></domstatus>")
    os.utime(path, ns=(at_ns, at_ns))
    return path


@pytest.mark.parametrize(
    ("inner", "word"),
    [
        (IDLE, ""),
        ("", ""),
        (START, ""),
        (BACKUP, "backup"),
        (SAVE, "save"),
        (COPY, "block job"),
        (MIGRATION, "migration"),
    ],
)
def test_a_job_has_its_word(tmp_path: Path, inner: str, word: str) -> None:
    written(tmp_path, inner)
    assert Jobs(tmp_path).job("web") == word


def test_it_is_read_again_when_it_was_written_anew(tmp_path: Path) -> None:
    jobs = Jobs(tmp_path)
    written(tmp_path, BACKUP, at_ns=1)
    assert jobs.job("web") == "backup"
    written(tmp_path, IDLE, at_ns=2)
    assert jobs.job("web") == ""


@pytest.mark.parametrize("content", [None, "", "<domstatus"])
def test_what_cannot_be_read_is_no_job(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "web.xml").write_text(content)
    assert Jobs(tmp_path).job("web") == ""
