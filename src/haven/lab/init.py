"""PID 1 of a lab host: `python3 init.py ROOT HOSTNAME CONTROL_FD`, already in its own namespaces.

Makes the host's view of the file system, then reaps. Reaping promptly matters: libvirt waits until a dead
QEMU's zombie is gone, and reports it 1.3 s late instead of 0.2 s below a lazy PID 1.

The control socket is the leash: it says "ready" (or the error) once, and when the other end goes away the host
dies, unless it was told to stay before. Runs as a bare script, so it imports nothing of this room.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import select
import signal
import socket
import struct
import sys
from pathlib import Path

MS_RDONLY = 1
MS_REMOUNT = 32
MS_BIND = 4096
MS_REC = 16384

READY = b"ready"
STAY = b"stay"

_SIDE = Path("/run/lab-host")
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1

# Parents that get a private listing, and in each the folders that are the host's own. /etc and /var stay those of
# the machine in everything else, read-only: nothing inside can write to the machine through them.
OWN_FOLDERS = {
    "/etc": ("libvirt", "haven"),
    "/var/lib": ("libvirt", "haven"),
    "/var/cache": ("libvirt", "haven"),
    "/var/log": ("libvirt", "haven"),
}

# libvirt's QEMU driver refuses to load without these, even when it is told to use root; the packages that create
# them are the ones that also bring services, which a lab does without.
_ACCOUNTS = {
    "passwd": ("libvirt-qemu:x:64055:64055::/nonexistent:/usr/sbin/nologin",),
    "group": ("libvirt-qemu:x:64055:", "kvm:x:64056:"),
}

_libc = ctypes.CDLL(None, use_errno=True)
_libc.mount.argtypes = (ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p)


def mount(source: str, target: Path, kind: str = "", flags: int = 0, options: str = "") -> None:
    """mount(2); OSError with the target's name when it fails."""
    arguments = (
        source.encode(),
        str(target).encode(),
        kind.encode() or None,
        flags,
        options.encode() or None,
    )
    if _libc.mount(*arguments) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"mounting {source} on {target}: {os.strerror(code)}")


def private_run(root: Path) -> None:
    """A /run of the host's own, gone with the host as after a reboot."""
    # The root is bound onto itself first, so that it stays writable when a parent below becomes read-only.
    mount(str(root), root, flags=MS_BIND)
    mount("tmpfs", Path("/run"), "tmpfs", options="mode=755")
    _SIDE.mkdir()


def own_listing(root: Path, parent: str, own: tuple[str, ...], files: dict[str, str]) -> None:
    """Replaces a folder by a private listing: links to the machine's entries, and the host's own in their place.

    A plain bind mount needs its mount point on the machine's real file system, where /var/lib/haven need not
    exist; an overlay cannot be stacked on a container's overlay. Links work everywhere.
    """
    original = _SIDE / parent.strip("/").replace("/", "-")
    original.mkdir()
    mount(parent, original, flags=MS_BIND | MS_REC)
    mount(parent, original, flags=MS_BIND | MS_REMOUNT | MS_RDONLY)
    mount("tmpfs", Path(parent), "tmpfs", options="mode=755")
    for entry in original.iterdir():
        if entry.name not in own and entry.name not in files:
            # A link is copied as it is: a relative one means something only from its own folder.
            target = entry.readlink() if entry.is_symlink() else entry
            (Path(parent) / entry.name).symlink_to(target)
    for name in own:
        folder = Path(parent) / name
        folder.mkdir()
        mount(str(root / parent.strip("/") / name), folder, flags=MS_BIND)
    for name, text in files.items():
        (Path(parent) / name).write_text(text)


def with_accounts(text: str, needed: tuple[str, ...]) -> str:
    """The text of /etc/passwd or /etc/group with the needed lines whose name it does not have yet."""
    known = {line.split(":", 1)[0] for line in text.splitlines()}
    return text + "".join(f"{line}\n" for line in needed if line.split(":", 1)[0] not in known)


def etc_files(hostname: str) -> dict[str, str]:
    """The files of /etc that are the host's own, by name."""
    files = {
        "hostname": f"{hostname}\n",
        "hosts": f"127.0.0.1 localhost\n127.0.1.1 {hostname}\n::1 localhost\n",
    }
    for name, needed in _ACCOUNTS.items():
        files[name] = with_accounts(Path("/etc", name).read_text(), needed)
    return files


def loopback_up() -> None:
    """Brings `lo` up; its addresses come with it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(any_socket, _SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | _IFF_UP))


def become_host(root: Path, hostname: str) -> None:
    """Everything between the bare namespaces and a host on which libvirtd can be started."""
    socket.sethostname(hostname)
    private_run(root)
    files = etc_files(hostname)
    for parent, own in OWN_FOLDERS.items():
        own_listing(root, parent, own, files if parent == "/etc" else {})
    loopback_up()


def reap() -> None:
    """Takes every dead child off the process table, adopted orphans included."""
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return


def serve(control: socket.socket) -> None:
    """Reaps until the leash is dropped; returns when the host has to die."""
    wake_in, wake_out = os.pipe()
    os.set_blocking(wake_out, False)
    os.set_blocking(wake_in, False)
    signal.set_wakeup_fd(wake_out, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    poller = select.poll()
    poller.register(wake_in, select.POLLIN)
    poller.register(control, select.POLLIN)
    stay = False
    reap()
    while True:
        for descriptor, _ in poller.poll():
            if descriptor == wake_in:
                os.read(wake_in, 4096)
                reap()
                continue
            word = control.recv(64)
            stay = stay or word == STAY
            if not word and not stay:
                return
            if not word:
                poller.unregister(control)


def main() -> int:
    """Entry point; the exit status is of no use to anyone, since the namespaces die with it."""
    root, hostname, descriptor = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    control = socket.socket(fileno=descriptor)
    try:
        become_host(root, hostname)
    except OSError as error:
        hint = "; a lab host needs root with CAP_SYS_ADMIN" if error.errno == errno.EPERM else ""
        control.send(f"{error.strerror or error}{hint}".encode())
        return 1
    os.chdir("/")
    control.send(READY)
    serve(control)
    return 0


if __name__ == "__main__":
    sys.exit(main())
