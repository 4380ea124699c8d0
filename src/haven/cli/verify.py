"""`haven verify`: what would go wrong tonight, worst first, each with the command that mends it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Annotated, Any

import typer
from rich.text import Text

from haven.api.client import ApiUnreachable
from haven.cli.session import connect
from haven.cli.text import printable

EXIT_TROUBLE = 1
_FROM_OUTSIDE = "haven.ops.verify"
_OUTSIDE_S = 60.0
_WORDS = {"fail": ("FAIL", "bold red"), "warn": ("warn", "yellow"), "pass": ("ok", "green")}
_GRADE_COLUMNS = 6
_CHECK_COLUMNS = 16


def verify(as_json: Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")] = False) -> int:
    """Check this host: the worst first, with its mend.

    It is the guide's checklist and more.

    Exit status: 0 when nothing fails, warnings or not; 1 when something does.
    """
    answer = _asked()
    if as_json:
        print(json.dumps(answer, indent=2, ensure_ascii=False))
    else:
        from haven.cli.screen import open_screen

        screen = open_screen()
        for line in verdict_lines(answer, screen.width):
            screen.print(line, soft_wrap=True)
    return EXIT_TROUBLE if answer["summary"]["fail"] else 0


def _asked() -> dict[str, Any]:
    """The API's answer; while it does not answer, that of a look from outside. Raises ApiUnreachable."""
    try:
        answer: dict[str, Any] = connect("haven verify").get("/haven/verify")
    except ApiUnreachable as trouble:
        if os.geteuid() != 0:
            raise
        return _from_outside(trouble)
    return answer


def _from_outside(trouble: ApiUnreachable) -> dict[str, Any]:
    """A process of its own: it needs libvirt's library and the store, and a thin client has neither.

    With -P: root may stand in anybody's folder, and no module is to be taken from there.
    """
    words = [sys.executable, "-P", "-m", _FROM_OUTSIDE, str(trouble)]
    try:
        told = subprocess.run(words, capture_output=True, text=True, timeout=_OUTSIDE_S).stdout
        answer: dict[str, Any] = json.loads(told)
    except (OSError, subprocess.TimeoutExpired, ValueError):
        raise trouble from None
    return answer


def verdict_lines(answer: dict[str, Any], width: int) -> Iterator[Text]:
    """The summary, then a line for each finding, its mend below."""
    from haven.cli.screen import hanging

    yield _summary(answer)
    if answer["outside"]:
        yield hanging("", Text(f"Looked at from outside: {printable(answer['outside'])}", "yellow"), width)
    yield Text()
    for finding in answer["findings"]:
        word, style = _WORDS[finding["grade"]]
        head = f"{word:<{_GRADE_COLUMNS}}{finding['check']:<{_CHECK_COLUMNS}}"
        yield hanging(head, Text(printable(finding["seen"])), width, style)
        if finding["mend"]:
            yield hanging(" " * len(head) + "-> ", Text(printable(finding["mend"]), "bold"), width)


def _summary(answer: dict[str, Any]) -> Text:
    """`2 fail, 1 warn, 14 pass on pve.`"""
    counts = answer["summary"]
    worst = next((grade for grade in ("fail", "warn") if counts[grade]), "pass")
    said = ", ".join(f"{counts[grade]} {grade}" for grade in ("fail", "warn", "pass"))
    return Text(f"{said} on {printable(answer['node'])}.", _WORDS[worst][1])
