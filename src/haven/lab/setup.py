"""`python3 -m haven.lab.setup [--dev]`: makes a fresh machine able to run a lab and the project's tests.

Runs with the system's bare Python. Installs the missing packages of the distribution (it lists them and asks),
the project's virtual environment and the guests' kernel; enables no service and installs no kernel. Run again, it
finds all that is done already.
"""

from __future__ import annotations

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - before the imports, which an older Python cannot read
    sys.exit(f"haven setup: this is Python {sys.version.split()[0]}: run it with Python 3.11 or newer")

import argparse
import os
from dataclasses import dataclass
from pathlib import Path

from haven.bootstrap.environment import Environment, python_packages
from haven.bootstrap.progress import Progress, Step
from haven.lab import accel, artifacts, machine_check, packages
from haven.lab.artifacts import ArtifactFolder
from haven.lab.errors import LabError
from haven.lab.guest import Accel
from haven.lab.packages import Apt, Distribution


@dataclass(frozen=True)
class Setup:
    """One run of the setup."""

    distribution: Distribution
    project: Path
    progress: Progress
    development: bool

    def run(self) -> None:
        """All the steps in order; LabError at the first that fails."""
        apt = Apt(self.progress)
        wanted = self._missing_packages()
        if wanted:
            _ask(wanted)
        with self.progress.step("Packages of the distribution") as step:
            self._install(apt, step, wanted)
        with self.progress.step("Python environment") as step:
            Environment(self.project, "dev" if self.development else "runtime").prepare(self.progress, step)
        folder = ArtifactFolder(self.project / "build" / "guest")
        with self.progress.step("Kernel and initrd for guests") as step:
            artifacts.prepare(folder, apt, step, self.distribution.kernel_package)
        with self.progress.step("Virtualisation") as step:
            _choose_accel(folder, step)

    def _missing_packages(self) -> tuple[str, ...]:
        wanted = self.distribution.lab_packages + (packages.TEST_PACKAGES if self.development else ())
        return packages.missing(wanted) + python_packages()

    def _install(self, apt: Apt, step: Step, wanted: tuple[str, ...]) -> None:
        if not wanted:
            step.note("nothing is missing")
            return
        apt.install(step, wanted)
        if lacking := self._missing_packages():
            raise LabError(f"apt-get succeeded, but this is still missing: {', '.join(lacking)}")
        step.note(f"{len(wanted)} installed")


def _ask(wanted: tuple[str, ...]) -> None:
    """Shows what will be installed and asks, if there is someone to ask."""
    print("haven's lab needs these packages, and what they depend on, from the distribution:")
    print(f"  {' '.join(wanted)}")
    print("No service is enabled or started, and no kernel is installed.", flush=True)
    if os.environ.get("YES") == "1" or not sys.stdin.isatty():
        return
    try:
        answer = input("Install them? [Y/n] ").strip().lower()
    except EOFError:
        print()
        answer = "no"
    if answer not in ("", "y", "yes"):
        raise LabError("nothing was installed; without these packages there is no lab")


def _choose_accel(folder: ArtifactFolder, step: Step) -> None:
    chosen = accel.recorded(folder.path)
    if chosen is None:
        step.note("trying to boot a guest under KVM (up to 10 s)")
        works, finding = accel.kvm_works(folder.load())
        chosen = Accel.KVM if works else Accel.TCG
        accel.record(folder.path, chosen)
        step.note(finding if works else f"emulation (TCG): {finding}")
        return
    step.note("KVM" if chosen is Accel.KVM else "emulation (TCG), as found before")


def _explain(error: LabError) -> int:
    print(f"haven setup: {error}", file=sys.stderr)
    if error.detail:
        print("\n".join(f"    {line}" for line in error.detail.splitlines()), file=sys.stderr)
    return 1


def main(argv: list[str]) -> int:
    """Entry point; the exit status."""
    parser = argparse.ArgumentParser(prog="haven setup", description="Prepare this machine for haven's lab.")
    parser.add_argument("--dev", action="store_true", help="also install the tools of the tests")
    options = parser.parse_args(argv)
    distribution = packages.parse_os_release(Path("/etc/os-release").read_text())
    lines = list(machine_check.problems(distribution))
    for line in lines:
        print(f"haven setup: {line}", file=sys.stderr)
    if lines:
        return 1
    project = artifacts.project_root()
    (project / "build").mkdir(exist_ok=True)
    progress = Progress(sys.stdout, project / "build" / "setup.log")
    try:
        if not distribution.tested:
            print(f"haven setup: not tried on {distribution.name} {distribution.version}; going on")
        Setup(distribution, project, progress, options.dev).run()
    except LabError as error:
        return _explain(error)
    except KeyboardInterrupt:
        print("haven setup: interrupted; run it again to go on", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
