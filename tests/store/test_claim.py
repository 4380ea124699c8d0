"""One daemon of a kind per host."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from haven.store.claim import claim_daemon
from haven.store.protocol import StoreError

HOLD = "import sys, time, pathlib; from haven.store.claim import claim_daemon; \
c = claim_daemon(pathlib.Path(sys.argv[1]), 'lrm'); print('held', flush=True); time.sleep(60)"


def test_a_second_daemon_is_told_who_runs_already(tmp_path: Path) -> None:
    claim = claim_daemon(tmp_path, "lrm")
    with pytest.raises(StoreError, match=rf"haven lrm already runs on this host \(pid {os.getpid()}\): "):
        claim_daemon(tmp_path, "lrm")
    claim_daemon(tmp_path, "crm").release()
    claim.release()
    claim_daemon(tmp_path, "lrm").release()


def test_a_killed_daemon_holds_nothing(tmp_path: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout and holder.stdout.readline() == "held\n"
    with pytest.raises(StoreError, match=rf"pid {holder.pid}"):
        claim_daemon(tmp_path, "lrm")
    holder.kill()
    holder.communicate()
    claim_daemon(tmp_path, "lrm").release()
