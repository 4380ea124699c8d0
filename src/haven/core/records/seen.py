"""What was found in force: settings, definitions."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SettingsInForce:
    """haven.toml as one of a node's processes runs with it since its start: texts by key, secrets masked."""

    node: str
    daemon: str
    values: dict[str, str]
    since_wall_s: float

    @property
    def place(self) -> str:
        return f"{self.daemon}/{self.node}"


@dataclass(frozen=True, slots=True)
class DefinitionSeen:
    """A VM's definition as it was last told: its parts in short words, by name (`memory`, `disk vda`)."""

    uuid: str
    parts: dict[str, str]
