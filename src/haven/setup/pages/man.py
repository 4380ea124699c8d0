"""Man pages in roff (man(7)): one for each program, one for haven.toml."""

from haven.core.settings import described_keys
from haven.setup.pages.programs import Command, Option, Program

_EXAMPLES = {
    "haven": (
        ("haven status", "What should run, what runs, and what to do."),
        ("haven explain vm:102", "Why is it as it is?"),
        ("journalctl -u pve-ha-crm -f", "What haven does, as it does it."),
    ),
    "ha-manager": (
        ("ha-manager add vm:102 --state started --max_restart 3", "From now on 102 is kept running."),
        ("ha-manager set vm:102 --state stopped", "Stop it, and leave it off."),
    ),
    "qm": (("qm list", "The VMs of this host."), ("qm stop 102", "Stop one at once; haven leaves it off then.")),
    "pvecm": (("pvecm status", "Is there a quorum?"),),
}
_FILES = {
    "/etc/haven/haven.toml": "The configuration, see haven.toml(5).",
    "/var/lib/haven": "The store and the history.",
    "/run/haven": "Sockets and locks.",
    "/opt/haven": "The installed versions; /opt/haven/current is the one in use.",
}
_PAGES = {"haven": 8, "ha-manager": 8, "qm": 8, "pvecm": 8, "haven.toml": 5}


def program_page(program: Program, version: str) -> str:
    """The page of a program, section 8."""
    parts = [
        _head(program.name, version),
        _section("NAME", f"{_text(program.name)} \\- {_text(program.meaning)}"),
        _section("SYNOPSIS", f".B {_text(program.name)}\n.I COMMAND\n[ARGUMENTS] [OPTIONS]"),
        _section("COMMANDS", "\n".join(_command(program.name, command) for command in program.commands)),
        _section(
            "EXAMPLES", "\n".join(_item(f"\\fB{_text(line)}\\fR", why) for line, why in _EXAMPLES[program.name])
        ),
        _section("FILES", "\n".join(_item(f"\\fI{_text(path)}\\fR", what) for path, what in _FILES.items())),
        _section("SEE ALSO", _see_also(program.name)),
    ]
    return "".join(parts)


def config_page(version: str) -> str:
    """haven.toml(5)."""
    keys = "\n".join(
        _item(f"\\fB{_text(key)}\\fR = {_text(default)}", _sentence(meaning))
        for key, default, meaning in described_keys()
    )
    about = (
        "haven reads /etc/haven/haven.toml when it is started, or the file that $HAVEN_CONFIG names. The format is"
        " TOML. Every key may be left out; here is each with its default. A key that haven does not know, or a"
        " value out of its limits, is an error: haven says it in one line and does not start."
    )
    after = (
        "After a change:\n.PP\n.B systemctl restart haven-api pve-ha-crm pve-ha-lrm\n.PP\nNo VM is touched by it."
    )
    return "".join(
        (
            _head("haven.toml", version),
            _section("NAME", "haven.toml \\- the configuration file of haven"),
            _section("DESCRIPTION", _text(about) + "\n.PP\n" + after),
            _section("KEYS", keys),
            _section("SEE ALSO", _see_also("haven.toml")),
        )
    )


def section(name: str) -> int:
    """In which section of the manual a page is."""
    return _PAGES[name]


def _head(name: str, version: str) -> str:
    return (
        f".\\\" Written by `haven setup` from the program's own tables.\n"
        f'.TH "{name.upper()}" "{_PAGES[name]}" "" "haven {version}" "haven"\n'
        # No hyphens into names of commands, no stretched lines.
        ".nh\n.ad l\n"
    )


def _section(title: str, body: str) -> str:
    return f".SH {title}\n{body}\n"


def _command(program: str, command: Command) -> str:
    call = " ".join((program, *command.words))
    arguments = "".join(f" \\fI{_text(word)}\\fR" for word in command.arguments)
    head = f"\\fB{_text(call)}\\fR{arguments}" + (" [OPTIONS]" if command.options else "")
    text = " ".join(part for part in (command.meaning, command.more) if part)
    options = "".join(f"\n{_option(option)}" for option in command.options)
    return _item(head, text) + (f"\n.RS{options}\n.RE" if options else "")


def _option(option: Option) -> str:
    takes = " | ".join(option.choices) if option.choices else option.value
    head = ", ".join(f"\\fB{_text(name)}\\fR" for name in option.names) + (
        f" \\fI{_text(takes)}\\fR" if takes else ""
    )
    return _item(head, option.meaning)


def _item(head: str, text: str) -> str:
    return f".TP\n{head}\n{_text(text) or 'No more is known.'}"


def _see_also(name: str) -> str:
    others = sorted((other, number) for other, number in _PAGES.items() if other != name)
    return ",\n".join(f"\\fB{_text(other)}\\fR({number})" for other, number in others)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def _text(text: str) -> str:
    """Plain text for roff: a hyphen that can be copied, and no line that begins a request."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{text}" if text.startswith((".", "'")) else text
