"""Proxmox VE's way of reading a command line, as tables: commands, their arguments and options.

`--opt value`, `--opt=value`, `-opt value`; a boolean may stand alone; options and commands may be
abbreviated as long as they stay unique. It knows nothing of what the commands do.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from haven.api.params import fits_one_line
from haven.cli.text import shortened

Value = str | int | bool

TRUE_WORDS = ("1", "on", "yes", "true")
FALSE_WORDS = ("0", "off", "no", "false")


class UsageError(Exception):
    """The command line cannot be used. `lines` are for stderr, `usage` is the line that follows them."""

    def __init__(self, *lines: str, usage: str = "") -> None:
        super().__init__(lines[0])
        self.lines = (*lines, usage) if usage else lines


class Kind(StrEnum):
    """The type of a value, by its name in error texts."""

    STRING = "string"
    INTEGER = "integer"
    BOOLEAN = "boolean"


@dataclass(frozen=True, slots=True)
class Param:
    """An argument or option: its name, what it takes and within which limits. `many`: a list, which may also be
    given piece by piece: `--resources vm:101 --resources vm:102`."""

    name: str
    meaning: str
    kind: Kind = Kind.STRING
    choices: tuple[str, ...] = ()
    minimum: int | None = None
    maximum: int | None = None
    max_chars: int = 4096
    may_be_empty: bool = False
    many: bool = False
    prefix: str = ""  # may stand before the value and means nothing: `current=` of qm's memory


@dataclass(frozen=True, slots=True)
class Command:
    """One command: its words (`crm-command`, `stop`), then positional arguments, then options."""

    words: tuple[str, ...]
    meaning: str
    arguments: tuple[Param, ...] = ()
    options: tuple[Param, ...] = ()

    @property
    def name(self) -> str:
        return " ".join(self.words)


@dataclass(frozen=True, slots=True)
class Call:
    """A command line as understood."""

    tool: str
    command: Command
    values: Mapping[str, Value]

    def text(self, name: str) -> str:
        """A text argument; empty when it was not given."""
        return str(self.values.get(name, ""))

    def flag(self, name: str) -> bool:
        """A boolean; false when it was not given."""
        return bool(self.values.get(name, False))

    def given(self, names: Iterable[str]) -> dict[str, Value]:
        """Those of the named values that were given, as the API takes them: booleans are 1 and 0."""
        found = {name: self.values[name] for name in names if name in self.values}
        return {name: int(value) if isinstance(value, bool) else value for name, value in found.items()}


@dataclass(frozen=True, slots=True)
class Tool:
    """A program: its name and its commands."""

    name: str
    commands: tuple[Command, ...]

    def usage(self, command: Command) -> str:
        arguments = "".join(f" <{param.name}>" for param in command.arguments)
        return f"{self.name} {command.name}{arguments}{' [OPTIONS]' if command.options else ''}"

    def overview(self) -> tuple[str, ...]:
        """What is printed when no command was given."""
        return (
            f"USAGE: {self.name} <COMMAND> [ARGS] [OPTIONS]",
            *(f"       {self.usage(command)}" for command in self.commands),
            f"       {self.name} help [COMMAND]",
        )

    def parse(self, argv: Sequence[str]) -> Call:
        """Understand a command line. Raises UsageError."""
        command, rest = self._command(argv)
        usage = self.usage(command)
        words, raw = _split(rest, command.options, usage)
        if len(words) != len(command.arguments):
            which = "not enough" if len(words) < len(command.arguments) else "too many"
            raise UsageError(f"400 {which} arguments", usage=usage)
        return Call(self.name, command, _checked([*zip(command.arguments, words, strict=True), *raw], usage))

    def help(self, words: Sequence[str]) -> tuple[str, ...]:
        """The text of `help [COMMAND]`, also for the first words of several commands (`help rules`). Raises
        UsageError for a command that does not exist."""
        words = [word for word in words if not word.startswith("-")]
        if not words:
            return self.overview()
        candidates, rest = self._candidates(words)
        if rest is None:
            return tuple(f"USAGE: {self.usage(command)}" for command in candidates)
        [command] = candidates
        return (f"USAGE: {self.usage(command)}", "", f"  {command.meaning}", *_describe(command))

    def _command(self, argv: Sequence[str]) -> tuple[Command, Sequence[str]]:
        """The command that the first words name, and the rest."""
        if not argv:
            raise UsageError("ERROR: no command specified", *self.overview())
        candidates, rest = self._candidates(argv)
        if rest is not None:
            return candidates[0], rest
        missing = ", ".join(sorted({command.words[len(argv)] for command in candidates}))
        raise UsageError(f"ERROR: no command specified after '{self.name} {' '.join(argv)}': one of {missing}")

    def _candidates(self, argv: Sequence[str]) -> tuple[Sequence[Command], Sequence[str] | None]:
        """The command that the first words name, and the rest; or all that begin with them, and None."""
        candidates: Sequence[Command] = self.commands
        for depth, word in enumerate(argv):
            candidates = self._narrowed(candidates, depth, word, argv)
            if len(candidates) == 1 and len(candidates[0].words) == depth + 1:
                return candidates, argv[depth + 1 :]
        return candidates, None

    def _narrowed(self, among: Sequence[Command], depth: int, word: str, argv: Sequence[str]) -> Sequence[Command]:
        names = {command.words[depth] for command in among}
        matching = {word} if word in names else {name for name in names if word and name.startswith(word)}
        if len(matching) == 1:
            return [command for command in among if command.words[depth] in matching]
        typed = shortened(" ".join([*argv[:depth], word]))
        if matching:
            raise UsageError(f"ERROR: command '{typed}' is not unique: {', '.join(sorted(matching))}")
        raise UsageError(f"ERROR: unknown command '{self.name} {typed}', see '{self.name} help'")


def _describe(command: Command) -> list[str]:
    """Help lines of a command's arguments and options."""
    lines = []
    for param in command.arguments + command.options:
        head = f"<{param.name}>" if param in command.arguments else f"--{param.name}"
        takes = f"<{' | '.join(param.choices)}>" if param.choices else f"<{param.kind}>"
        lines += ["", f"  {head:<16} {takes}", f"        {param.meaning}"]
    return lines


