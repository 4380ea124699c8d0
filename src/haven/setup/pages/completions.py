"""Completions of bash, zsh and fish: plain tables, so that Tab never waits for haven."""

import shlex
from collections.abc import Callable, Iterable

from haven.setup.pages.programs import Command, Option, Program

_MARK = "# Written by `haven setup` from the program's own tables."


_BASH_FILES = "compopt -o default 2>/dev/null"
"""Files, where nothing else fits."""


def bash(program: Program) -> str:
    """For /usr/local/share/bash-completion/completions/NAME."""
    known = _alternatives(_prefixes(program), shlex.quote)
    function = _function(program)
    return f"""{_MARK}
{function}() {{
    local current=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}} at= next word choices=
    for word in "${{COMP_WORDS[@]:1:COMP_CWORD-1}}"; do
        next=${{at:+$at }}$word
        case $next in
            {known}) at=$next ;;
            *) break ;;
        esac
    done
    COMPREPLY=()
    case "$at $before" in
{_lines(_bash_values(program))}
    esac
    case $at in
{_lines(_bash_words(program))}
    esac
    COMPREPLY=($(compgen -W "$choices" -- "$current"))
}}
complete -F {function} {program.name}
"""


def _bash_values(program: Program) -> Iterable[str]:
    for command in program.commands:
        for option in command.options:
            if option.value:
                names = _alternatives((f"{' '.join(command.words)} {name}" for name in option.names), shlex.quote)
                words = shlex.quote(" ".join(option.choices))
                reply = _BASH_FILES if option.takes_file else f'COMPREPLY=($(compgen -W {words} -- "$current"))'
                yield f"{names}) {reply}; return ;;"


def _bash_words(program: Program) -> Iterable[str]:
    for prefix in _prefixes(program, and_none=True):
        words = [*(name for name, _ in _next_words(program, prefix)), *_option_names(program, prefix)]
        files = f" {_BASH_FILES};" if _takes_file(program, prefix) else ""
        yield f"{shlex.quote(prefix)}) choices={shlex.quote(' '.join(words))};{files};"


def zsh(program: Program) -> str:
    """For /usr/local/share/zsh/site-functions/_NAME."""
    known = _alternatives(_prefixes(program), _zsh_pattern)
    return f"""#compdef {program.name}
{_MARK}
local at next word
local -a found
for word in "${{(@)words[2,CURRENT-1]}}"; do
    next=${{at:+$at }}$word
    case $next in
        ({known}) at=$next ;;
        (*) break ;;
    esac
done
case "$at ${{words[CURRENT-1]}}" in
{_lines(_zsh_values(program))}
esac
case $at in
{_lines(_zsh_words(program))}
esac
_describe -o {program.name} found
"""


def _zsh_values(program: Program) -> Iterable[str]:
    for command in program.commands:
        for option in command.options:
            if option.value:
                names = _alternatives((f"{' '.join(command.words)} {name}" for name in option.names), _zsh_pattern)
                words = " ".join(shlex.quote(choice) for choice in option.choices)
                yield f"({names}) {'_files' if option.takes_file else f'compadd -- {words}'}; return ;;"


def _zsh_words(program: Program) -> Iterable[str]:
    for prefix in _prefixes(program, and_none=True):
        pairs = [*_next_words(program, prefix), *_options_of(program, prefix)]
        found = " ".join(shlex.quote(f"{name}:{meaning}") for name, meaning in pairs)
        files = " _files;" if _takes_file(program, prefix) else ""
        yield f"({_zsh_pattern(prefix)}) found=({found});{files};"


def _zsh_pattern(text: str) -> str:
    return shlex.quote(text)


def fish(program: Program) -> str:
    """For /usr/local/share/fish/vendor_completions.d/NAME.fish."""
    function = _function(program)
    return f"""{_MARK}
function {function}_words
    set -l words (commandline -opc)
    set -e words[1]
    string match -v -- '-*' $words
end
function {function}_at
    set -l words ({function}_words)
    test "$words" = "$argv"
end
function {function}_in
    set -l words ({function}_words)
    string match -q -- "$argv *" "$words "
end
complete -c {program.name} -f
{_lines(_fish_lines(program, function), indent="")}
"""


def _fish_lines(program: Program, function: str) -> Iterable[str]:
    for prefix in _prefixes(program, and_none=True):
        for name, meaning in _next_words(program, prefix):
            where = _fish(f"{function}_at {prefix}".rstrip())
            yield f"complete -c {program.name} -n {where} -a {_fish(name)} -d {_fish(meaning)}"
    for command in program.commands:
        where = _fish(f"{function}_in {' '.join(command.words)}")
        for option in command.options:
            names = " ".join(
                f"-l {name[2:]}" if name.startswith("--") else f"-s {name[1:]}" for name in option.names
            )
            yield f"complete -c {program.name} -n {where} {names}{_fish_value(option)} -d {_fish(option.meaning)}"
        if command.takes_file:
            yield f"complete -c {program.name} -n {where} -F"


def _fish_value(option: Option) -> str:
    if option.takes_file:
        return " -r -F"
    if option.choices:
        return f" -x -a {_fish(' '.join(option.choices))}"
    return " -x" if option.value else ""


def _fish(text: str) -> str:
    """In single quotes, where fish knows two escapes."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


# -- what all three need -------------------------------------------------------------------------------------


def _function(program: Program) -> str:
    return "_haven_" + program.name.replace("-", "_")


def _prefixes(program: Program, *, and_none: bool = False) -> list[str]:
    """Every beginning of a command: `crm-command`, `crm-command stop`; the empty one too, if asked for."""
    found = {
        " ".join(command.words[:length])
        for command in program.commands
        for length in range(1, len(command.words) + 1)
    }
    return ([""] if and_none else []) + sorted(found)


def _next_words(program: Program, prefix: str) -> list[tuple[str, str]]:
    """The words that can follow a prefix, with their meanings; of a group of commands there is none."""
    before = tuple(prefix.split())
    found: dict[str, str] = {}
    for command in program.commands:
        if command.words[: len(before)] == before and len(command.words) > len(before):
            last = len(command.words) == len(before) + 1
            found.setdefault(command.words[len(before)], command.meaning if last else "")
    return list(found.items())


def _command(program: Program, prefix: str) -> Command | None:
    return next((command for command in program.commands if " ".join(command.words) == prefix), None)


def _takes_file(program: Program, prefix: str) -> bool:
    command = _command(program, prefix)
    return command is not None and command.takes_file


def _options_of(program: Program, prefix: str) -> list[tuple[str, str]]:
    command = _command(program, prefix)
    options: tuple[Option, ...] = command.options if command else ()
    return [(name, option.meaning) for option in options for name in option.names]


def _option_names(program: Program, prefix: str) -> list[str]:
    return [name for name, _ in _options_of(program, prefix)]


def _alternatives(words: Iterable[str], quoted: Callable[[str], str]) -> str:
    return "|".join(quoted(word) for word in words)


def _lines(lines: Iterable[str], indent: str = "        ") -> str:
    return "\n".join(indent + line for line in lines)
