"""A scenario that cannot be used is one clear line: file, line, what is wrong, what is known or expected."""

import contextlib
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haven.sim.errors import CaseError
from haven.sim.main import main
from haven.sim.scenario.details import GUEST, NODE
from haven.sim.scenario.phrases import Phrase
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
        (
            "  vm:103 on node2: failback maybe",
            "FILE:7: 'failback maybe' says nothing about a guest that haven knows; known are 4 cpus, 8 GiB",
        ),
        ("  vm:103 on node2: max_restart many", "FILE:7: max_restart many: expected a number from 0 to 10"),
        ("  vm:103", "FILE:7: expected for example: vm:101"),
        (
            "  vm:103 on node2, failback off",
            "FILE:7: a : is missing behind the node; expected vm:103 on node2: failback off",
        ),
        (
            '  vm:103 "a: b" on node2 2 cpus, 4 GiB',
            'FILE:7: a : is missing behind the node; expected vm:103 "a: b"',
        ),
        # steps are as strict as what there is
        ("at 60 s: vm:101 is set to max_restart 99", "FILE:7: max_restart 99: expected a number from 0 to 10"),
        ("at 60 s: vm:101 is given 0 cpus, 4 GiB", "FILE:7: 0 cpus or no memory: a guest is given more than that"),
        ("at 60 s: vm:101 is given 2 cpus, 0 GiB", "FILE:7: 0 cpus or no memory: a guest is given more than that"),
        ("at 60 s: vm:101 is removed\nvm:101 is removed", "FILE:8: vm:101 was removed in line 7"),
        (
            "rules:\n  a: vm:101 prefers node1\nat 60 s: rule a is removed\nat 90 s: rule a is removed",
            "FILE:10: a was removed in line 9",
        ),
        # what would do something on a terminal
        (
            '  vm:103 "a\x1b[31mb" on node2',
            "FILE:7: 'vm:103 \"a\\x1b[31mb\" on node2' has a control character: take it out",
        ),
        (
            'at 60 s: vm:101 crashes\nexpect: "\x9b2J" is told',
            "FILE:8: 'expect: \"\\x9b2J\" is told' has a control",
        ),
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
        ("cluster:\n  node4: No Watchdog", "FILE:8: 'node4: No Watchdog' exists in fast pacing only"),
        ("cluster:\n  node4: no watchdog", "FILE:8: 'node4: no watchdog' exists in fast pacing only"),
        (
            "cluster:\n  node4: version 8.4.1",
            "FILE:8: 'node4: version 8.4.1' exists in pve pacing only: every haven",
        ),
        (
            "at 60 s: haven on node1 is version 9.0.0",
            "FILE:7: 'haven on node1 is version 9.0.0' exists in pve pacing",
        ),
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
        # what is said twice
        ("  vm:103 on node2: stopped, disabled", "FILE:7: 'disabled': 'stopped' is said already"),
        ("  vm:103 on node2: 2 cpus, uses 1 cpu, 4 cpus", "FILE:7: '4 cpus': '2 cpus' is said already"),
        ("cluster:\n  node4: 8 cpus, off, off", "FILE:8: 'off': 'off' is said already"),
        ("options:\n  scheduler: static\n  scheduler: basic", "FILE:9: option 'scheduler' is there twice"),
        ("groups:\n  web: node1\n  web: node2", "FILE:9: group 'web' is there twice"),
        ("groups:\n  web: node1:1, node1:2", "FILE:8: 'node1' is named twice"),
        ("rules:\n  a: vm:101 prefers node1:1, node1:2", "FILE:8: 'node1' is named twice"),
        ("rules:\n  a: vm:101 and vm:101 stay together", "FILE:8: 'vm:101' is named twice"),
        ("end: 100 s\nend: 200 s", "FILE:8: end: is there twice"),
        ("pacing: pve\npacing: fast", "FILE:8: pacing: is there twice"),
        ("scenario: another", "FILE:7: scenario: is there twice"),
        # what cannot be
        ("  vm:103 on node1: 0 cpus", "FILE:7: '0 cpus': a guest is given more than that"),
        (f"  vm:103 on node1: {'9' * 400} GiB", f"FILE:7: '{'9' * 80}...' says nothing about a guest"),
        (
            "  vm:\uff11\uff10\uff13 on node1",
            "FILE:7: 'vm:\uff11\uff10\uff13' is no guest; expected vm:NUMBER or ct:NUMBER",
        ),
        ("  vm:0103 on node1", "FILE:7: 'vm:0103' is no guest"),
        ("cluster:\n  node4: \uff18 cpus", "FILE:8: '\uff18 cpus' says nothing about a node"),
        ("cluster:\n  node4: version banana", "FILE:8: 'banana' is no version; expected for example 9.0.0"),
        ("at 60 s: haven on node1 is version 9", "FILE:7: '9' is no version; expected for example 9.0.0"),
        (
            "options:\n  ha-auto-rebalance-threshold: nan",
            "FILE:8: ha-auto-rebalance-threshold = 'nan': expected a",
        ),
        (
            "options:\n  ha-auto-rebalance-margin: 1.5",
            "FILE:8: ha-auto-rebalance-margin = '1.5': expected a number",
        ),
        ("options:\n  ha-auto-rebalance-hold-duration: -3", "FILE:8: ha-auto-rebalance-hold-duration = '-3'"),
        ("at 60 s: vm:101 is removed\nat 90 s: vm:101 is set to stopped", "FILE:8: vm:101 was removed in line 7"),
        (
            "rules:\n  a: vm:101 prefers node1\nat 60 s: rule a is removed\n30 s later: rule a is enabled",
            "FILE:10: a was removed in line 9",
        ),
        # lines that belong elsewhere
        (
            "expects: vm:101 runs",
            (
                'FILE:7: expected for example: vm:101 "router" on node1: 2 cpus, 4 GiB, started; not'
                " 'expects: vm:101 runs'; or, outside of guests: did you mean expect:?"
            ),
        ),
        ("At 60 s: vm:101 crashes", "FILE:7: expected for example: vm:101"),
        # names of different things
        (
            "groups:\n  web: node1\nrules:\n  web: vm:101 prefers node1\n  b: vm:101 prefers node2",
            "FILE:11: rule 'b' cannot be used: vm:101 is in more than one node affinity rule",
        ),
        # other ends of lines do not count
        ("# one\u2028line\x0bof\x85text\nat 60 s: boom", "FILE:8: 'boom' is no step"),
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
        ("  , node9", "FILE:7: expected for example: vm:101"),
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


