"""haven's programs as plain values: commands, arguments, options, whichever library reads their command lines."""

import argparse
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import EnumType
from typing import Any

import typer

from haven.cli import ha_manager, pvecm, qm
from haven.cli import main as haven_main
from haven.cli.pve_args import Kind, Param
from haven.cli.pve_tool import Verb, with_formats
from haven.ops.replay import parser as replay_parser
from haven.setup.__main__ import parser as setup_parser
from haven.sim.main import parser as sim_parser

_FILES = ("file", "case", "dir")
"""What stands for a file, in words of the programs' own help."""
_SETUP = "Install haven for good on this host, upgrade it, roll it back, repair or remove it."


@dataclass(frozen=True, slots=True)
class Option:
    """`names` with their dashes; `value`: what it takes, empty for a flag; `choices`: all it may be."""

    names: tuple[str, ...]
    meaning: str
    value: str = ""
    choices: tuple[str, ...] = ()

    @property
    def takes_file(self) -> bool:
        return self.value in _FILES


@dataclass(frozen=True, slots=True)
class Command:
    """`words`: how it is called (`crm-command stop`). `arguments` as they are shown: `<sid>`, `[SID]`."""

    words: tuple[str, ...]
    meaning: str
    arguments: tuple[str, ...] = ()
    options: tuple[Option, ...] = ()
    more: str = ""

    @property
    def takes_file(self) -> bool:
        return any(argument.strip("[].").lower() in _FILES for argument in self.arguments)


@dataclass(frozen=True, slots=True)
class Program:
    """One of the programs in /usr/local/bin."""

    name: str
    meaning: str
    commands: tuple[Command, ...]


def programs() -> tuple[Program, ...]:
    """All of them."""
    return (
        Program("haven", "keeps the virtual machines of this host running", haven_commands()),
        _pve("ha-manager", "protect virtual machines, and see what the HA manager does", ha_manager.VERBS),
        _pve("qm", "start, stop and look at the virtual machines of this host", qm.VERBS),
        _pve("pvecm", "show the cluster, its members and its quorum", pvecm.VERBS),
    )


# -- the tables of ha-manager, qm and pvecm ------------------------------------------------------------------


def _pve(name: str, meaning: str, verbs: Sequence[Verb]) -> Program:
    return Program(name, meaning, tuple(_verb(verb) for verb in verbs))


def _verb(verb: Verb) -> Command:
    command = with_formats(verb.command)
    arguments = tuple(f"<{param.name}>" for param in command.arguments)
    return Command(command.words, command.meaning, arguments, tuple(_param(param) for param in command.options))


def _param(param: Param) -> Option:
    value = "" if param.kind is Kind.BOOLEAN else param.kind.value
    return Option((f"--{param.name}",), _sentence(param.meaning), value, param.choices)


# -- haven's own: typer, and argparse where it starts faster -------------------------------------------------


def haven_commands() -> tuple[Command, ...]:
    """Those of `haven`, in the order of its help."""
    group: Any = typer.main.get_command(haven_main.app)
    found: list[Command] = []
    for name, command in group.commands.items():
        found += _typer(name, command)
    return tuple(found)


_PARSERS: dict[tuple[str, ...], Callable[[], argparse.ArgumentParser]] = {
    ("sim",): sim_parser,
    ("setup",): setup_parser,
    ("replay",): replay_parser,
}


def _typer(name: str, command: Any, before: tuple[str, ...] = ()) -> Iterable[Command]:
    words = (*before, name)
    if words in _PARSERS:
        yield from _argparse(words, _PARSERS[words](), command.help or _SETUP)
        return
    if hasattr(command, "commands"):
        for below, inner in command.commands.items():
            yield from _typer(below, inner, words)
        return
    first, _, more = (command.help or "").partition("\n\n")
    arguments = tuple(_metavar(param) for param in command.params if param.param_type_name == "argument")
    options = tuple(_typer_option(param) for param in command.params if _is_shown_option(param))
    yield Command(words, " ".join(first.split()), arguments, options, " ".join(more.split()))


def _choices(kind: Any) -> tuple[str, ...]:
    return tuple(str(member.value) for member in list[Any](kind)) if isinstance(kind, EnumType) else ()


def _is_shown_option(param: Any) -> bool:
    return param.param_type_name == "option" and not param.hidden and "--help" not in param.opts


def _metavar(param: Any) -> str:
    shown = param.metavar or param.name.upper()
    return shown if param.required or shown.startswith("[") else f"[{shown}]"


def _typer_option(param: Any) -> Option:
    kind = param.type_descriptor.annotation
    choices = _choices(kind)
    value = "" if param.is_flag else str(param.metavar or getattr(kind, "__name__", "value")).lower()
    return Option((*param.opts, *param.secondary_opts), _sentence(param.help or ""), value, choices)


def _argparse(words: tuple[str, ...], parser: argparse.ArgumentParser, meaning: str) -> Iterable[Command]:
    below: dict[str, argparse.ArgumentParser] = {}
    helps: dict[str, str] = {}
    arguments: list[str] = []
    options: list[Option] = []
    for action in parser._actions:  # argparse has no public way to look at them
        if isinstance(action, argparse._SubParsersAction):
            below = action.choices
            helps = {choice.dest: choice.help or "" for choice in action._choices_actions}
        elif action.option_strings and "--help" not in action.option_strings:
            options.append(_argparse_option(action))
        elif not action.option_strings:
            arguments.append(_argument(action))
    if not below:
        yield Command(words, _sentence(meaning), tuple(arguments), tuple(options))
    for name, inner in below.items():
        yield from _argparse((*words, name), inner, helps.get(name, inner.description or ""))


def _argument(action: argparse.Action) -> str:
    shown = str(action.metavar or action.dest.upper())
    return {"?": f"[{shown}]", "*": f"[{shown}...]", "+": f"{shown}..."}.get(str(action.nargs), shown)


def _argparse_option(action: argparse.Action) -> Option:
    takes = action.nargs != 0
    value = str(action.metavar or action.dest).lower() if takes else ""
    choices = tuple(str(choice) for choice in action.choices or ())
    return Option(tuple(action.option_strings), _sentence(action.help or ""), value, choices)


def _sentence(text: str) -> str:
    """One sentence, with its capital and its full stop."""
    text = " ".join(text.split()).rstrip(".")
    return f"{text[:1].upper()}{text[1:]}." if text else ""
