"""Write into docs/ what is drawn from the program's own tables: the state diagram, the configuration page."""

import re
from pathlib import Path

from haven.core.service import diagram
from haven.core.settings import describe_settings

DOCS = Path(__file__).parents[1] / "docs"


def put(page: str, language: str, text: str) -> None:
    """Replace the page's one block of this language."""
    path = DOCS / page
    block = f"```{language}\n{text}```"
    old = path.read_text()
    path.write_text(re.sub(rf"```{language}\n.*?```", lambda _: block, old, count=1, flags=re.DOTALL))


if __name__ == "__main__":
    put("how-it-decides.md", "mermaid", diagram())
    put("configuration.md", "toml", describe_settings())
