"""Case files of every kind: recognised by what is in them, exact or not, or bad."""

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from haven.core.words import ServiceState
from haven.sim.cases import CaseFileError, read_case, run_cases
from haven.sim.conformance import run_case
from haven.sim.told import Told
from tests.shared import cases, needs_cases

Json = dict[str, Any]

KINDS = ("selection", "bundle", "scheduler", "rules", "fence")

NODES = [
    {"name": "node1", "cpu": 8, "maxcpu": 16, "mem": 8, "maxmem": 16},
    {"name": "node2", "cpu": 0, "maxcpu": 16, "mem": 0, "maxmem": 16},
]
BUNDLE = {
    "inputs": {"service_status": {"vm:101": {"state": "started", "node": "n"}}, "positive_affinity": {}},
    "expected": {"bundles_by_leader": {"vm:101": ["vm:101"]}},
}
SELECTION = {
    "inputs": {
        "sid": "vm:101",
        "nodes": ["node1", "node2"],
        "scheduler": "basic",
        "rules": [],
        "service_config": {"node": "node1"},
        "service_status": {"node": "node1"},
    },
    "steps": [
        {"op": "select", "preference": "try-next", "expect": "node2"},
        {"op": "remove_node", "node": "node2"},
        {"op": "remove_node", "node": "node1"},
        {"op": "select", "preference": "none", "expect": None},
        {"op": "add_node", "node": "node1"},
        {"op": "select", "preference": "none", "expect": "node1"},
    ],
}
SCHEDULER = {
    "inputs": {"nodes": NODES},
    "expected": {
        "imbalance": 1.0,
        "start_order_best_first": [{"resource": {"maxcpu": 1, "maxmem": 1}, "order": ["node2", "node1"]}],
        "balancing": {
            "candidates": [
                {"sid": f"vm:{n}", "source": "node1", "target": "node2", "stats": {"cpu": n, "mem": n}}
                for n in (1, 4)
            ],
            "bruteforce_order_of_targets": ["node2", "node2"],
            "topsis_order_of_targets": ["node2", "node2"],
        },
    },
}
TRIVIAL = {"expected": [{"nodes": [], "imbalance": 0.0}, {"nodes": NODES, "imbalance": 1.0}]}
RUN: Json = {
    "inputs": {
        "hardware_status": {"node1": {"power": "off", "network": "off"}},
        "manager_status": {},
        "service_config": {},
        "cmdlist": [],
    },
    "expected": [],
}
RULES = {
    "inputs": {"nodes": ["node1"], "rules": []},
    "expected": {
        "messages": [],
        "rules_after": {},
        "order_after": {},
        "compiled": {"node_affinity": {}, "resource_affinity": {"positive": {}, "negative": {}}},
    },
}
FENCE = {"inputs": {"nodes": ["node1"], "config": []}, "expected": {"commands_per_try": [{"node1": []}]}}
EVERY = {
    "bundle": BUNDLE,
    "selection": SELECTION,
    "scheduler": SCHEDULER,
    "scheduler of many": TRIVIAL,
    "rules": RULES,
    "fence": FENCE,
}


@pytest.fixture
def write(tmp_path: Path) -> Callable[[object], Path]:
    def writing(content: object) -> Path:
        path = tmp_path / f"case{len(list(tmp_path.iterdir()))}.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return writing


Write = Callable[[object], Path]


def changed(case: Json, value: object, *path: str | int) -> Json:
    """The case with one value in it changed."""
    result = copy.deepcopy(case)
    at: Any = result
    for name in path[:-1]:
        at = at[name]
    at[path[-1]] = value
    return result


@needs_cases
@pytest.mark.parametrize("kind", KINDS)
def test_all_given_cases_of_a_kind_are_exact(kind: str) -> None:
    paths = cases(f"{kind}_cases")
    lines, all_ok = run_cases(paths)
    assert all_ok, "\n".join(lines)
    assert [line.split()[:2] for line in lines] == [["ok", kind]] * len(paths)
    assert paths


@pytest.mark.parametrize("name", EVERY)
def test_every_kind_is_recognised_by_what_is_in_it(name: str, write: Write) -> None:
    path = write(EVERY[name])
    assert run_cases([path]) == ([f"ok   {name.split()[0]:<10} {path}"], True)


