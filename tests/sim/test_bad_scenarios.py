"""A scenario that cannot be used is one clear line: file, line, what is wrong, what is known or expected."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haven.sim.errors import CaseError
from haven.sim.main import main
from haven.sim.scenario.read import read_scenario
from haven.sim.scenario.starter import STARTER

BASE = """\
scenario: a test
cluster:
  node1, node2, node3: 8 cpus, 32 GiB
guests:
  vm:101 "router" on node1: 2 cpus, 4 GiB
  vm:102 on node2
"""
"""Six lines: what a test adds begins with line 7."""


def wrong(text: str) -> str:
    with pytest.raises(CaseError) as caught:
        read_scenario(text)
    assert "\n" not in str(caught.value)
    return caught.value.at("FILE")


@pytest.mark.parametrize(
    ("added", "said"),
    [
        # words
        (
            "at 120 s: networks of node3 goes down",
            "FILE:7: 'networks of node3 goes down' is no step that haven knows; nearest: network of <nodes>",
        ),
        ("at 60 s: foo", "FILE:7: 'foo' is no step that haven knows; see all of them: haven sim words"),
        (
            "expect: vm:101 run at node1",
            "FILE:7: 'vm:101 run at node1' is no expectation that haven knows; nearest: <guests> (runs|run) on",
        ),
        ("rule:\n", "FILE:7: section 'rule:' is not known; did you mean rules?"),
        ("rules:\n  a: vm:101 loves vm:102", "FILE:8: 'vm:101 loves vm:102' is no rule that haven knows"),
        # what does not exist
        ("at 120 s: power of node9 fails", "FILE:7: node 'node9' does not exist; did you mean node3?"),
        (
            "at 120 s: power of alpha fails",
            "FILE:7: node 'alpha' does not exist; the cluster has node1, node2, node3",
        ),
        ("at 120 s: vm:1010 crashes", "FILE:7: guest 'vm:1010' does not exist; did you mean vm:101?"),
        ("expect: vm:7 runs", "FILE:7: guest 'vm:7' does not exist; there are vm:101, vm:102"),
        ("at 60 s: rule x is removed", "FILE:7: rule 'x' does not exist; there is none"),
        ("  vm:103 on node4", "FILE:7: node 'node4' does not exist"),
        ("  vm:103 on node1: group web", "FILE:7: group 'web' does not exist; there is none"),
        # guests
        ("  vm:101 on node2", "FILE:7: guest vm:101 is there twice"),
        ("  vmx:1 on node2", "FILE:7: 'vmx:1' is no guest; expected vm:NUMBER or ct:NUMBER"),
        ("  vm:103 on node2: runing", "FILE:7: 'runing' says nothing about a guest that haven knows"),
        ("  vm:103 on node2: max_restart many", "FILE:7: max_restart many: expected a number from 0 to 10"),
        ("  vm:103", "FILE:7: expected for example: vm:101"),
        ("at 60 s: vm:101 is added on node1, started", "FILE:7: guest 'vm:101' exists already"),
        # rules
        ("rules:\n  a: vm:105 stay apart", "FILE:8: guest 'vm:105' does not exist"),
        ("rules:\n  a: vm:101 stay apart", "FILE:8: a rule about guests together or apart needs at least two"),
        ("rules:\n  a: vm:101 prefers node8", "FILE:8: node 'node8' does not exist"),
        ("rules:\n  a: vm:101 prefers node1\n  a: vm:102 prefers node1", "FILE:9: rule 'a' is there twice"),
        (
            "rules:\n  a: vm:101 prefers node1\n  b: vm:101 prefers node2",
            "FILE:8: rule 'a' cannot be used: vm:101 is in more than one node affinity rule: conflicts",
        ),
        ("groups:\n  web: restricted", "FILE:8: group 'web' names no node"),
        ("groups:\n  web: node1:high", "FILE:8: 'node1:high': expected a node and its priority, as node1:2"),
        (f"rules:\n  a: vm:101 prefers node1:{'9' * 5000}", "FILE:8: "),
        # options
        (
            "options:\n  shutdown_policy: panic",
            "FILE:8: shutdown_policy = 'panic': expected conditional, freeze, failover, migrate (default",
        ),
        (
            "options:\n  shutdown-policy: freeze",
            "FILE:8: option 'shutdown-policy' is not known; did you mean shutdown_policy?",
        ),
        (
            "at 60 s: option scheduler is set to best",
            "FILE:7: scheduler = 'best': expected basic, static, dynamic",
        ),
        # the cluster
        ("cluster:\n  node1", "FILE:8: node 'node1' is there twice"),
        ("cluster:\n  node4: 8 gpus", "FILE:8: '8 gpus' says nothing about a node that haven knows"),
        ("cluster:\n  node4: 0 cpus", "FILE:8: '0 cpus': a node has more than that"),
        ("cluster:\n  " + ", ".join(f"n{i}" for i in range(30)), "FILE:8: 33 nodes; at most 29 can be simulated"),
        # time
        (
            "at 2 parsecs: nothing happens",
            "FILE:7: '2 parsecs' is no length of time; expected for example 130 s or 2 min",
        ),
        (
            "at 300 s: nothing happens\nat 200 s: nothing happens",
            "FILE:8: 200 s is before 300 s: steps stand in the order of time",
        ),
        (
            "at 9000 s: nothing happens\n60 s later: nothing happens",
            "FILE:8: 9060 s is too late; a run can last 9000 s",
        ),
        ("at 100 s: nothing happens\nend: 50 s", "FILE:8: the run ends at 50 s, but something happens at 100 s"),
        ("at 100 s: nothing happens\nrules:", "FILE:8: rules: stands behind the first step"),
        # what exists in one pacing only
        ("pacing: quick", "FILE:7: pacing 'quick' is not known; known are pve, fast"),
        (
            "at 60 s: the managers are stuck for 2 rounds",
            "FILE:7: 'the managers are stuck for 2 rounds' exists in pve pacing only: only there do all daemons",
        ),
        (
            "pacing: pve\nat 60 s: the store is away for 10 s",
            "FILE:8: 'the store is away for 10 s' exists in fast pacing only",
        ),
        (
            "pacing: fast\nat 60 s: vm:101 is locked",
            "FILE:8: 'vm:101 is locked' exists in pve pacing only: libvirt's VMs carry no locks",
        ),
        ("cluster:\n  node4: no watchdog", "FILE:8: 'node4: no watchdog' exists in fast pacing only"),
        # expectations that cannot be judged
        (
            "expect: vm:101 never moves within 60 s",
            "FILE:7: 'vm:101 never moves' cannot be judged \"within 60 s\": it is about all the time from here on",
        ),
        (
            "expect: node3 is fenced for 60 s",
            "FILE:7: 'node3 is fenced' cannot be judged \"for 60 s\": it is about a moment",
        ),
        (
            "at 100 s: vm:101 crashes\nexpect: vm:101 runs within 60 s\nend: 150 s",
            "FILE:8: cannot be judged: 100 s + 60 s is behind the end at 150 s",
        ),
        ("expect: vm:101 is in state happy", "FILE:7: state 'happy' is not known; known are request_start"),
    ],
)
def test_one_line_says_what_is_wrong(added: str, said: str) -> None:
    assert wrong(BASE + added).startswith(said)


@pytest.mark.parametrize(
    ("added", "said"),
    [
        (
            "at 1e99 s: nothing happens",
            "FILE:7: '1e99 s' is no length of time; expected for example 130 s or 2 min",
        ),
        ("soon later: nothing happens", "FILE:7: 'soon' is no length of time"),
        ("expect:", "FILE:7: '' is no expectation that haven knows"),
        ("groups:\n  : node1", "FILE:8: expected for example: web: node1:2, node2, restricted; not ': node1'"),
        ("at 60 s: " + "x" * 5000, f"FILE:7: '{'x' * 80}...' is no step that haven knows"),
    ],
)
def test_odd_lines_are_short_complaints(added: str, said: str) -> None:
    complaint = wrong(BASE + added)
    assert complaint.startswith(said)
    assert len(complaint) < 200


def test_nothing_at_all_is_no_scenario() -> None:
    assert wrong("") == "FILE:1: the scenario has no cluster; it begins with cluster: and a line for each node"


def test_text_that_is_in_no_section() -> None:
    assert wrong("hello\n").startswith("FILE:1: 'hello' is in no section")


def test_comments_do_not_hide_in_quotes() -> None:
    scenario = read_scenario(BASE + '  vm:103 "a # b" on node1 # a comment\n')
    assert scenario.titles["vm:103"] == "a # b"


@given(st.lists(st.sampled_from(STARTER.splitlines()), max_size=25).map("\n".join) | st.text(max_size=200))
def test_whatever_is_written_ends_in_a_scenario_or_a_complaint(text: str) -> None:
    with contextlib.suppress(CaseError):
        read_scenario(text)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (BASE + "at 60 s: boom\n", "bad.txt:7: 'boom' is no step"),
        ('{"inputs": {"hardware_status": {}}}', "bad.txt:1: hardware_status names no node"),
        (
            '{"inputs": {\n"hardware_status": {"n": {"power": "on"}},\n"cmdlist": [["power m on"]]}}',
            "bad.txt:3: 'power m on': power needs a node that exists; there are n",
        ),
        ("{,}", "bad.txt:1: not valid JSON"),
        (f'{{"inputs": {"1" * 5000}}}', "bad.txt: not valid JSON: Exceeds the limit"),
        ("\x00", "bad.txt:1: "),
        (
            BASE + "pacing: pve\nat 60 s: vm:101 is moved by hand to node2\n",
            "bad.txt:8: 'vm:101 is moved by hand to node2' cannot happen: HA takes care of it",
        ),
    ],
)
def test_the_command_says_it_in_one_line_and_exits_with_2(
    tmp_path: Path, text: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bad.txt"
    path.write_text(text)
    for words in (
        ["run", str(path)],
        ["run", "--events", "-", str(path)],
        ["explain", str(path), "vm:101", "--at", "90"],
    ):
        assert main(words) == 2
        out, err = capsys.readouterr()
        assert err.count("\n") == 1
        assert said in err, words
        assert "Traceback" not in out + err
