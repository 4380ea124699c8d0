"""`haven setup`: the command line."""

from __future__ import annotations

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - before the imports, which an older Python cannot read
    sys.exit(f"haven setup: this is Python {sys.version.split()[0]}: run it with Python 3.11 or newer")

import argparse
import os
from collections.abc import Sequence

from haven.bootstrap.errors import SetupError
from haven.bootstrap.progress import Progress
from haven.core.settings import Settings, SettingsError
from haven.daemons.machine import load_settings
from haven.setup import actions, host
from haven.setup.places import Places

EXIT_TROUBLE = 1
EXIT_USAGE = 2


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]
        print(f"{self.prog}: {message} (see {self.prog} --help)", file=sys.stderr)
        sys.exit(EXIT_USAGE)


def parser() -> argparse.ArgumentParser:
    """The options, also for the man page and the completions."""
    words = _Parser(
        prog="haven setup",
        allow_abbrev=False,
        description="Install haven for good on a host with systemd, or bring it to the version this is run from."
        " VMs are not touched by any of it.",
    )
    words.add_argument(
        "--rollback",
        nargs="?",
        const="",
        metavar="VERSION",
        help="go back to the version installed before, or to the one named",
    )
    words.add_argument(
        "--old-store",
        action="store_true",
        help="with --rollback: agree to the store as it was before its upgrade, if that version needs it",
    )
    words.add_argument("--repair", action="store_true", help="mend it, for example after an upgrade of the system")
    words.add_argument("--remove", action="store_true", help="take haven off this host; store and settings stay")
    words.add_argument("--purge", action="store_true", help="with --remove: remove its store and settings as well")
    words.add_argument("--no-start", action="store_true", help="install, but neither enable nor start anything")
    words.add_argument("--dry-run", action="store_true", help="say what would be done, and change nothing")
    return words


def main(argv: Sequence[str]) -> int:
    """Run one command line; the exit status."""
    try:
        options = parser().parse_args(argv)
        _refuse_mixed(options)
        return _run(options)
    except SystemExit as end:
        return int(end.code or 0)
    except (SetupError, SettingsError) as error:
        print(f"haven setup: {error}", file=sys.stderr)
        for line in getattr(error, "detail", "").splitlines():
            print(f"    {line}", file=sys.stderr)
    except OSError as error:
        print(f"haven setup: {error.filename or 'the system'}: {error.strerror or error}", file=sys.stderr)
    except KeyboardInterrupt:
        print("haven setup: interrupted; run it again to go on", file=sys.stderr)
        return 130
    return EXIT_TROUBLE


def _refuse_mixed(options: argparse.Namespace) -> None:
    chosen = [name for name in ("rollback", "repair", "remove") if getattr(options, name) not in (None, False)]
    if len(chosen) > 1:
        raise SetupError(f"--{chosen[0]} and --{chosen[1]} do not go together")
    if options.purge and not options.remove:
        raise SetupError("--purge goes with --remove")
    if options.old_store and options.rollback is None:
        raise SetupError("--old-store goes with --rollback")


def _run(options: argparse.Namespace) -> int:
    os.umask(0o022)  # whatever root's own is: others read man pages and run `haven version`
    places = Places()
    settings = load_settings()
    actions.check(places, settings)
    with host.alone(places):
        _carry_out(options, places, settings)
    return 0


def _carry_out(options: argparse.Namespace, places: Places, settings: Settings) -> None:
    setup = actions.Setup(
        places,
        settings,
        Progress(sys.stdout, places.log),
        host.Systemctl(),
        dry=options.dry_run,
        start=not options.no_start,
    )
    if options.remove:
        setup.remove(options.purge)
    elif options.repair:
        setup.repair()
    elif options.rollback is not None:
        setup.roll_back(options.rollback, options.old_store)
    else:
        setup.install()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
