"""Write into docs/ what is drawn from elsewhere: state diagrams, the configuration, the measured figures."""

import json
import re
from pathlib import Path

from bench.engine_figures import growth_table
from bench.figures import BOUNDS
from haven.core import service
from haven.core.crm import daemon as crm_daemon
from haven.core.crm import node_states
from haven.core.lrm import daemon
from haven.core.settings import describe_settings
from haven.sim.scenario.vocabulary import as_markdown, tables
from tools.search_figures import search_table

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


def put(page: str, language: str, text: str, *, under: str = "") -> None:
    """Replace the page's first block of this language, or the first one below the heading `under`."""
    path = DOCS / page
    block = f"```{language}\n{text}```"
    above, heading, below = path.read_text().partition(f"\n## {under}\n" if under else "\n")
    below = re.sub(rf"```{language}\n.*?```", lambda _: block, below, count=1, flags=re.DOTALL)
    path.write_text(above + heading + below)


def put_table(page: str, title: str, text: str) -> None:
    """Replace what stands between the page's marks of this title."""
    path = DOCS / page
    mark = f"<!-- table: {title} -->\n"
    path.write_text(
        re.sub(rf"{mark}.*?<!-- end -->", lambda _: f"{mark}{text}<!-- end -->", path.read_text(), flags=re.DOTALL)
    )


def figures() -> str:
    """The last benchmark's figures and bounds, one a line, and how the engine's costs grow."""
    latest = json.loads((ROOT / "bench" / "latest.json").read_text())
    lines = [
        f"{key:<32} {value!s:>26}" + (f"   <= {BOUNDS[key]:g}" if key in BOUNDS else "")
        for key, value in latest.items()
    ]
    return "\n".join([*(line.rstrip() for line in lines), "", growth_table(latest)]) + "\n"


if __name__ == "__main__":
    put("how-it-decides.md", "mermaid", service.diagram(), under="The states of a protected VM")
    put("how-it-decides.md", "mermaid", crm_daemon.diagram(), under="The states of a host's CRM")
    put("how-it-decides.md", "mermaid", node_states.diagram(), under="The states of a host")
    put("how-it-decides.md", "mermaid", daemon.diagram(), under="The states of a host's LRM")
    put("configuration.md", "toml", describe_settings())
    put("figures.md", "text", figures())
    for title in tables():
        put_table("simulator.md", title, as_markdown(title))
    if table := search_table(ROOT / "build"):
        put_table("fault-search.md", "the long search", table)
