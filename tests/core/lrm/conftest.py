"""Where most stories begin."""

import pytest

from tests.core.lrm.rig import TO_ACTIVE, OneNode


@pytest.fixture
def node() -> OneNode:
    return OneNode()


@pytest.fixture
def active(node: OneNode) -> OneNode:
    """Active, with vm:101 running."""
    node.running.add("vm:101")
    node.service("vm:101")
    assert node.rounds() == TO_ACTIVE
    return node
