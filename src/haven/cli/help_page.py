"""`haven --help`: the commands under headings, so that what is looked for at night is found."""

from typing import Any

from typer.core import TyperGroup

SECTIONS = {
    "Look": ("status", "explain", "incidents", "history", "watch", "verify", "report"),
    "Take care of VMs": ("observe", "protect", "options", "set", "checks", "drill"),
    "Hands off for a while": ("maintenance", "lock", "unlock"),
    "Be told": ("notify",),
    "Rehearse": ("sim", "decisions", "replay"),
    "Install and run": ("setup", "config", "cluster-options", "up", "lrm", "crm", "api", "version"),
}


class SectionedGroup(TyperGroup):
    """A command that is in no section would be listed nowhere: a test holds that there is none."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        del ctx
        column = max(map(len, self.commands))
        limit = formatter.width - column - 6
        for title, names in SECTIONS.items():
            rows = [(f"{name:<{column}}", self.commands[name].get_short_help_str(limit)) for name in names]
            with formatter.section(title):
                formatter.write_dl(rows)
