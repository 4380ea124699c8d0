"""`python -m haven.setup.pages FOLDER`: writes this version's files for the host below FOLDER."""

import sys
from importlib.metadata import version as installed_version
from pathlib import Path

from haven.setup import units
from haven.setup.pages import completions, man
from haven.setup.pages.programs import programs
from haven.setup.places import PROGRAMS

_SHARE = "usr/local/share"


def host_files() -> dict[str, str]:
    """Every file with its path as from /, without the leading slash."""
    version = installed_version("haven")
    found = {f"etc/systemd/system/{unit.name}.service": units.text(unit) for unit in units.ALL}
    found |= {f"usr/local/bin/{name}": units.program_text(name) for name in PROGRAMS}
    found[f"{_SHARE}/man/man5/haven.toml.5"] = man.config_page(version)
    for program in programs():
        number = man.section(program.name)
        found[f"{_SHARE}/man/man{number}/{program.name}.{number}"] = man.program_page(program, version)
        found[f"{_SHARE}/bash-completion/completions/{program.name}"] = completions.bash(program)
        found[f"{_SHARE}/zsh/site-functions/_{program.name}"] = completions.zsh(program)
        found[f"{_SHARE}/fish/vendor_completions.d/{program.name}.fish"] = completions.fish(program)
    return found


def write(folder: Path) -> None:
    """Writes them all; programs can be run."""
    for name, text in host_files().items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755 if path.parent.name == "bin" else 0o644)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
