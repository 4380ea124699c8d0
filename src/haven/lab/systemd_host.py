"""A host with systemd as PID 1, libvirtd as one of its units, and guests: where `haven setup` is tried for real.

`systemctl reboot` boots it again with all that was written; it is gone with this object. The files of the machine
are its own, as an overlay: nothing is written to them.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path

from haven.lab.artifacts import project_root
from haven.lab.errors import LabError
from haven.lab.haven_host import HavenHost
from haven.lab.namespaces import wait_for
from haven.lab.systemd_init import BOOT_ID

_BOOT_S = 60.0
_DOWN_S = 120.0
_STOP_S = 30.0
_PR_SET_PDEATHSIG = 1
_GUESTS = ("/usr/lib/libvirt/libvirt-guests.sh", "/usr/libexec/libvirt-guests.sh")

# The tmpfs lives in this shell's mount namespace, and with it from boot to boot. A PID namespace whose PID 1 asks
# for a reboot ends by SIGHUP (reboot(2)), one that powers off by SIGINT.
_POWER = """
mount -t tmpfs -o mode=755 tmpfs "$0/disk" || exit 1
while :; do
    setpriv --pdeathsig KILL unshare -muipnfC --kill-child=SIGKILL --propagation private "$@"
    [ $? = 129 ] || exit 0
done
"""

_TARGET = """[Unit]
Description=All that this host runs
Requires=basic.target
After=basic.target
AllowIsolate=yes
"""
_LIBVIRTD = """[Unit]
Description=libvirtd, as its package would have it
# libvirtd ends when the system bus does.
After=dbus.service
Before=libvirt-guests.service

[Service]
Type=notify
ExecStart=/usr/sbin/libvirtd -f /etc/libvirt/libvirtd.conf
KillMode=process
Restart=on-failure

[Install]
WantedBy=multi-user.target
"""
_LIBVIRT_GUESTS = """[Unit]
Description=Stops the guests when the host goes down, as libvirt's package would have it
After=libvirtd.service

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart={program} start
ExecStop={program} stop
TimeoutStopSec=0

[Install]
WantedBy=multi-user.target
"""


def why_no_systemd() -> str:
    """Why such a host cannot be made here; empty if it can."""
    if not any(Path(path).exists() for path in ("/usr/lib/systemd/systemd", "/lib/systemd/systemd")):
        return "systemd is not installed (apt install systemd)"
    group = cgroup_mount()
    if group is None:
        return "no cgroup2 is mounted here, and systemd needs one"
    if not os.access(group, os.W_OK):
        return f"{group} cannot be written, and systemd needs that"
    return ""


def guests_program() -> str | None:
    """libvirt's script that stops the guests; None if it is not installed."""
    return next((path for path in _GUESTS if Path(path).exists()), None)