def test_a_line_without_an_end_is_told_at_once() -> None:
    began_s = time.monotonic()
    said = wrong(BASE + "at 60 s: " + "x" * 200_000)
    assert said.endswith("is no step that haven knows; see all of them: haven sim words")
    assert time.monotonic() - began_s < 5


def test_nothing_at_all_is_no_scenario() -> None:
    assert wrong("") == "FILE:1: the scenario has no cluster; it begins with cluster: and a line for each node"


def test_before_a_step_there_has_to_be_a_cluster() -> None:
    assert wrong("at 60 s: HA is armed\n") == (
        "FILE:1: the scenario has no cluster before its first step; it begins with cluster:"
    )


def test_text_that_is_in_no_section() -> None:
    assert wrong("hello\n").startswith("FILE:1: 'hello' is in no section")


def test_a_title_has_no_control_characters() -> None:
    text = BASE.replace("a test", "a\x1b]0;other\x07 test")
    assert wrong(text) == "FILE:1: 'scenario: a\\x1b]0;other\\x07 test' has a control character: take it out"


@pytest.mark.parametrize("phrase", NODE.phrases, ids=lambda phrase: phrase.pattern)
def test_whatever_is_said_to_be_known_of_a_node_is(phrase: Phrase[object]) -> None:
    pacing = "pve" if "(pacing: pve)" in phrase.meaning else "fast"
    text = f"pacing: {pacing}\n{BASE}cluster:\n  node4: "
    assert read_scenario(text + phrase.example) != read_scenario(text)


@pytest.mark.parametrize("phrase", GUEST.phrases, ids=lambda phrase: phrase.pattern)
def test_whatever_is_said_to_be_known_of_a_guest_is(phrase: Phrase[object]) -> None:
    text = f"{BASE}groups:\n  web: node1\nguests:\n  vm:103 on node1"
    example = phrase.example.replace("started", "stopped").replace("4", "5").replace("on", "off")
    assert read_scenario(f"{text}: {example}").inputs != read_scenario(text).inputs


def test_units_of_memory_may_be_written_small() -> None:
    (_, used) = read_scenario(BASE + "at 60 s: vm:101 uses 2 cpus, 3 gib\n").blocks
    assert used.steps[0].commands == ("service vm:101 set-dynamic-stats cpu 2 mem 3072",)


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
        (f'{{"inputs": {"1" * 5000}}}', "bad.txt:1: a number has more than 4300 digits"),
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
