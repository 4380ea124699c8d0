"""Becomes systemd as PID 1: `python -m haven.lab.systemd_init ROOT HOSTNAME BIND...`, in its own namespaces.

The host's file system is an overlay over the machine's: all that is written lands in ROOT/disk, a tmpfs that lasts
over reboots and is gone with the host. Nothing of the machine's own services comes up.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import socket
import sys
import uuid
from pathlib import Path

from haven.lab.init import MS_BIND, MS_RDONLY, MS_REMOUNT, etc_files, loopback_up, mount

BOOT_ID = "haven-boot-id"
_SYSTEMD = ("/usr/lib/systemd/systemd", "/lib/systemd/systemd")
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty", "kvm", "net/tun")
_PIVOT_ROOT = 155
_MNT_DETACH = 2

# What would touch the machine below, or has nothing to do here.
_MASKED = (
    "apparmor.service",
    "console-getty.service",
    "dev-hugepages.mount",
    "dev-mqueue.mount",
    "getty.target",
    "ldconfig.service",
    "proc-sys-fs-binfmt_misc.automount",
    "sys-fs-fuse-connections.mount",
    "sys-kernel-config.mount",
    "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount",
    "systemd-binfmt.service",
    "systemd-firstboot.service",
    "systemd-hwdb-update.service",
    "systemd-journal-catalog-update.service",
    "systemd-logind.service",
    "systemd-machine-id-commit.service",
    "systemd-modules-load.service",
    "systemd-network-generator.service",
    "systemd-networkd.service",
    "systemd-pcrphase.service",
    "systemd-pstore.service",
    "systemd-random-seed.service",
    "systemd-remount-fs.service",
    "systemd-repart.service",
    "systemd-resolved.service",
    "systemd-sysctl.service",
    "systemd-sysusers.service",
    "systemd-timesyncd.service",
    "systemd-tmpfiles-setup-dev-early.service",
    "systemd-tmpfiles-setup-dev.service",
    "systemd-tmpfiles-setup.service",
    "systemd-tmpfiles-clean.timer",
    "systemd-udev-trigger.service",
    "systemd-udevd.service",
    "systemd-update-done.service",
    "systemd-update-utmp.service",
    "tmp.mount",
)

_libc = ctypes.CDLL(None, use_errno=True)


def _file_system(root: Path, binds: list[Path]) -> Path:
    """The host's root directory, ready to be pivoted into."""
    disk = root / "disk"
    new = disk / "root"
    options = f"lowerdir=/,upperdir={disk / 'upper'},workdir={disk / 'work'}"
    for name in ("upper", "work", "root"):
        (disk / name).mkdir(exist_ok=True)
    mount("overlay", new, "overlay", options=options)
    mount("proc", new / "proc", "proc")
    mount(str(new / "proc/sys"), new / "proc/sys", flags=MS_BIND)
    mount(str(new / "proc/sys"), new / "proc/sys", flags=MS_BIND | MS_REMOUNT | MS_RDONLY)
    mount("sysfs", new / "sys", "sysfs", MS_RDONLY)
    mount("cgroup2", new / "sys/fs/cgroup", "cgroup2")
    mount("tmpfs", new / "run", "tmpfs", options="mode=755")
    (new / "run/lock").mkdir()
    (new / "run" / BOOT_ID).write_text(f"{uuid.uuid4()}\n")  # the kernel's own does not change
    _devices(new / "dev")
    for path in binds:
        inside = new / path.relative_to("/")
        inside.mkdir(parents=True, exist_ok=True)
        mount(str(path), inside, flags=MS_BIND)
    return new


def _devices(dev: Path) -> None:
    mount("tmpfs", dev, "tmpfs", options="mode=755")
    for name in _DEVICES:
        if Path("/dev", name).exists():
            (dev / name).parent.mkdir(exist_ok=True)
            (dev / name).touch()
            mount(f"/dev/{name}", dev / name, flags=MS_BIND)
    for name, kind in (("pts", "devpts"), ("shm", "tmpfs")):
        (dev / name).mkdir()
        mount(kind, dev / name, kind, options="newinstance,ptmxmode=0666,mode=620" if kind == "devpts" else "")
    (dev / "ptmx").symlink_to("pts/ptmx")
    (dev / "fd").symlink_to("/proc/self/fd")
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        (dev / name).symlink_to(f"/proc/self/fd/{number}")


def _first_boot(root: Path, new: Path, hostname: str) -> None:
    """What belongs to a host of its own; its units are those that the lab gives it."""
    for name, text in etc_files(hostname).items():
        (new / "etc" / name).write_text(text)
    (new / "etc/fstab").write_text("")
    (new / "etc/machine-id").write_text((root / "machine-id").read_text())
    for name in ("generators", "preset"):
        for place in ("etc/systemd", "usr/lib/systemd", "lib/systemd"):
            _empty(new / place / f"system-{name}")
    units = new / "etc/systemd/system"
    _empty(units)
    for name in _MASKED:
        (units / name).symlink_to("/dev/null")
    shutil.copytree(root / "units", units, symlinks=True, dirs_exist_ok=True)
    for name in ("libvirt", "haven"):
        for place in ("etc", "var/lib", "var/log", "var/cache"):
            _empty(new / place / name)
    shutil.copytree(root / "etc/libvirt", new / "etc/libvirt", dirs_exist_ok=True)
    for place in ("opt/haven", "var/log/journal"):  # the journal lasts over reboots only with a folder of its own
        _empty(new / place)


def _empty(folder: Path) -> None:
    if folder.is_symlink() or not folder.parent.is_dir():
        return
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir()


def main() -> None:
    """Entry point; never returns."""
    root, hostname = Path(sys.argv[1]), sys.argv[2]
    socket.sethostname(hostname)
    loopback_up()
    new = _file_system(root, [root, *(Path(word) for word in sys.argv[3:])])
    if not (new / "booted").exists():
        _first_boot(root, new, hostname)
        (new / "booted").touch()
    (new / "old").mkdir(exist_ok=True)
    os.chdir(new)
    if _libc.syscall(_PIVOT_ROOT, b".", b"old") != 0:
        raise OSError(ctypes.get_errno(), "pivot_root")
    os.chdir("/")
    _libc.umount2(b"/old", _MNT_DETACH)
    os.environ.clear()
    os.environ |= {"container": "lab"}
    program = next(path for path in _SYSTEMD if Path(path).exists())
    os.execv(program, [program, "--system", "--show-status=no"])


if __name__ == "__main__":
    main()