def test_a_whole_run_is_exact_when_the_same_events_come(write: Write) -> None:
    told: list[Told] = []
    run_case(json.dumps(RUN), told.append)
    events = [one.as_dict() for one in told]
    assert events
    exact, fewer = write({**RUN, "expected": events}), write({**RUN, "expected": events[:-1]})
    assert run_cases([exact]) == ([f"ok   run        {exact}"], True)
    assert not run_cases([fewer])[1]


@pytest.mark.parametrize(
    "bad",
    [
        changed(RUN, [["jump node1"]], "inputs", "cmdlist"),
        changed(RUN, [["power node9 on"]], "inputs", "cmdlist"),
        changed(RUN, "burning", "inputs", "hardware_status", "node1", "power"),
    ],
)
def test_a_whole_run_that_cannot_be_is_named(bad: Json, write: Write) -> None:
    path = write(bad)
    with pytest.raises(CaseFileError, match=f"^{path}: ") as caught:
        run_cases([path])
    assert "\n" not in str(caught.value)


WRONG = {
    "bundle of vm:101: expected ['vm:101', 'vm:102'], got ['vm:101']": changed(
        BUNDLE, ["vm:101", "vm:102"], "expected", "bundles_by_leader", "vm:101"
    ),
    "bundle of vm:102: expected ['vm:102'], got None": changed(
        BUNDLE, ["vm:102"], "expected", "bundles_by_leader", "vm:102"
    ),
    "step 1: expected node1, got node2": changed(SELECTION, "node1", "steps", 0, "expect"),
    "step 4: expected node1, got None": changed(SELECTION, "node1", "steps", 3, "expect"),
    "imbalance of 2 nodes: expected 1.1, got 1.0": changed(SCHEDULER, 1.1, "expected", "imbalance"),
    "imbalance of 2 nodes: expected 0.9, got 1.0": changed(TRIVIAL, 0.9, "expected", 1, "imbalance"),
    "start of {'maxcpu': 1, 'maxmem': 1}: expected ['node1'], got ['node2', 'node1']": changed(
        SCHEDULER, ["node1"], "expected", "start_order_best_first", 0, "order"
    ),
    "moves by bruteforce: expected [], got ['node2', 'node2']": changed(
        SCHEDULER, [], "expected", "balancing", "bruteforce_order_of_targets"
    ),
    "moves by topsis: expected [], got ['node2', 'node2']": changed(
        SCHEDULER, [], "expected", "balancing", "topsis_order_of_targets"
    ),
}


@pytest.mark.parametrize("text", WRONG)
def test_what_differs_is_told_in_the_line_of_the_file(text: str, write: Write) -> None:
    lines, all_ok = run_cases([write(BUNDLE), path := write(WRONG[text]), write(BUNDLE)])
    assert lines[1].startswith("FAIL ") and lines[1].endswith(f"{path}: {text}")
    assert [line[:4] for line in lines] == ["ok  ", "FAIL", "ok  "]
    assert not all_ok


def test_a_name_of_two_lines_stays_in_the_line_of_its_file(write: Write) -> None:
    (line,), _ = run_cases([write(changed(BUNDLE, [], "expected", "bundles_by_leader", "vm:1\n02"))])
    assert line.endswith("bundle of vm:1\\n02: expected [], got None")


def test_moves_that_leave_the_same_imbalance_but_for_rounding_are_in_order_of_leader(write: Write) -> None:
    """Three nodes with 1.1, 0.4 and 0.4: it makes no difference to which of the other two one moves."""
    shares = {"node1": 1.1, "node2": 0.4, "node3": 0.4}
    nodes = [{"name": n, "cpu": share, "maxcpu": 1, "mem": 0, "maxmem": 1} for n, share in shares.items()]
    stats = {"cpu": 0.3, "mem": 0}
    candidates = [
        {"sid": "vm:1", "source": "node1", "target": target, "stats": stats} for target in ("node3", "node2")
    ]
    order = ["node2", "node3"]
    balancing: Json = {"candidates": candidates}
    balancing |= {f"{method}_order_of_targets": order for method in ("bruteforce", "topsis")}
    path = write({"inputs": {"nodes": nodes}, "expected": {"balancing": balancing}})
    assert run_cases([path]) == ([f"ok   scheduler  {path}"], True)


def test_of_many_differences_the_first_are_told_and_the_rest_counted(write: Write) -> None:
    wrong = changed(BUNDLE, {f"vm:{n}": [] for n in range(201, 206)}, "expected", "bundles_by_leader")
    (line,), _ = run_cases([write(wrong)])
    assert line.count("bundle of") == 3
    assert line.endswith("; and 3 more")


