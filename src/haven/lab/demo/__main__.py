"""`python -m haven.lab.demo [SCENE …]`: plays the scenes; exit status 1 when one fails.

With KEEP=1 in the environment the lab host stays up afterwards.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from haven.lab.artifacts import project_root
from haven.lab.demo import keep
from haven.lab.demo.leftovers import Footprint, footprint, mounts
from haven.lab.demo.scene import Outcome, Scene, play, summary
from haven.lab.demo.scenes import SCENES
from haven.lab.demo.screen import Screen
from haven.lab.demo.stage import Stage
from haven.lab.errors import LabError
from haven.lab.haven_host import HavenHost
from haven.lab.testing import load_artifacts, why_no_lab

HOST = "host"
EXIT_FAILED = 1
EXIT_CANNOT = 2
EXIT_INTERRUPTED = 130


def why_not(folder: Path) -> str:
    """Why the demo cannot be played here and now, in one line; empty if it can."""
    if not (Path(sys.executable).parent / "haven").exists():
        return f"no haven beside {sys.executable}: run `make setup`, then .venv/bin/python -m haven.lab.demo"
    if reason := why_no_lab():
        return reason
    if HavenHost(folder / HOST).running:
        return f"another demo is being played, or its lab host was kept; take it down with {folder / keep.DOWN}"
    return ""


def chosen(keys: Sequence[str]) -> tuple[Scene, ...]:
    """The scenes with these keys and the one that all need; all of them when none is named."""
    return tuple(scene for scene in SCENES if not keys or scene.key in keys or scene is SCENES[0])


def run(folder: Path, scenes: Sequence[Scene], screen: Screen, *, stay: bool) -> int:
    """Plays the scenes on a lab host of its own; the exit status."""
    root = folder / HOST
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    keep.write_wrappers(folder, root)
    mounts_before = mounts()
    with Stage(root, load_artifacts(), screen) as stage:
        outcomes = [play(scene, stage) for scene in scenes]
        behind = footprint(stage.host, mounts_before)
        if stay:
            stage.host.leave_running()
    good = verdict(outcomes, screen)
    if stay:
        for line in keep.ways_in(folder):
            screen.line(line)
        return 0 if good else EXIT_FAILED
    return 0 if _clean(behind, screen) and good else EXIT_FAILED


def verdict(outcomes: Sequence[Outcome], screen: Screen) -> bool:
    """The last screen; whether every scene was as it had to be."""
    screen.title("What happened")
    summary(outcomes, screen)
    screen.line()
    failed = [outcome.scene.key for outcome in outcomes if outcome.failure]
    took = f"{screen.elapsed_s():.0f} s"
    if failed:
        screen.line(f"FAILED after {took}: {', '.join(failed)}", "31")
    else:
        skipped = [outcome.scene.key for outcome in outcomes if outcome.skipped]
        count = f"{len(outcomes) - len(skipped)} of {len(outcomes)}" if skipped else f"All {len(outcomes)}"
        rest = f"; skipped: {', '.join(skipped)}" if skipped else ""
        screen.line(f"{count} scenes as they should be, in {took}{rest}.", "32")
    return not failed


def _clean(behind: Footprint, screen: Screen) -> bool:
    """Whether nothing is left of the lab host."""
    left = behind.left()
    screen.line(f"FAILED: left behind: {', '.join(left)}" if left else "Nothing is left running.")
    return not left


def _interrupted(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


def main(argv: Sequence[str]) -> int:
    """Entry point; the exit status."""
    parser = argparse.ArgumentParser(prog="haven.lab.demo", description="haven's main job, shown on real VMs.")
    parser.add_argument("scene", nargs="*", choices=[*(scene.key for scene in SCENES), []], help="default: all")
    default = project_root() / "build" / "demo"
    parser.add_argument("--folder", type=Path, default=default, help=f"what it writes (default: {default})")
    options = parser.parse_args(argv)
    folder = options.folder.absolute()
    if reason := why_not(folder):
        print(f"haven demo: {reason}", file=sys.stderr)
        return EXIT_CANNOT
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupted)
    stay = os.environ.get("KEEP", "") not in ("", "0")
    try:
        return run(folder, chosen(options.scene), Screen(sys.stdout), stay=stay)
    except KeyboardInterrupt:
        print("\nhaven demo: interrupted; the lab host and everything in it is gone", file=sys.stderr)
        return EXIT_INTERRUPTED
    except LabError as error:
        print(f"haven demo: {error}", file=sys.stderr)
        return EXIT_FAILED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
