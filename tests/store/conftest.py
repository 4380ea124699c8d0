from collections.abc import Iterator
from pathlib import Path

import pytest

from haven.store.sqlite import SqliteStore
from tests.store import rig


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    found = rig.opened(tmp_path)
    yield found
    found.close()
