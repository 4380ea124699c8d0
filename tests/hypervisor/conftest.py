"""A lab host per module."""

from collections.abc import Iterator

import pytest

from haven.lab.host import LabHost
from haven.lab.testing import why_no_lab
from tests.hypervisor.tiny import Bench


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    if reason := why_no_lab():
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("lab")
    with LabHost(folder / "host") as host:
        yield Bench(host, folder)