Raw = tuple[Param, str]


@dataclass(slots=True)
class _Words:
    """The words of a command line that are not read yet."""

    left: list[str] = field(default_factory=list)

    def value_for(self, param: Param, usage: str) -> str:
        """The value that follows an option. A boolean takes the next word only if it says yes or no."""
        if param.kind is Kind.BOOLEAN:
            says = bool(self.left) and self.left[0].casefold() in TRUE_WORDS + FALSE_WORDS
            return self.left.pop(0) if says else "1"
        if not self.left:
            raise UsageError(
                f"Option {param.name} requires an argument", "400 unable to parse option", usage=usage
            )
        return self.left.pop(0)


def _split(argv: Sequence[str], options: tuple[Param, ...], usage: str) -> tuple[list[str], list[Raw]]:
    """Positional words, and options with their values as typed."""
    words = _Words(list(argv))
    positional: list[str] = []
    found: list[Raw] = []
    while words.left:
        word = words.left.pop(0)
        if word == "--":
            return positional + words.left, found
        if not word.startswith("-") or word == "-" or word[1:].isdecimal():
            positional.append(word)
            continue
        name, given, value = word.removeprefix("-").removeprefix("-").partition("=")
        param = _option(name, options, usage)
        found.append((param, value if given else words.value_for(param, usage)))
    return positional, found


def _option(typed: str, options: tuple[Param, ...], usage: str) -> Param:
    """The option that a name, perhaps abbreviated, stands for."""
    key = typed.casefold()
    exact = [param for param in options if param.name.casefold() == key]
    matching = exact or [param for param in options if key and param.name.casefold().startswith(key)]
    if len(matching) == 1:
        return matching[0]
    shown = shortened(typed)
    if not matching:
        raise UsageError(f"Unknown option: {shown}", "400 unable to parse option", usage=usage)
    names = ", ".join(param.name for param in matching)
    raise UsageError(f"Option {shown} is ambiguous ({names})", "400 unable to parse option", usage=usage)


def _checked(raw: Sequence[Raw], usage: str) -> dict[str, Value]:
    """Every value in its type. Raises UsageError that names each bad one."""
    values: dict[str, Value] = {}
    errors: dict[str, str] = {}
    for param, word in raw:
        try:
            value = _value(param, word)
            more = param.many and param.name in values
            values[param.name] = f"{values[param.name]},{value}" if more else value
        except ValueError as error:
            errors[param.name] = str(error)
    if errors:
        raise verification_failed(errors, usage)
    return values


BAD_PARAMETERS = "400 Parameter verification failed."


def verification_failed(errors: Mapping[str, str], usage: str, head: str = BAD_PARAMETERS) -> UsageError:
    """Proxmox VE's text for bad parameters: a head line, a line for each text, the usage. Several texts on
    one parameter come joined by a backslash and an n."""
    lines = [f"{name}: {part}" for name, text in sorted(errors.items()) for part in text.split(r"\n")]
    return UsageError(head, *lines, usage=usage)


def _value(param: Param, word: str) -> Value:
    """One value in its type and within its limits. Raises ValueError with the text for people."""
    if len(word) > param.max_chars:
        raise ValueError(f"value may only be {param.max_chars} characters long")
    if param.kind is Kind.BOOLEAN:
        return _boolean(word)
    if param.kind is Kind.INTEGER:
        return _integer(param, word)
    if not fits_one_line(word):
        raise ValueError(
            f"invalid format - line breaks and control characters are not allowed: '{shortened(word)}'"
        )
    if not word and not param.may_be_empty:
        raise ValueError("invalid format - value is empty")
    if param.choices and word not in param.choices:
        raise ValueError(
            f"value '{shortened(word)}' does not have a value in the enumeration '{', '.join(param.choices)}'"
        )
    return word


def _boolean(word: str) -> bool:
    if word.casefold() not in TRUE_WORDS + FALSE_WORDS:
        raise ValueError(f"type check ('boolean') failed - got '{shortened(word)}'")
    return word.casefold() in TRUE_WORDS


def _integer(param: Param, word: str) -> int:
    word = word.removeprefix(param.prefix)
    digits = word.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 18):
        raise ValueError(f"type check ('integer') failed - got '{shortened(word)}'")
    number = int(word)
    if param.minimum is not None and number < param.minimum:
        raise ValueError(f"value must have a minimum value of {param.minimum}")
    if param.maximum is not None and number > param.maximum:
        raise ValueError(f"value must have a maximum value of {param.maximum}")
    return number
