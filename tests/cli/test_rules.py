"""`ha-manager rules` and `ha-manager group...`: what they ask the API for, and how they print it."""

import json
import sys

import pytest

from haven.cli import ha_manager
from tests.cli.fake_api import FakeApi

RULES = "/cluster/ha/rules"
GROUPS = "/cluster/ha/groups"
HOME = {"rule": "home", "type": "node-affinity", "order": 1, "digest": "1b2c", "resources": "vm:101",
        "nodes": "pve1:2,pve2", "strict": 1, "comment": "where its disk is"}  # fmt: skip
PAIR = {"rule": "pair", "type": "resource-affinity", "order": 2, "digest": "1b2c", "resources": "vm:101,vm:102",
        "affinity": "positive", "disable": 1}  # fmt: skip
APART = {"rule": "apart", "type": "resource-affinity", "order": 3, "digest": "1b2c", "affinity": "negative",
         "resources": "vm:101,vm:103", "errors": {"resources": ["too many", "too far"]}}  # fmt: skip
Output = pytest.CaptureFixture[str]


def run(line: str) -> int:
    return ha_manager.main(line.split())


def test_adding_asks_for_what_was_typed_and_is_silent(api: FakeApi, capsys: Output) -> None:
    api.answer(f"POST {RULES}", None)
    assert run("rules add node-affinity home --resources vm:101 --nodes pve1:2,pve2 --strict --disable 0") == 0
    assert run("rules add resource-affinity pair --resources vm:101,vm:102 --affinity positive --comment x") == 0
    assert capsys.readouterr() == ("", "")
    assert api.asked(f"POST {RULES}") == [
        {"type": "node-affinity", "rule": "home", "resources": "vm:101", "nodes": "pve1:2,pve2", "strict": "1",
         "disable": "0"},
        {"type": "resource-affinity", "rule": "pair", "resources": "vm:101,vm:102", "affinity": "positive",
         "comment": "x"},
    ]  # fmt: skip
    assert api.requests[0].headers["X-Haven-Via"] == "ha-manager rules add"


def test_no_resources_and_no_nodes_are_refused_in_the_api_s_words(api: FakeApi, capsys: Output) -> None:
    said = "create ha rule failed: no resources were specified"
    api.fail(f"POST {RULES}", 500, said)
    assert ha_manager.main(["rules", "add", "node-affinity", "home", "--resources", "", "--nodes", ""]) == 255
    assert capsys.readouterr() == ("", said + "\n")


def test_changing_names_the_type_and_removing_does_not(api: FakeApi, capsys: Output) -> None:
    api.answer(f"PUT {RULES}/home", None)
    api.answer(f"DELETE {RULES}/home", None)
    assert run("rules set node-affinity home --nodes pve2 --delete disable,comment --digest 1b2c") == 0
    assert run("rules remove home") == 0
    assert capsys.readouterr() == ("", "")
    assert api.asked(f"PUT {RULES}/home") == [
        {"type": "node-affinity", "nodes": "pve2", "delete": "disable,comment", "digest": "1b2c"}
    ]
    assert api.asked(f"DELETE {RULES}/home") == [{}]


def test_the_list_is_a_table_of_all_that_was_set(api: FakeApi, capsys: Output) -> None:
    short = {name: HOME[name] for name in ("rule", "order", "digest", "resources", "nodes", "strict")}
    api.answer(f"GET {RULES}", [short, PAIR])
    assert run("rules list --type node-affinity --resource vm:101") == 0
    assert api.asked(f"GET {RULES}") == [{"type": "node-affinity", "resource": "vm:101"}]
    assert capsys.readouterr().out.splitlines() == [
        "+----------+---------+-------------+-------+---------------+------+--------+-------------------+",
        "| affinity | disable | nodes       | order | resources     | rule | strict | type              |",
        "+==========+=========+=============+=======+===============+======+========+===================+",
        "|          |         | pve1:2,pve2 | 1     | vm:101        | home | 1      |                   |",
        "+----------+---------+-------------+-------+---------------+------+--------+-------------------+",
        "| positive | 1       |             | 2     | vm:101,vm:102 | pair |        | resource-affinity |",
        "+----------+---------+-------------+-------+---------------+------+--------+-------------------+",
    ]


def test_config_tells_which_rules_are_in_use(api: FakeApi, capsys: Output) -> None:
    api.answer(f"GET {RULES}", [HOME, PAIR, APART])
    assert run("rules config --noborder") == 0
    assert capsys.readouterr().out == (
        "enabled state               rule  type              resources     comment\n"
        "1       in use              home  node-affinity     vm:101        where its disk is\n"
        "0       in use              pair  resource-affinity vm:101,vm:102\n"
        "1       ignored (conflicts) apart resource-affinity vm:101,vm:103\n"
    )