BAD = {
    ":2: not valid JSON: Expecting value": '{\n"inputs": }',
    ": a case is a JSON object, this is a list": [],
    ": not a case of any known kind (run, selection, bundle, rules, fence, scheduler): it has nothing in it": {},
    ": not a case of any known kind (run, selection, bundle, rules, fence, scheduler): it has colour": {
        "colour": 1
    },
    ": not a complete selection case: 'scheduler' is missing or unknown": {
        "inputs": {
            "sid": "vm:101",
            "nodes": [],
            "rules": [],
            "service_config": {"node": "n"},
            "service_status": {"node": "n"},
        },
        "steps": [{"op": "select"}],
    },
    f': vm:101: state = "gone": expected {" or ".join(ServiceState)}': changed(
        BUNDLE, "gone", "inputs", "service_status", "vm:101", "state"
    ),
    ": service_status = []: expected an object": changed(BUNDLE, [], "inputs", "service_status"),
    ": partners of vm:101 = 7: expected a text": changed(
        BUNDLE, ["vm:102", 7], "inputs", "positive_affinity", "vm:101"
    ),
    ': step 1: op = "ju\\nmp": expected select, add_node or remove_node': changed(
        SELECTION, "ju\nmp", "steps", 0, "op"
    ),
    ": steps 2 = null: expected an object": changed(SELECTION, None, "steps", 1),
    ": node1: maxcpu = 0: expected a number above 0 up to 1e+18": changed(
        SCHEDULER, 0, "inputs", "nodes", 0, "maxcpu"
    ),
    ": vm:1: cpu = NaN: expected a number from 0 up to 1e+18": changed(
        SCHEDULER, float("nan"), "expected", "balancing", "candidates", 0, "stats", "cpu"
    ),
    ': rule 1 of 1: type = "nodes": expected node-affinity or resource-affinity': changed(
        RULES, [{"id": "1 of 1", "type": "nodes", "resources": []}], "inputs", "rules"
    ),
    ': rule a: resources = "vm:101": expected a list': changed(
        RULES, [{"id": "a", "type": "resource-affinity", "resources": "vm:101"}], "inputs", "rules"
    ),
    ': rule a: priority of node1 = "high": expected a whole number': changed(
        RULES,
        [{"id": "a", "type": "node-affinity", "resources": ["vm:101"], "nodes": {"node1": "high"}}],
        "inputs",
        "rules",
    ),
    ': line 3: kind = "devise": expected device or connect': changed(
        FENCE, [{"line": 3, "kind": "devise", "device": "d"}], "inputs", "config"
    ),
    f": nodes = {json.dumps('x' * 99)[:60]}...: expected a list": changed(FENCE, "x" * 99, "inputs", "nodes"),
}


@pytest.mark.parametrize("text", BAD)
def test_a_bad_file_is_named_in_one_line_with_what_is_wrong(text: str, write: Write) -> None:
    path = write(BAD[text])
    with pytest.raises(CaseFileError) as caught:
        run_cases([path])
    assert str(caught.value) == f"{path}{text}"


def test_a_file_that_is_not_there_or_not_text_is_named(tmp_path: Path) -> None:
    with pytest.raises(CaseFileError, match=r"none.json: cannot be read: No such file or directory"):
        read_case(tmp_path / "none.json")
    with pytest.raises(CaseFileError, match=f"{tmp_path}: cannot be read: Is a directory"):
        read_case(tmp_path)
    (tmp_path / "bytes.json").write_bytes(b'{"name": "\xff"}')
    with pytest.raises(CaseFileError, match=r"bytes.json:1: byte 0xff is not UTF-8: save the file as UTF-8"):
        read_case(tmp_path / "bytes.json")
    (tmp_path / "digits.json").write_text(f'{{"name": {"1" * 5000}}}')
    with pytest.raises(CaseFileError, match=r"digits.json:1: a number has more than 4300 digits"):
        read_case(tmp_path / "digits.json")
    (tmp_path / "deep.json").write_text('{"name": [],\n"a":\n' + "[" * 100_000)
    with pytest.raises(CaseFileError, match=r"deep.json:3: not valid JSON: nested too deeply"):
        read_case(tmp_path / "deep.json")
