"""`haven up`: all of haven's processes in the foreground, each brought back when it dies.

Small on purpose: it opens no store and talks to no hypervisor, so that nothing but a signal ends it.
"""

import logging
import os
import select
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from haven.daemons.logs import set_up_logging
from haven.store.claim import claim_daemon
from haven.store.protocol import StoreError

log = logging.getLogger("haven.up")

PROCESSES = ("lrm", "crm", "api")
BACKOFF_S = (0.0, 0.2, 1.0, 2.0)
CALM_S = 60.0
"""A process that ran this long is brought back at once again."""
LOOK_S = 5.0
"""The processes are looked at so often even when no signal came."""
POLL_S = 0.1
STOP_S = 5.0
PR_SET_PDEATHSIG = 1
HEAPS = {"MALLOC_ARENA_MAX": "1", "MALLOC_TRIM_THRESHOLD_": "65536", "MALLOC_MMAP_THRESHOLD_": "65536"}
"""Of glibc, see mallopt(3): else up to 8 heaps for each core, one for each thread that waits for libvirt; and what
a busy minute took is given back."""
CANNOT_START = 78
"""EX_CONFIG of sysexits.h: trying again will not help."""


@dataclass(slots=True)
class Child:
    """One process of haven and its deaths in a row."""

    name: str
    process: subprocess.Popen[bytes] | None = None
    started_s: float = 0.0
    start_at_s: float = 0.0
    deaths: int = 0
    hopeless: bool = False
    """It said itself, in one line, why it cannot start."""


@dataclass(slots=True)
class Supervisor:
    """Keeps the processes running until told to stop."""

    children: list[Child] = field(default_factory=lambda: [Child(name) for name in PROCESSES])
    stopping: bool = False

    def run(self, greeting: subprocess.Popen[bytes]) -> int:
        """Until SIGTERM or SIGINT; exit status 0, or CANNOT_START when a process says that it cannot."""
        heard = _signals_heard()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stop)
        while not self.stopping:
            for child in self.children:
                self._keep(child)
            if greeting.poll() is None and any(child.hopeless for child in self.children):
                self._end_all(greeting)
                return CANNOT_START
            self._wait(heard)
        self._end_all(greeting)
        return 0

    def _wait(self, heard: int) -> None:
        """Until a signal (a child's death is one), or until one that died is to be started again."""
        next_s = min((child.start_at_s for child in self.children if not child.process), default=float("inf"))
        if select.select([heard], [], [], min(max(next_s - time.monotonic(), 0.0), LOOK_S))[0]:
            os.read(heard, 4096)

    def _stop(self, _number: int, _frame: object) -> None:
        self.stopping = True

    def _keep(self, child: Child) -> None:
        now_s = time.monotonic()
        if child.process and child.process.poll() is not None:
            child.hopeless = child.process.returncode == CANNOT_START
            child.deaths = 1 if now_s - child.started_s > CALM_S else child.deaths + 1
            pause_s = BACKOFF_S[min(child.deaths - 1, len(BACKOFF_S) - 1)]
            if not child.hopeless:
                when = f"in {pause_s:g} s" if pause_s else "at once"
                how = _how(child.process.returncode)
                log.warning("haven %s ended (%s); started again %s", child.name, how, when)
            child.process, child.start_at_s = None, now_s + pause_s
        if child.process is None and now_s >= child.start_at_s:
            self._start(child, now_s)

    def _start(self, child: Child, now_s: float) -> None:
        try:
            child.process, child.started_s = _spawn("haven", child.name), now_s
        except (OSError, subprocess.SubprocessError) as error:  # no memory, or no process to be had, just now
            child.start_at_s = now_s + BACKOFF_S[-1]
            log.warning(
                "haven %s cannot be started now: %s; tried again in %g s", child.name, error, BACKOFF_S[-1]
            )

    def _end_all(self, greeting: subprocess.Popen[bytes]) -> None:
        """Ask each to end, then insist. The API goes first, so that nobody is told half of it."""
        running = [greeting, *(child.process for child in reversed(self.children) if child.process)]
        for process in running:
            process.terminate()
        deadline_s = time.monotonic() + STOP_S
        for process in running:
            try:
                process.wait(max(deadline_s - time.monotonic(), 0.0))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def up() -> int:
    """Run everything, by haven.toml. Raises StoreError as `run_up` does."""
    try:
        asked = subprocess.run(
            [sys.executable, "-P", "-m", "haven.up_settings"], stdout=subprocess.PIPE, text=True
        )
    except OSError as error:
        raise StoreError(f"cannot start {sys.executable}: {error.strerror}; is it run by root?") from error
    if asked.returncode:  # it has said why
        return asked.returncode
    run_dir, log_level = asked.stdout.splitlines()
    return run_up(Path(run_dir), log_level)


def run_up(run_dir: Path, log_level: str) -> int:
    """Run everything. Raises StoreError when another `haven up`, or what systemd started, runs on this host."""
    set_up_logging(log_level)
    claim = claim_daemon(run_dir, "up")
    try:
        _wait_for_those_before(run_dir)
        return Supervisor().run(_spawn("haven.greeting", str(run_dir / "api.sock")))
    finally:
        claim.release()


def _wait_for_those_before(run_dir: Path) -> None:
    """The processes of a `haven up` that was killed end by themselves. Raises StoreError for one that stays."""
    deadline_s = time.monotonic() + STOP_S
    for name in PROCESSES:
        while True:
            try:
                claim_daemon(run_dir, name).release()
                break
            except StoreError:
                if time.monotonic() > deadline_s:
                    raise
                time.sleep(POLL_S)


def _signals_heard() -> int:
    """A descriptor that can be read when a signal came, whenever it came: none is missed before a wait."""
    heard, told = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    signal.set_wakeup_fd(told, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)  # one that is ignored is not told
    return heard


def _spawn(module: str, word: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        # -P: root may stand in anybody's folder, and no module is to be taken from there.
        [sys.executable, "-P", "-m", module, word],
        stdin=subprocess.DEVNULL,
        env=HEAPS | os.environ,
        preexec_fn=_die_with_parent,
    )


def _die_with_parent() -> None:
    """In the child: no orphans when `haven up` is killed. Ctrl-C reaches the supervisor only."""
    import ctypes  # there only: it would stay in the supervisor

    os.setpgid(0, 0)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _how(returncode: int) -> str:
    return f"killed by signal {-returncode}" if returncode < 0 else f"exit status {returncode}"
