"""`ha-manager` on a real API: a person keeps VMs at home, together and apart, and is told what came of it."""

import re
from pathlib import Path

import pytest

from haven.cli import ha_manager
from haven.cli.main import main as haven
from haven.core.records import ManagerRecord
from haven.core.words import CrmState, NodeState
from tests.api.cluster import grow, protect
from tests.api.world import NODE, NOW_S, World

Output = pytest.CaptureFixture[str]
ADD = "ha-manager rules add <type> <rule> [OPTIONS]"


@pytest.fixture
def host(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    monkeypatch.setenv("HAVEN_API_SOCKET", str(world.socket))
    monkeypatch.delenv("COLUMNS", raising=False)  # a test runner's terminal is not the person's
    return world


def run(line: str) -> int:
    return ha_manager.main(line.split())


def test_rules_from_the_first_to_the_last(host: World, capsys: Output) -> None:
    grow(host, 201, 202, 203)
    assert run("rules add node-affinity home --resources vm:201 --nodes beta:2,gamma:1 --strict") == 0
    assert run("rules add resource-affinity apart --resources 202,guest203 --affinity negative") == 0
    assert run("rules set node-affinity home --nodes beta --disable") == 0
    assert capsys.readouterr() == ("", "")
    assert run("rules list --noborder") == 0
    assert capsys.readouterr().out == (
        "affinity disable nodes order resources     rule  strict type\n"
        "         1       beta  1     vm:201        home  1      node-affinity\n"
        "negative               2     vm:202,vm:203 apart        resource-affinity\n"
    )
    assert run("rules set node-affinity home --delete disable") == 0
    assert run("rules config --noborder --resource vm:201") == 0
    assert capsys.readouterr().out == (
        "enabled state  rule type          resources comment\n1       in use home node-affinity vm:201\n"
    )
    assert run("rules remove apart") == 0
    assert run("rules remove apart") == 0
    assert [rule.id for rule in host.store.read().rules()] == ["home"]


def test_the_commands_of_the_page_about_rules_work_in_its_order(host: World, capsys: Output) -> None:
    states = dict.fromkeys((NODE, "node1", "node2"), NodeState.ONLINE)
    host.put("manager", ManagerRecord(NODE, NOW_S, CrmState.MASTER, states))
    protect(host, 102, 103, 104, 105, 106)
    page = (Path(__file__).parents[2] / "docs" / "rules.md").read_text()
    commands = re.findall(r"^    (ha-manager .*?)(?: +#.*)?$", page, re.MULTILINE)
    commands += re.findall(r"`(ha-manager [^`]+)`", page)
    assert len(commands) > 10
    done = {command: run(command.removeprefix("ha-manager ")) for command in commands if "<" not in command}
    assert [command for command, status in done.items() if status != 0] == []
    assert host.store.read().rules()[0].id == "shop"


def test_a_contradiction_is_named_with_the_other_rule(host: World, capsys: Output) -> None:
    grow(host, 201, 202, 203)
    assert run("rules add resource-affinity pair --resources vm:201,vm:202 --affinity positive") == 0
    assert run("rules add resource-affinity apart --resources vm:201,vm:202 --affinity negative") == 255
    head, reason, usage = capsys.readouterr().err.splitlines()
    assert (head, usage) == ("400 Rule 'apart' is invalid.", ADD)
    assert reason.startswith("resources: ")
    assert "rule 'pair'" in reason


def test_on_one_host_keeping_apart_is_refused_in_clear_words(host: World, capsys: Output) -> None:
    protect(host, 201, 202)
    assert run("rules add resource-affinity apart --resources vm:201,vm:202 --affinity negative") == 255
    assert capsys.readouterr().err.splitlines()[1].endswith("2 resources, and this one host, alpha")
    assert run(f"rules add node-affinity home --resources vm:201 --nodes {NODE}") == 0


def test_what_haven_explain_says_of_the_rules(host: World, capsys: Output) -> None:
    grow(host, 201, 202)
    run("rules add node-affinity home --resources vm:201 --nodes beta --strict")
    run("rules add resource-affinity pair --resources vm:201,vm:202 --affinity positive")
    assert haven(["explain", "vm:202"]) == 0
    shown = capsys.readouterr().out.splitlines()
    at = shown.index("Rules about it:")
    assert shown[at + 1] == (
        "  - runs only on beta, and waits when it cannot (rule home, strict),"
        " because it is kept together with vm:201 (rule pair)"
    )
    assert shown[at + 2] == "  - kept together with vm:201 (rule pair)"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("migrate vm:201 omega", "no such cluster node 'omega': nodes are alpha, beta, gamma"),
        (
            "crm-command node-maintenance enable omega",
            "no such cluster node 'omega': nodes are alpha, beta, gamma",
        ),
        ("relocate vm:999 beta", "resource 'vm:999' is not HA managed"),
        ("groupconfig", "cannot index groups: ha groups have been migrated to rules"),
        ("groupadd new --nodes beta", "cannot create group: ha groups have been migrated to rules"),
        ("set vm:201 --group old", "invalid parameter 'group': ha groups have been migrated to rules"),
        ("rules set node-affinity nothing --nodes beta", "HA rule 'nothing' does not exist"),
        (
            "rules add node-affinity home --resources vm:201 --nodes omega",
            "create ha rule failed: cannot use non-existent node(s) omega",
        ),
        (
            "rules add node-affinity home --resources vm:999 --nodes beta",
            "create ha rule failed: cannot use unmanaged resource(s) vm:999",
        ),
    ],
)
def test_what_cannot_be_is_one_line(host: World, capsys: Output, line: str, said: str) -> None:
    grow(host, 201)
    assert run(line) == 255
    assert capsys.readouterr() == ("", f"{said}\n")


def test_commands_are_accepted_in_silence(host: World, capsys: Output) -> None:
    grow(host, 201)
    for line in (
        "crm-command migrate vm:201 beta",
        "crm-command relocate 201 gamma",
        "crm-command node-maintenance enable beta",
        "crm-command node-maintenance disable beta",
        "crm-command disarm-ha freeze",
        "crm-command arm-ha",
    ):
        assert run(line) == 0
    assert capsys.readouterr() == ("", "")
    assert [command.verb for command in host.store.read().commands().values()] == [
        "migrate",
        "relocate",
        "enable-node-maintenance",
        "disable-node-maintenance",
        "disarm-ha",
        "arm-ha",
    ]
