"""The fencing device file (spec 6.9): which commands power a node off, try by try.

    # a comment, on a line of its own or behind the words of one
    device NAME[:NUMBER] AGENT ARGS...
    connect NAME[:NUMBER] node=NODE ARGS...

Arguments are `key=value` or `key`. There is no quoting: words end at blanks, and only a word that begins
with `#` begins a comment. Values may be passwords, so no error ever quotes an argument.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import takewhile

Argv = tuple[str, ...]

_NAME = re.compile(r"(?P<device>[^:]+)(?::(?P<number>[0-9]{1,9}))?")
_WORD = re.compile(r"[^ \t\r\f\v]+")
_DEFAULT_NUMBER = 1
_NODE = "node="


class FenceFault(StrEnum):
    """What can be wrong with a line: the three of spec 6.9, then what only a text can have."""

    CONNECT_BEFORE_DEVICE = "connect_before_device"
    DEVICE_DECLARED_TWICE = "device_declared_twice"
    NODE_CONNECTED_TWICE = "node_connected_twice"
    UNKNOWN_LINE = "unknown_line"
    BAD_DEVICE_NAME = "bad_device_name"
    AGENT_MISSING = "agent_missing"
    NODE_MISSING = "node_missing"
    BAD_ARGUMENT = "bad_argument"


_SENTENCES = {
    FenceFault.CONNECT_BEFORE_DEVICE: "{it} is not declared yet: put its device line before this one",
    FenceFault.DEVICE_DECLARED_TWICE: "{it} is declared twice: give one of the two another number",
    FenceFault.NODE_CONNECTED_TWICE: "node '{node}' is connected twice to {it}: remove one of the lines",
    FenceFault.UNKNOWN_LINE: "expected a line that begins with 'device' or 'connect'",
    FenceFault.BAD_DEVICE_NAME: "expected a device after the first word: NAME or NAME:NUMBER",
    FenceFault.AGENT_MISSING: "{it} has no fence agent: expected device NAME AGENT ARGS...",
    FenceFault.NODE_MISSING: "expected node=NODE as the first word after {it}",
    FenceFault.BAD_ARGUMENT: "expected an agent and arguments key=value or key, without leading dashes, for {it}",
}


@dataclass(frozen=True, slots=True)
class FenceError:
    """One thing that is wrong, with the number of its line (the first line is 1)."""

    line: int
    fault: FenceFault
    device: str | None = None
    number: int | None = None
    node: str | None = None

    def __str__(self) -> str:
        it = f"device '{self.device}'" if self.number is None else f"device '{self.device}:{self.number}'"
        return f"line {self.line}: {_SENTENCES[self.fault].format(it=it, node=self.node)}"


class FenceFileError(Exception):
    """The file cannot be used; `errors` has everything that is wrong with it, by line."""

    def __init__(self, errors: Iterable[FenceError]) -> None:
        self.errors = tuple(errors)
        super().__init__("; ".join(map(str, self.errors)))


@dataclass(frozen=True, slots=True)
class DeviceLine:
    """A device, or one of several with the same name that must all succeed (`number`)."""

    line: int
    device: str
    number: int
    agent: str
    args: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class ConnectLine:
    """A node hangs on a device; `args` tell the agent where (`plug=3`)."""

    line: int
    device: str
    number: int
    node: str
    args: tuple[str, ...] = field(default=(), repr=False)


FenceLine = DeviceLine | ConnectLine


@dataclass(frozen=True, slots=True)
class FenceDevice:
    """All of one name: by number what they are, and by node where it hangs on which numbers."""

    name: str
    parts: Mapping[int, DeviceLine]
    connections: Mapping[str, Mapping[int, ConnectLine]]

    def commands(self, node: str) -> tuple[Argv, ...]:
        """What to run for a node, by number; all must succeed. None: the node does not hang on this device."""
        connected = self.connections.get(node, {})
        return tuple(_argv(self.parts[number], connected[number]) for number in sorted(connected))


@dataclass(frozen=True, slots=True)
class FenceFile:
    """The devices in the order of their first declaration."""

    devices: tuple[FenceDevice, ...] = ()

    def tries(self, node: str) -> tuple[tuple[Argv, ...], ...]:
        """What to run to power a node off, try by try: one try per device that it is connected to."""
        return tuple(commands for device in self.devices if (commands := device.commands(node)))

    def commands_per_try(self, nodes: Collection[str]) -> tuple[Mapping[str, tuple[Argv, ...]], ...]:
        """Per try the commands of each node; the last try has none for any node."""
        tries = {node: self.tries(node) for node in nodes}
        most = max(map(len, tries.values()), default=0)
        return tuple(
            {node: of_node[number] if number < len(of_node) else () for node, of_node in tries.items()}
            for number in range(most + 1)
        )


def parse_fence_file(text: str) -> FenceFile:
    """Read the file's text. Raises FenceFileError with all that is wrong, and nothing else."""
    assembly = _Assembly()
    for number, line in enumerate(text.split("\n"), start=1):
        words = _words(line)
        if words:
            assembly.read(number, words)
    return assembly.finish()


