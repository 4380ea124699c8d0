"""Every command line test has an API of its own, on a socket in its own folder."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.fake_api import FakeApi, serving, talk_to


@pytest.fixture(autouse=True)
def _plain_surroundings(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Neither sudo nor colours nor the tester's own time zone decide what is asserted."""
    for name in ("SUDO_USER", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES"):
        monkeypatch.delenv(name, raising=False)
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeApi]:
    path = tmp_path / "api.sock"
    talk_to(path, monkeypatch)
    with serving(path) as fake:
        yield fake
