"""What the Proxmox-shaped programs share: running a command, its errors on stderr, its exit status."""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from haven.api.client import ApiClient, ApiError, ApiUnreachable
from haven.cli.console import at_the_edge, complain
from haven.cli.pve_args import Call, Command, Kind, Param, Tool, UsageError, verification_failed
from haven.cli.session import TaskFailedError, connect, error_text
from haven.cli.text import one_line
from haven.cli.yaml_text import yaml_text

EXIT_FAILED = 255
_HELP_WORDS = ("help", "--help", "-help", "-h")
_JSON = Param("json", "print the API's answer as JSON", Kind.BOOLEAN)
_FORMAT = Param("output-format", "how to print the answer", choices=("text", "json", "json-pretty", "yaml"))


class RefusedError(Exception):
    """haven cannot do what was asked; the text says why."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a command found: the API's data, and the same as text for people (empty: nothing to say)."""

    data: object = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Verb:
    """A command and what it does."""

    command: Command
    run: Callable[[ApiClient, Call], Report]


def run_tool(name: str, verbs: Sequence[Verb], argv: Sequence[str] | None = None) -> int:
    """Run one command line of the program `name`; returns the exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    return at_the_edge(name, lambda: _answered(name, verbs, words), EXIT_FAILED)


def _answered(name: str, verbs: Sequence[Verb], words: list[str]) -> int:
    try:
        _run(Tool(name, tuple(with_formats(verb.command) for verb in verbs)), verbs, words)
    except UsageError as error:
        complain(*error.lines)
    except (ApiUnreachable, TaskFailedError, RefusedError) as error:
        complain(str(error))
    else:
        return 0
    return EXIT_FAILED


def wants_json(call: Call) -> bool:
    """Whether the answer is for a program."""
    return call.flag("json") or call.text("output-format") in ("json", "json-pretty", "yaml")


def canonical_json(data: object) -> str:
    """Pretty, key-sorted JSON as Proxmox VE's tools print it."""
    return json.dumps(data, indent=3, sort_keys=True, separators=(",", " : "), ensure_ascii=False)


def short_form(call: Call) -> str:
    """The command as typed, in short, for the reason trail: `qm stop`, `ha-manager set --state started`."""
    state = f" --state {call.text('state')}" if "state" in call.values else ""
    return f"{call.tool} {call.command.name}{state}"


def with_formats(command: Command) -> Command:
    """The command with the options that all have: how to print the answer."""
    return replace(command, options=(*command.options, _JSON, _FORMAT))


def _run(tool: Tool, verbs: Sequence[Verb], words: list[str]) -> None:
    if any(word in _HELP_WORDS for word in words[:1]) or any(word in _HELP_WORDS[1:] for word in words):
        print("\n".join(tool.help([word for word in words if word not in _HELP_WORDS])))
        return
    call = tool.parse(words)
    verb = next(verb for verb in verbs if verb.command.words == call.command.words)
    try:
        report = verb.run(connect(short_form(call)), call)
    except ApiError as error:
        if error.errors:
            head = f"{error.status} {one_line(error.message)}"
            raise verification_failed(error.errors, tool.usage(call.command), head) from error
        raise RefusedError(error_text(error)) from error
    _print(report, call)


def _print(report: Report, call: Call) -> None:
    if not wants_json(call):
        if report.text:
            print(report.text)
    elif call.text("output-format") == "json-pretty":
        print(canonical_json(report.data))
    elif call.text("output-format") == "yaml":
        print(yaml_text(report.data))
    else:
        print(json.dumps(report.data, ensure_ascii=False))