def fence_file(lines: Iterable[FenceLine]) -> FenceFile:
    """Put lines together that are already split into words. Raises FenceFileError with all that is wrong."""
    assembly = _Assembly()
    for line in lines:
        assembly.add(line)
    return assembly.finish()


class _Assembly:
    """What the lines read so far amount to. A line that is wrong is left out, the others still count."""

    def __init__(self) -> None:
        self._parts: dict[str, dict[int, DeviceLine]] = {}
        self._connections: dict[str, dict[str, dict[int, ConnectLine]]] = {}
        self._errors: list[FenceError] = []

    def finish(self) -> FenceFile:
        if self._errors:
            raise FenceFileError(self._errors)
        return FenceFile(
            tuple(FenceDevice(name, parts, self._connections[name]) for name, parts in self._parts.items())
        )

    def read(self, line: int, words: list[str]) -> None:
        kind, *rest = words
        name = _NAME.fullmatch(rest[0]) if rest else None
        if kind not in ("device", "connect"):
            self._wrong(line, FenceFault.UNKNOWN_LINE)
        elif name is None:
            self._wrong(line, FenceFault.BAD_DEVICE_NAME)
        else:
            device, number = name["device"], int(name["number"] or _DEFAULT_NUMBER)
            read = self._device if kind == "device" else self._connect
            read(line, device, number, rest[1:])

    def add(self, line: FenceLine) -> None:
        if isinstance(line, DeviceLine):
            self._declare(line)
        elif line.number not in self._parts.get(line.device, {}):
            self._wrong(line.line, FenceFault.CONNECT_BEFORE_DEVICE, line.device, line.number)
        else:
            self._hang(line)

    def _device(self, line: int, device: str, number: int, words: list[str]) -> None:
        if not words:
            self._wrong(line, FenceFault.AGENT_MISSING, device, number)
            return
        self.add(DeviceLine(line, device, number, words[0], tuple(words[1:])))
        self._check_words(line, device, number, words)

    def _connect(self, line: int, device: str, number: int, words: list[str]) -> None:
        node = words[0].removeprefix(_NODE) if words and words[0].startswith(_NODE) else ""
        if not node:
            self._wrong(line, FenceFault.NODE_MISSING, device, number)
            return
        self.add(ConnectLine(line, device, number, node, tuple(words[1:])))
        self._check_words(line, device, number, words[1:])

    def _check_words(self, line: int, device: str, number: int, words: list[str]) -> None:
        """Those that become a command; NUL cannot be in one."""
        if any(word.startswith(("-", "=")) or "\0" in word for word in words):
            self._wrong(line, FenceFault.BAD_ARGUMENT, device, number)

    def _declare(self, line: DeviceLine) -> None:
        known = self._parts.setdefault(line.device, {})
        self._connections.setdefault(line.device, {})
        if line.number in known:
            self._wrong(line.line, FenceFault.DEVICE_DECLARED_TWICE, line.device, line.number)
        else:
            known[line.number] = line

    def _hang(self, line: ConnectLine) -> None:
        known = self._connections[line.device].setdefault(line.node, {})
        if line.number in known:
            self._wrong(line.line, FenceFault.NODE_CONNECTED_TWICE, line.device, line.number, line.node)
        else:
            known[line.number] = line

    def _wrong(
        self,
        line: int,
        fault: FenceFault,
        device: str | None = None,
        number: int | None = None,
        node: str | None = None,
    ) -> None:
        self._errors.append(FenceError(line, fault, device, number, node))


def _words(line: str) -> list[str]:
    """The words of a line without its comment."""
    return list(takewhile(lambda word: not word.startswith("#"), _WORD.findall(line)))


def _argv(device: DeviceLine, connect: ConnectLine) -> Argv:
    options = (word for arg in (*device.args, *connect.args) for word in _option(arg))
    return (device.agent, *options)


def _option(arg: str) -> tuple[str, ...]:
    """`key=value` as an agent takes it: `--key=value`, but `-k value` for a key of one letter."""
    key, equals, value = arg.partition("=")
    if len(key) > 1:
        return (f"--{arg}",)
    return (f"-{key}", value) if equals else (f"-{key}",)