def cgroup_mount() -> Path | None:
    """Where the unified hierarchy of control groups is."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        left, _, right = line.partition(" - ")
        if right.startswith("cgroup2 "):
            return Path(left.split()[4])
    return None


class SystemdHost(HavenHost):
    """See the module. Programs are run as a person would have them run: by their names, without this checkout."""

    def prepare(self) -> None:
        """Units and configuration of the first boot."""
        super().prepare()
        for name in ("disk", "units", "units/multi-user.target.wants", "units/service.d"):
            (self.root / name).mkdir(exist_ok=True)
        (self.root / "machine-id").write_text(f"{uuid.uuid4().hex}\n")
        units = {"multi-user.target": _TARGET, "libvirtd.service": _LIBVIRTD}
        if program := guests_program():
            units["libvirt-guests.service"] = _LIBVIRT_GUESTS.format(program=program)
        for name, text in units.items():
            (self.root / "units" / name).write_text(text)
        for name in units.keys() - {"multi-user.target"}:
            link = self.root / "units/multi-user.target.wants" / name
            link.unlink(missing_ok=True)
            link.symlink_to(f"../{name}")
        boot = f"[Service]\nEnvironment=HAVEN_BOOT_ID_FILE=/run/{BOOT_ID}\n"
        (self.root / "units/service.d/boot.conf").write_text(boot)
        default = self.root / "units/default.target"
        default.unlink(missing_ok=True)
        default.symlink_to("multi-user.target")

    def start_services(self) -> None:
        """systemd starts them; here it is waited for."""
        self.wait_booted()

    @property
    def init_pid(self) -> int:
        """The outer pid of systemd; LabError while the host is down."""
        holder = self._holder
        unshare = _child(holder.pid) if holder else None
        init = _child(unshare) if unshare else None
        if init is None:
            raise LabError(f"the host in {self.root} is not up")
        return init

    def environment(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """A root shell's."""
        path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        return super().environment(
            {"PATH": path, "HOME": "/root", "SYSTEMD_PAGER": "", "COLUMNS": "120"} | dict(extra or {})
        )

    def shell(self, line: str, timeout_s: float = 60.0) -> subprocess.CompletedProcess[str]:
        """What a person types, word for word."""
        return self.run(["bash", "-c", line], timeout_s)

    def boot(self) -> int | None:
        """Which boot this is, by systemd's outer pid; None while the host is down."""
        try:
            return self.init_pid
        except LabError:
            return None

    def wait_booted(self, before: int | None = None) -> float:
        """Until systemd has started all of a boot other than `before`; the seconds waited."""

        def up() -> bool:
            if self.boot() in (None, before):
                return False
            try:
                said = self.run(["systemctl", "is-system-running"], 10.0).stdout.strip()
            except LabError:
                return False
            return said in ("running", "degraded")

        return self.wait_for(up, _DOWN_S if before else _BOOT_S, "systemd's boot")

    def reboot(self) -> float:
        """`systemctl reboot`, until everything runs again; the seconds that took."""
        before = self.boot()
        self.shell("systemctl reboot")
        return self.wait_booted(before)

    def stop(self) -> None:
        """Ends the host as a power cut does."""
        if self._holder is not None:
            self._holder.kill()
        super().stop()
        _remove_groups(self.group)

    def power_cut(self) -> None:
        """It does not come up again: its disk is gone with its power."""
        self._forget()

    def _boot(self, lock: int) -> None:
        binds = [
            path
            for path in (project_root(), Path(sys.base_prefix))
            if path.stat().st_dev != Path("/").stat().st_dev
        ]
        program = [sys.executable, "-S", "-m", "haven.lab.systemd_init"]
        words = [*program, str(self.root), self.hostname, *(str(path) for path in binds)]
        group = self.group
        group.mkdir(exist_ok=True)

        def prepare() -> None:
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            (group / "cgroup.procs").write_text(str(os.getpid()))

        with (self.root / "log/init.log").open("wb") as log:
            self._holder = subprocess.Popen(
                ["unshare", "-m", "--propagation", "private", "sh", "-c", _POWER, str(self.root), *words],
                env={"PATH": os.environ["PATH"], "PYTHONPATH": str(project_root() / "src")},
                pass_fds=(lock,),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=prepare,
                start_new_session=True,
            )

    @property
    def group(self) -> Path:
        """The control group that this host takes for its root."""
        mount = cgroup_mount()
        assert mount is not None  # why_no_systemd was asked
        return mount / f"haven-lab-{os.getpid()}-{self.root.name}"


def _child(pid: int) -> int | None:
    try:
        words = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return None
    return int(words[0]) if words else None


def _remove_groups(top: Path) -> None:
    """Control groups go from the leaves up, once the last process in them has died."""
    if not top.exists():
        return
    events = top / "cgroup.events"
    wait_for(lambda: "populated 0" in events.read_text(), _STOP_S, f"the end of every process in {top}")
    for folder, _, _ in os.walk(top, topdown=False):
        Path(folder).rmdir()


def copy_checkout(target: Path) -> None:
    """A checkout of haven that a test can change."""
    project = project_root()
    for name in ("src", "requirements"):
        shutil.copytree(project / name, target / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copyfile(project / name, target / name)
