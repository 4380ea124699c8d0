"""kill -9 at random moments: no acknowledged change is lost, and the store opens clean."""

import json
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.store.rig import config, database, opened, put, spawn

ROUNDS = 20


def _until_killed(arguments: tuple[str, ...], after_s: float, after_lines: int = 1) -> list[str]:
    """The lines a child printed before it was killed, `after_s` after the first of them, or the first few."""
    child = spawn(*arguments)
    assert child.stdout
    first = [child.stdout.readline() for _ in range(after_lines)]
    time.sleep(after_s)  # the moment is the test's input, not a wait for a condition
    child.send_signal(signal.SIGKILL)
    rest, _ = child.communicate()
    assert child.returncode == -signal.SIGKILL
    return [*first, *rest.splitlines()]


@pytest.mark.parametrize("what", ["commit_numbers", "reopen_and_commit"])
def test_no_acknowledged_record_is_lost(tmp_path: Path, what: str) -> None:
    random_source = random.Random(what)
    acknowledged = 0
    for number in range(ROUNDS):
        child = (what, str(tmp_path), str(acknowledged + 1))
        # Every other one after two: however slow the machine is, some are killed after more than one commit.
        lines = _until_killed(child, random_source.uniform(0, 0.05), after_lines=1 + number % 2)
        acknowledged = max(int(line) for line in lines)
        store = opened(tmp_path)
        view = store.read()
        kept = sorted(int(number) for number in view.commands())
        assert kept in (list(range(1, acknowledged + 1)), list(range(1, acknowledged + 2)))
        assert (store.notices, store.damaged) == ((), {})
        assert view.revision == len(kept)
        acknowledged = len(kept)
        store.close()
    assert acknowledged > ROUNDS


def test_killed_while_it_restores_a_damaged_store_the_next_start_ends_the_work(tmp_path: Path) -> None:
    random_source = random.Random(3)
    store = opened(tmp_path)
    store.commit(put(store.read(), "config/vm:1", config("vm:1")))
    store.close()
    opened(tmp_path).close()
    incarnations = set()
    for _ in range(ROUNDS):
        database(tmp_path).write_bytes(b"x" * 5000)
        _until_killed(("open_only", str(tmp_path)), random_source.uniform(0, 0.03))
        store = opened(tmp_path)
        assert set(store.read().configs()) == {"vm:1"}
        incarnations.add(store.read().incarnation)
        store.close()
    assert len(incarnations) == ROUNDS


def test_four_processes_add_to_one_counter_and_lose_nothing(tmp_path: Path) -> None:
    opened(tmp_path).close()
    rounds = 50
    children: list[subprocess.Popen[str]] = [spawn("count_up", str(tmp_path), str(rounds)) for _ in range(4)]
    told = [child.communicate(timeout=120)[0] for child in children]
    # Whoever came second was refused by the guard, or waited: nothing else may happen in a crowd.
    assert all(json.loads(outcomes).keys() <= {"Committed", "Refused"} for outcomes in told), told
    store = opened(tmp_path)
    holder = store.read().manager_lock()
    assert holder and holder.holder == str(4 * rounds)
    assert store.read().revision == 4 * rounds
    store.close()
