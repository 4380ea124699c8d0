"""Real lab hosts for tests; what they share with other rooms' tests is in haven.lab.testing."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from haven.lab.guest import GuestArtifacts
from haven.lab.host import LabHost
from haven.lab.testing import load_artifacts


@pytest.fixture(scope="session")
def guest_artifacts() -> GuestArtifacts:
    return load_artifacts()


@pytest.fixture
def lab_host(tmp_path: Path) -> Iterator[LabHost]:
    with LabHost(tmp_path / "host") as host:
        yield host
