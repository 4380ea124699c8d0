"""The host's memory as the kernel's files tell it."""

from pathlib import Path

import pytest

from haven.core.host import HostFacts
from haven.core.records import Instance
from haven.hypervisor.host_memory import read_host
from haven.hypervisor.processes import Processes, started_ticks
from haven.hypervisor.sizes import uses_hugepages

MEMINFO = "MemTotal:       24684344 kB\nMemFree:        21908480 kB\nMemAvailable:   22776832 kB\nBuffers: 1 kB\n"
PRESSURE = "some avg10=12.34 avg60=1.00 avg300=0.10 total=99\nfull avg10=5.00 avg60=0.00 avg300=0.00 total=9\n"
ARC = "name type data\nhits 4 1\nc_min 4 1073741824\nc_max 4 8589934592\nsize 4 4294967296\n"


def test_memory_and_pressure(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text(MEMINFO)
    (tmp_path / "pressure").mkdir()
    (tmp_path / "pressure/memory").write_text(PRESSURE)
    assert read_host(tmp_path) == HostFacts(24105, 22243, 12.34)


def test_a_kernel_without_pressure(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text(MEMINFO)
    assert read_host(tmp_path) == HostFacts(24105, 22243, None)


def test_zfs_gives_its_cache_back(tmp_path: Path) -> None:
    (tmp_path / "meminfo").write_text(MEMINFO.replace("22776832", "1024000"))
    (tmp_path / "spl/kstat/zfs").mkdir(parents=True)
    (tmp_path / "spl/kstat/zfs/arcstats").write_text(ARC)
    assert read_host(tmp_path) == HostFacts(24105, 1000 + 3072, None)


@pytest.mark.parametrize("text", [None, "", "MemTotal: 1024 kB\n", "garbage"])
def test_what_is_not_told_is_not_known(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "meminfo").write_text(text)
    assert read_host(tmp_path) is None


def test_the_real_host() -> None:
    facts = read_host()
    assert facts is not None
    assert 0 < facts.available_mib <= facts.total_mib


def test_a_score_is_set_on_that_very_process_only(tmp_path: Path) -> None:
    (tmp_path / "42").mkdir()
    (tmp_path / "42/stat").write_text("42 (qemu) S " + " ".join(["0"] * 18) + " 7 " + " ".join(["0"] * 30))
    score = tmp_path / "42/oom_score_adj"
    score.write_text("0\n")
    processes = Processes(tmp_path, tmp_path)
    assert started_ticks(tmp_path, 42) == 7
    assert processes.set_oom_score_adj(Instance(42, 7), -300)
    assert processes.oom_score_adj(Instance(42, 7)) == -300
    assert not processes.set_oom_score_adj(Instance(42, 8), -900), "another process has its pid now"
    assert not processes.set_oom_score_adj(Instance(43, 7), -900)
    assert score.read_text() == "-300"


def test_huge_pages_are_read_from_the_definition() -> None:
    backed = "<domain><memoryBacking><hugepages><page size='2048'/></hugepages></memoryBacking></domain>"
    assert uses_hugepages(backed)
    assert not uses_hugepages("<domain><memoryBacking><locked/></memoryBacking></domain>")
    assert not uses_hugepages("<domain/>")
