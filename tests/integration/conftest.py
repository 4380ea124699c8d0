"""Real lab hosts with haven; one a module where its tests can share it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from haven.lab.demo.screen import Screen
from haven.lab.demo.stage import Stage
from haven.lab.guest import GuestArtifacts
from haven.lab.haven_host import HavenHost
from haven.lab.testing import load_artifacts
from tests.integration.vms import TestVm, forget, protected


@pytest.fixture(scope="session")
def artifacts() -> GuestArtifacts:
    return load_artifacts()


@pytest.fixture(scope="module")
def stage(artifacts: GuestArtifacts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """The demo's stage; what it prints is shown with a failing test. Other tests keep the machine busy besides."""
    with Stage(Path(tmp_path_factory.mktemp("demo")), artifacts, Screen(sys.stdout), patience=6.0) as stage:
        yield stage


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HavenHost]:
    """A host on which haven is up; modules that need another one have their own."""
    with HavenHost(Path(tmp_path_factory.mktemp("lab")) / "host") as host:
        host.configure("tick_s = 2\nbrake_window_s = 10\n")
        host.haven_start()
        yield host


@pytest.fixture
def vm(host: HavenHost) -> Iterator[TestVm]:
    """A blank guest, protected and running."""
    vm = protected(host)
    yield vm
    forget(vm)