def test_what_is_wrong_with_a_rule_is_a_column(api: FakeApi, capsys: Output) -> None:
    api.answer(f"GET {RULES}", [APART])
    assert run("rules list --noborder --noheader") == 0
    line = "negative resources: too many, too far 3 vm:101,vm:103 apart resource-affinity\n"
    assert capsys.readouterr().out == line


def test_no_rules_and_quiet_print_nothing(api: FakeApi, capsys: Output) -> None:
    api.answer(f"GET {RULES}", [], [HOME])
    assert run("rules list") == 0
    assert run("rules config --quiet") == 0
    assert capsys.readouterr() == ("", "")


def test_a_terminal_gets_boxes(api: FakeApi, capsys: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    api.answer(f"GET {RULES}", [{"rule": "home"}, {"rule": "pair"}])
    assert run("rules list") == 0
    assert capsys.readouterr().out == "┌──────┐\n│ rule │\n╞══════╡\n│ home │\n├──────┤\n│ pair │\n└──────┘\n"


def test_programs_get_json_or_yaml(api: FakeApi, capsys: Output) -> None:
    api.answer(f"GET {RULES}", [HOME, APART])
    assert run("rules list --output-format json") == 0
    assert json.loads(capsys.readouterr().out) == [HOME, APART]
    assert run("rules config --output-format yaml") == 0
    assert capsys.readouterr().out == (
        "---\n"
        '- comment: "where its disk is"\n'
        "  enabled: 1\n"
        '  resources: "vm:101"\n'
        '  rule: "home"\n'
        '  state: "in use"\n'
        '  type: "node-affinity"\n'
        "- enabled: 1\n"
        '  resources: "vm:101,vm:103"\n'
        '  rule: "apart"\n'
        '  state: "ignored (conflicts)"\n'
        '  type: "resource-affinity"\n'
    )
    assert run("rules list --output-format yaml --resource vm:103") == 0
    assert '  errors:\n    resources:\n      - "too many"\n      - "too far"\n' in capsys.readouterr().out


def test_a_rule_that_is_refused_says_which_and_why(api: FakeApi, capsys: Output) -> None:
    said = {"resources": r"first reason: conflicts with rule 'home'\nsecond reason"}
    api.fail(f"POST {RULES}", 400, "Rule 'new' is invalid.", said)
    assert run("rules add resource-affinity new --resources vm:101,vm:102 --affinity negative") == 255
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.splitlines() == [
        "400 Rule 'new' is invalid.",
        r"resources: first reason: conflicts with rule 'home'",
        "resources: second reason",
        "ha-manager rules add <type> <rule> [OPTIONS]",
    ]


def test_an_error_of_the_api_is_one_line(api: FakeApi, capsys: Output) -> None:
    api.fail(f"POST {RULES}", 500, "create ha rule failed: cannot use unmanaged resource(s) vm:9")
    assert run("rules add node-affinity home --resources vm:9 --nodes pve1") == 255
    assert capsys.readouterr() == ("", "create ha rule failed: cannot use unmanaged resource(s) vm:9\n")


def test_groups_are_printed_in_blocks(api: FakeApi, capsys: Output) -> None:
    old = {"group": "old", "type": "group", "digest": "1b2c", "nodes": "pve1:2,pve2", "restricted": 1}
    api.answer(f"GET {GROUPS}", [old])
    assert run("groupconfig") == 0
    assert capsys.readouterr().out == "group: old\n\tnodes pve1:2,pve2\n\trestricted 1\n\n"


def test_groups_are_added_changed_and_removed(api: FakeApi, capsys: Output) -> None:
    api.answer(f"POST {GROUPS}", None)
    api.answer(f"PUT {GROUPS}/old", None)
    api.answer(f"DELETE {GROUPS}/old", None)
    assert run("groupadd old --nodes pve1:2,pve2 --restricted --comment x") == 0
    assert run("groupset old --nofailback 1 --delete comment") == 0
    assert run("groupremove old") == 0
    assert capsys.readouterr() == ("", "")
    assert api.asked(f"POST {GROUPS}") == [
        {"group": "old", "nodes": "pve1:2,pve2", "restricted": "1", "comment": "x"}
    ]
    assert api.asked(f"PUT {GROUPS}/old") == [{"nofailback": "1", "delete": "comment"}]


def test_once_groups_are_rules_each_command_says_so(api: FakeApi, capsys: Output) -> None:
    api.fail(f"GET {GROUPS}", 500, "cannot index groups: ha groups have been migrated to rules")
    assert run("groupconfig") == 255
    assert capsys.readouterr() == ("", "cannot index groups: ha groups have been migrated to rules\n")
