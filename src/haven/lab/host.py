"""A private host with its own libvirtd on this machine, for real guests that nobody will miss.

Needs root with CAP_SYS_ADMIN and CAP_NET_ADMIN. Inside, libvirt answers at its ordinary place
(``qemu:///system``), and /etc/haven, /var/lib/haven, /var/log/haven, /run are the host's own. The machine's
libvirt and state are out of its reach.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import uuid
from pathlib import Path

from haven.lab import guest, namespaces
from haven.lab.errors import LabError
from haven.lab.guest import GuestArtifacts
from haven.lab.machine import Machine

DISK_BYTES = 8 * 1024 * 1024
_ANSWER_S = 30.0
_LOG_TAIL_CHARACTERS = 2000
_UUIDS = uuid.UUID("0b6f3f6e-6a0e-4e0c-9d5c-6861766e0002")

_LIBVIRTD_CONF = """# Written by the lab. No polkit and no dbus here: the socket itself is the permission.
auth_unix_ro = "none"
auth_unix_rw = "none"
host_uuid = "{host_uuid}"
"""

_QEMU_CONF = """# Written by the lab. Several hosts share this machine's users, cgroups and security modules.
user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
security_driver = "none"
cgroup_controllers = [ ]
namespaces = [ ]
stdio_handler = "file"
"""


class LabHost(Machine):
    """One private host with libvirtd; see `Machine` for its life.

    Processes are named by their pids outside, which is where they are killed from.
    """

    def prepare(self) -> None:
        """The host's folders and libvirt's configuration."""
        super().prepare()
        folder = self.root / "etc/libvirt"
        host_uuid = uuid.uuid5(_UUIDS, f"{self.root}/{self.hostname}")
        (folder / "libvirtd.conf").write_text(_LIBVIRTD_CONF.format(host_uuid=host_uuid))
        (folder / "qemu.conf").write_text(_QEMU_CONF)

    def start_services(self) -> None:
        """libvirtd."""
        self.libvirtd_start()

    # -- libvirtd --------------------------------------------------------------------------------------------

    @property
    def libvirt_uri(self) -> str:
        """How a client outside reaches the host's libvirtd; inside it is plain qemu:///system."""
        return f"qemu:///system?socket={self.run_dir}/libvirt/libvirt-sock"

    @property
    def libvirtd_pid(self) -> int | None:
        """libvirtd's outer pid, or None if it is not running."""
        return self.outer_pid(self.run_dir / "libvirtd.pid")

    def libvirtd_start(self) -> None:
        """Starts libvirtd and returns when it answers; LabError with its last words if it does not."""
        log = self.root / "log/libvirtd.log"
        process = self.spawn(["libvirtd", "-f", "/etc/libvirt/libvirtd.conf"], log)
        # The socket accepts before the drivers are loaded, and a driver can still fail: ask for an answer.
        self.wait_for(lambda: not process.running or self._libvirt_answers(), _ANSWER_S, "libvirtd's first answer")
        if not process.running:
            said = log.read_text()[-_LOG_TAIL_CHARACTERS:]
            raise LabError(f"libvirtd ended with status {process.returncode}; see {log}", said)

    def libvirtd_kill(self, sig: signal.Signals = signal.SIGKILL) -> None:
        """Kills libvirtd and waits for its end; the VMs live on. Nothing starts it again by itself."""
        pid = self.libvirtd_pid
        if pid is None:
            raise LabError("libvirtd is not running")
        os.kill(pid, sig)
        self.wait_for(lambda: not Path(f"/proc/{pid}").exists(), _ANSWER_S, "the end of libvirtd")

    def _libvirt_answers(self) -> bool:
        socket_is_there = (self.run_dir / "libvirt/libvirt-sock").exists()
        return socket_is_there and self.run(["virsh", "-q", "list"]).returncode == 0

    def virsh(self, *words: str, timeout_s: float = 60.0) -> str:
        """The output of a virsh command inside; LabError with its complaint if it fails."""
        done = self.run(["virsh", "-q", *words], timeout_s)
        if done.returncode != 0:
            raise LabError(f"virsh {' '.join(words)} failed: {done.stderr.strip()}")
        return done.stdout.strip()

    # -- guests ----------------------------------------------------------------------------------------------

    def define(self, xml: str) -> None:
        """Defines a domain from its XML, or changes the one of the same name and UUID."""
        draft = self.root / "log/defined.xml"
        draft.write_text(xml)
        self.virsh("define", str(draft))

    def define_guest(
        self,
        name: str,
        artifacts: GuestArtifacts,
        *,
        on_crash: str = "destroy",
        memory_mib: int = guest.MEMORY_MIB,
        cable: bool = False,
    ) -> None:
        """Defines a real guest with a disk of its own; it is not started."""
        disk = self.guest_disk(name)
        disk.parent.mkdir(parents=True, exist_ok=True)
        with disk.open("ab") as image:
            image.truncate(DISK_BYTES)
        console = self.console_log(name)
        self.define(
            guest.domain_xml(
                name, artifacts, console, disk=disk, memory_mib=memory_mib, on_crash=on_crash, cable=cable
            )
        )

    def guest_disk(self, name: str) -> Path:
        """Where the guest's disk image is; a scene moves it away and back."""
        return self.root / "guests" / name / "disk.raw"

    def console_log(self, name: str) -> Path:
        """The file of the guest's serial console; each start appends to it."""
        return self.root / "guests" / name / "console.log"

    def start_guest(self, name: str) -> None:
        """Starts a defined guest as any libvirt client would; returns when QEMU runs, not the guest's userland."""
        self.virsh("start", name)

    def guest_state(self, name: str) -> str:
        """libvirt's word for the guest's state: "running", "shut off", "paused", "crashed" …"""
        return self.virsh("domstate", name)

    def guest_console(self, name: str) -> str:
        """All that the guest has printed on its console, over all its starts."""
        try:
            return self.console_log(name).read_text(errors="replace")
        except FileNotFoundError:
            return ""

    def guest_boots(self, name: str) -> int:
        """How many times the guest's userland has come up."""
        return self.guest_console(name).count(guest.UP_LINE)

    def wait_guest_up(self, name: str, boots: int = 1, timeout_s: float = 90.0) -> float:
        """Waits until the guest's userland has come up ``boots`` times in all; returns the seconds waited."""
        what = f"{name}'s userland, boot {boots}"
        return self.wait_for(lambda: self.guest_boots(name) >= boots, timeout_s, what)

    def guest_exec(self, name: str, *argv: str, timeout_s: float = 30.0) -> None:
        """Runs a program in the guest through its agent, without waiting for its end.

        `poweroff`, `reboot`, and `sh -c 'echo c > /proc/sysrq-trigger'` for a kernel panic. LabError if the agent
        has not answered by the timeout: it opens its port a moment after the guest says that it is up.
        """
        order = {"execute": "guest-exec", "arguments": {"path": argv[0], "arg": list(argv[1:])}}
        self.wait_for(lambda: self.agent_answers(name), timeout_s, f"the agent of {name}")
        try:
            self.virsh("qemu-agent-command", name, json.dumps(order), "--timeout", "5")
        except LabError as error:
            # What ends the guest can end the agent before it has confirmed the order.
            if "agent disappeared" not in str(error):
                raise

    def agent_answers(self, name: str) -> bool:
        """Whether the agent in the guest answers a ping within a second."""
        ping = json.dumps({"execute": "guest-ping"})
        return self.run(["virsh", "-q", "qemu-agent-command", name, ping, "--timeout", "1"]).returncode == 0

    # -- QEMU ------------------------------------------------------------------------------------------------

    def qemu_pid(self, name: str) -> int | None:
        """The outer pid of the guest's QEMU, the one to signal from here; None if it does not run."""
        return self.outer_pid(self.run_dir / "libvirt/qemu" / f"{name}.pid")

    def kill_qemu(self, name: str, sig: signal.Signals = signal.SIGKILL) -> int:
        """Sends a signal to the guest's QEMU and returns its pid; LabError if there is none."""
        pid = self.qemu_pid(name)
        if pid is None:
            raise LabError(f"{name} has no running QEMU to kill")
        os.kill(pid, sig)
        return pid


