"""The docs say what the program does: what is drawn from a table is kept the same as the table."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from haven.core import service
from haven.core.care import OPTIONS
from haven.core.crm import daemon as crm_daemon
from haven.core.crm import node_states
from haven.core.health import WORDS
from haven.core.lrm import daemon
from haven.core.settings import describe_settings
from haven.core.words import Cause, Pacing
from haven.sim.rounds import MOST_NODES
from haven.sim.running import run_file
from haven.sim.scenario.phrases import MAX_S
from haven.sim.scenario.vocabulary import as_markdown, tables
from haven.sim.track import FIRST_START_S

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


@pytest.mark.parametrize(
    "diagram",
    [service.diagram, node_states.diagram, crm_daemon.diagram, daemon.diagram],
    ids=lambda f: f.__module__,
)
def test_a_state_diagram_is_the_table_the_program_runs_on(diagram: Callable[[], str]) -> None:
    assert diagram() in (DOCS / "how-it-decides.md").read_text()


def test_the_configuration_page_has_every_key() -> None:
    assert describe_settings() in (DOCS / "configuration.md").read_text()


@pytest.mark.parametrize("title", tables())
def test_the_words_of_scenarios_are_those_that_the_simulator_reads(title: str) -> None:
    assert f"<!-- table: {title} -->\n{as_markdown(title)}<!-- end -->" in (DOCS / "simulator.md").read_text()


def test_the_scenario_that_the_docs_show_runs_and_is_met() -> None:
    text = (DOCS / "simulator.md").read_text()
    (example,) = re.findall(r"```text\n(scenario: .*?)```", text, re.DOTALL)
    assert run_file(example, Pacing.PVE).story.good


def test_the_limits_of_the_simulator_are_told() -> None:
    text = (DOCS / "simulator.md").read_text()
    assert f"At most {MOST_NODES} hosts" in text
    assert f"A run lasts at most {MAX_S} s" in text
    assert f"no more than {FIRST_START_S:g} s" in text, "how long a first start may take"


def test_every_cause_is_explained() -> None:
    text = (DOCS / "how-it-decides.md").read_text()
    assert [cause for cause in Cause if f"`{cause}`" not in text] == []


def test_every_link_between_pages_leads_somewhere() -> None:
    pages = [ROOT / "README.md", *DOCS.rglob("*.md")]
    links = [
        (page, target)
        for page in pages
        for target in re.findall(r"\]\(([^)#]+)", page.read_text())
        if "://" not in target
    ]
    assert [f"{page.name}: {target}" for page, target in links if not (page.parent / target).exists()] == []


def test_every_dependency_is_justified() -> None:
    pyproject = (ROOT / "pyproject.toml").read_text()
    needed = re.findall(r'^  "([a-z-]+)>=', pyproject, re.MULTILINE)
    page = (DOCS / "dependencies.md").read_text().lower()
    assert [name for name in needed if name not in page] == []


def test_the_options_page_has_every_option_of_a_vm() -> None:
    page = (DOCS / "options.md").read_text()
    assert [option.name for option in OPTIONS if f"`--{option.name.replace('_', '-')} " not in page] == []


def test_the_checks_page_has_every_word_of_a_check() -> None:
    page = (DOCS / "checks.md").read_text()
    assert [word for word in WORDS if f"`{word}=`" not in page] == []
