"""What is left of a QEMU's memory cgroup when it is dead, as different hosts leave it."""

from pathlib import Path

import pytest

from haven.core.oom import judge
from haven.core.records import Instance
from haven.hypervisor.oom_watch import MemoryCgroups, OomWatch, read_counter

STAT = "{pid} (qemu-system-x86) S " + " ".join(["0"] * 18) + " {begun} " + " ".join(["0"] * 30)


class Host:
    """A /proc and a cgroup file system of files, as far as the watch reads them."""

    def __init__(self, root: Path, *, v1: bool, mounted_root: str = "/") -> None:
        self.proc, self.memory, self.v1 = root / "proc", root / "cgroup", v1
        self.memory.mkdir()
        (self.proc / "self/ns").mkdir(parents=True)
        kind = "cgroup cgroup rw,memory" if v1 else "cgroup2 cgroup2 rw"
        line = f"35 31 0:32 {mounted_root} {self.memory} rw,relatime - {kind}\n"
        other = "36 31 0:33 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n"
        (self.proc / "self/mountinfo").write_text(other + line)
        (self.proc / "self/ns/pid").symlink_to("pid:[4026531836]")

    def run(self, pid: int, cgroup: str) -> Instance:
        folder = self.proc / str(pid)
        folder.mkdir()
        (folder / "stat").write_text(STAT.format(pid=pid, begun=7))
        lines = f"9:name=systemd:/else\n4:memory:{cgroup}\n" if self.v1 else f"0::{cgroup}\n"
        (folder / "cgroup").write_text(lines)
        return Instance(pid, 7)

    def die(self, instance: Instance) -> None:
        for file in (self.proc / str(instance.pid)).iterdir():
            file.unlink()
        (self.proc / str(instance.pid)).rmdir()

    def count(self, folder: str, kills: int) -> None:
        path = self.memory / folder
        path.mkdir(parents=True, exist_ok=True)
        if self.v1:
            (path / "memory.oom_control").write_text(f"oom_kill_disable 0\nunder_oom 0\noom_kill {kills}\n")
        else:
            (path / "memory.events").write_text(f"low 0\nmax 12\noom 1\noom_kill {kills}\noom_group_kill 0\n")

    def remove(self, folder: str) -> None:
        for file in (self.memory / folder).iterdir():
            file.unlink()
        (self.memory / folder).rmdir()

    def watch(self) -> OomWatch:
        return OomWatch(self.proc, self.proc / "no-kmsg")


@pytest.mark.parametrize("v1", [True, False], ids=["v1", "v2"])
def test_the_counter_of_its_own_cgroup(tmp_path: Path, *, v1: bool) -> None:
    host = Host(tmp_path, v1=v1)
    host.count("vm", 3)
    watch, instance = host.watch(), host.run(42, "/vm")
    watch.note(instance)
    host.die(instance)
    host.count("vm", 4)
    traces = watch.traces(instance)
    assert traces.rise is not None
    assert (traces.rise.cgroup, traces.rise.before, traces.rise.after) == ("/vm", 3, 4)
    assert (traces.kernel_pid, traces.cgroup, traces.victims) == (42, "/vm", 1)
    assert traces.unread.endswith("no-kmsg: No such file or directory")
    assert judge(traces) is not None


def test_a_cgroup_that_went_with_its_vm_is_told_by_the_one_above(tmp_path: Path) -> None:
    """systemd-machined removes a VM's scope at its death; v2 counts in every cgroup above."""
    host = Host(tmp_path, v1=False)
    host.count("machine.slice", 0)
    host.count("machine.slice/one.scope/libvirt", 0)
    watch, instance = host.watch(), host.run(42, "/machine.slice/one.scope/libvirt/emulator")
    watch.note(instance)
    host.die(instance)
    host.remove("machine.slice/one.scope/libvirt")
    host.count("machine.slice", 1)
    traces = watch.traces(instance)
    assert traces.rise is not None
    assert (traces.rise.cgroup, traces.rise.after) == ("/machine.slice", 1)
    assert judge(traces) is not None


def test_one_kill_and_two_dead_vms_below_prove_nothing(tmp_path: Path) -> None:
    host = Host(tmp_path, v1=False)
    host.count("machine.slice", 0)
    watch = host.watch()
    lives = [host.run(pid, f"/machine.slice/{pid}.scope") for pid in (42, 43, 44)]
    for life in lives:
        watch.note(life)
    host.die(lives[0])
    host.die(lives[1])
    host.count("machine.slice", 1)
    assert judge(watch.traces(lives[0])) is None
    host.count("machine.slice", 2)
    assert judge(watch.traces(lives[0])) is not None


def test_a_counter_that_stands_still_is_no_kill(tmp_path: Path) -> None:
    host = Host(tmp_path, v1=True)
    host.count("vm", 3)
    watch, instance = host.watch(), host.run(42, "/vm")
    watch.note(instance)
    host.die(instance)
    assert judge(watch.traces(instance)) is None


def test_a_container_sees_a_part_of_the_hierarchy(tmp_path: Path) -> None:
    """Its mount begins at its own cgroup, while /proc names the whole path."""
    host = Host(tmp_path, v1=False, mounted_root="/docker/abc")
    host.count("vm", 0)
    cgroups = MemoryCgroups(host.proc)
    assert list(cgroups.counters("/docker/abc/vm")) == [host.memory / "vm/memory.events"]
    assert cgroups.name_of(host.memory / "vm") == "/docker/abc/vm"


def test_pids_do_not_compare_in_a_pid_namespace(tmp_path: Path) -> None:
    host = Host(tmp_path, v1=True)
    (host.proc / "self/ns/pid").unlink()
    (host.proc / "self/ns/pid").symlink_to("pid:[4026532741]")
    assert host.watch().traces(Instance(42, 7)).kernel_pid is None


def test_a_process_that_was_never_seen_and_a_host_without_anything(tmp_path: Path) -> None:
    watch = OomWatch(tmp_path, tmp_path / "kmsg")
    watch.note(Instance(42, 7))
    traces = watch.traces(Instance(43, 7))
    assert (traces.cgroup, traces.rise, traces.kernel_pid, traces.kills) == ("", None, None, ())
    assert judge(traces) is None


def test_what_is_no_counter(tmp_path: Path) -> None:
    assert read_counter(tmp_path / "missing") is None
    (tmp_path / "memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\n")  # Linux before 4.13
    assert read_counter(tmp_path / "memory.oom_control") is None


def test_the_controller_s_own_line_counts_where_v2_is_there_beside_it(tmp_path: Path) -> None:
    host = Host(tmp_path, v1=True)
    host.run(42, "/vm")
    cgroup = host.proc / "42/cgroup"
    cgroup.write_text(f"0::/unified\n{cgroup.read_text()}0::/unified\n")
    (host.proc / "self/mountinfo").write_text("")
    assert MemoryCgroups(host.proc).of(42) == "/vm"
