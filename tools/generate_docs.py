"""Write into docs/ what is drawn from elsewhere: the state diagram, the configuration, the measured figures."""

import json
import re
from pathlib import Path

from bench.figures import BOUNDS
from haven.core.service import diagram
from haven.core.settings import describe_settings

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"


def put(page: str, language: str, text: str) -> None:
    """Replace the page's one block of this language."""
    path = DOCS / page
    block = f"```{language}\n{text}```"
    old = path.read_text()
    path.write_text(re.sub(rf"```{language}\n.*?```", lambda _: block, old, count=1, flags=re.DOTALL))


def figures() -> str:
    """The last benchmark's figures and bounds, one a line."""
    latest = json.loads((ROOT / "bench" / "latest.json").read_text())
    lines = [
        f"{key:<28} {value!s:>26}" + (f"   <= {BOUNDS[key]:g}" if key in BOUNDS else "")
        for key, value in latest.items()
    ]
    return "\n".join(line.rstrip() for line in lines) + "\n"


if __name__ == "__main__":
    put("how-it-decides.md", "mermaid", diagram())
    put("configuration.md", "toml", describe_settings())
    put("figures.md", "text", figures())