def _up(options: argparse.Namespace) -> int:
    """Starts a host; stays with it until a signal, or lets it live on."""
    end_signals = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, end_signals)
    with LabHost(options.root, options.hostname) as host:
        print(f"{host.hostname} is up in {host.root}; {_ways_in(host)}", flush=True)
        if options.stay:
            host.leave_running()
            return 0
        signal.sigwait(end_signals)
    return 0


def _ways_in(host: LabHost) -> str:
    return f"look around with: {sys.executable} -m haven.lab.host exec --root {host.root} -- virsh list --all"


def _exec(options: argparse.Namespace) -> int:
    """Becomes a command inside the host, on this terminal."""
    host = LabHost(options.root)
    command = options.command or ["sh"]
    os.execvpe("nsenter", [*namespaces.enter_command(host.init_pid), *command], host.environment())


def _down(options: argparse.Namespace) -> int:
    """Ends a host that was left running."""
    host = LabHost(options.root)
    print(f"ending the host in {host.root} (pid {host.init_pid})")
    host.stop()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="haven.lab.host", description="A private host on this machine.")
    commands = parser.add_subparsers(required=True)
    for name, function in (("up", _up), ("exec", _exec), ("down", _down)):
        command = commands.add_parser(name, help=function.__doc__)
        command.add_argument("--root", type=Path, required=True, help="the folder of the host")
        command.set_defaults(function=function)
        if name == "up":
            command.add_argument("--hostname", default="pve", help="its name (default: pve)")
            command.add_argument("--stay", action="store_true", help="leave it running and return")
        if name == "exec":
            command.add_argument("command", nargs="*", help="what to run inside (default: a shell)")
    return parser


def main(argv: list[str]) -> int:
    """`python -m haven.lab.host up|exec|down --root DIR`; the exit status."""
    options = _parser().parse_args(argv)
    try:
        return int(options.function(options))
    except LabError as error:
        print(f"haven lab: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
