"""Tasks: UPIDs that clients can parse, logs, listings, bounded memory."""

import threading

import pytest

from haven.api.errors import failed
from haven.api.tasks import MAX_LOG_LINES, MAX_TASKS, Log, Task, TaskBook
from tests.api.world import NODE, World

TASKS = f"/nodes/{NODE}/tasks"


def finish(book: TaskBook, upid: str) -> Task:
    """Wait for the thread of a task."""
    for thread in threading.enumerate():
        if thread.name.startswith("test-"):
            thread.join(10)
    task = book.find(upid)
    assert task.status is not None
    return task


def test_status_and_log_follow_a_task_from_its_begin_to_its_end(world: World) -> None:
    go_on, logged = threading.Event(), threading.Event()

    def work(log: Log) -> None:
        log("begun")
        logged.set()
        assert go_on.wait(10)

    upid = world.state.tasks.start("qmstart", "102", "root@pam", work)
    assert logged.wait(10)
    assert world.api.get(f"{TASKS}/{upid}/status")["status"] == "running"
    assert "exitstatus" not in world.api.get(f"{TASKS}/{upid}/status")
    assert world.api.get(f"{TASKS}/{upid}/log") == [{"n": 1, "t": "begun"}]
    assert [task["status"] for task in world.api.get(TASKS, source="active")] == ["RUNNING"]
    assert world.api.get(TASKS) == []
    go_on.set()
    assert world.finished(upid) == "OK"
    assert world.api.get(f"{TASKS}/{upid}/log") == [{"n": 1, "t": "begun"}, {"n": 2, "t": "TASK OK"}]
    assert world.api.get(f"{TASKS}/{upid}/log", start=1, limit=0) == [{"n": 2, "t": "TASK OK"}]
    [entry] = world.api.get("/cluster/tasks")
    assert (entry["upid"], entry["type"], entry["id"], entry["user"], entry["status"]) == (
        upid, "qmstart", "102", "root@pam", "OK",
    )  # fmt: skip
    assert entry["endtime"] >= entry["starttime"]


def test_a_task_without_output_logs_that(world: World) -> None:
    hold = threading.Event()
    upid = world.state.tasks.start("qmstart", "102", "root@pam", lambda _log: assert_true(hold.wait(10)))
    assert world.api.get(f"{TASKS}/{upid}/log") == [{"n": 1, "t": "no content"}]
    hold.set()
    assert world.finished(upid) == "OK"


def assert_true(value: bool) -> None:
    assert value


def test_listings_are_filtered_and_paged(world: World) -> None:
    def refuse(_log: Log) -> None:
        raise failed("no")

    for vmid, work in (("101", lambda _log: None), ("102", refuse), ("103", lambda _log: None)):
        world.finished(world.state.tasks.start("qmstart", vmid, "root@pam", work))

    def ids(**filters: str | int) -> list[str]:
        return [task["id"] for task in world.api.get(TASKS, **filters)]

    assert ids() == ["103", "102", "101"]
    assert ids(start=1, limit=1) == ["102"]
    assert ids(vmid=101) == ["101"]
    assert ids(errors=1) == ids(statusfilter="error,warning") == ["102"]
    assert ids(typefilter="qmst") == ["103", "102", "101"]
    assert ids(typefilter="hastop") == ids(userfilter="bob") == ids(source="active") == []
    assert ids(source="all", statusfilter="ok") == ["103", "101"]


def test_a_bug_in_a_task_is_an_error_of_the_task() -> None:
    book = TaskBook(NODE)

    def bug(_log: Log) -> None:
        raise KeyError("bug")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threading, "excepthook", lambda _: None)
        task = finish(book, book.start("test", "1", "root@pam", bug))
    assert task.log() == ["TASK ERROR: unexpected error: see haven's log"]


def test_memory_is_bounded() -> None:
    book = TaskBook(NODE)

    def chatty(log: Log) -> None:
        for number in range(MAX_LOG_LINES + 5):
            log(f"line {number}")

    first = book.start("test", "1", "root@pam", chatty)
    assert len(finish(book, first).lines) == MAX_LOG_LINES
    for number in range(MAX_TASKS):
        finish(book, book.start("test", str(number), "root@pam", lambda _log: None))
    assert len(book.newest_first()) == MAX_TASKS
    assert first not in {task.upid for task in book.newest_first()}
