"""The hypervisor's faces stay narrow: who needs more of it asks for another role."""

import inspect
from typing import Protocol

import pytest

from haven.hypervisor import protocol

MOST_METHODS = 8
FACES = [one for _, one in inspect.getmembers(protocol, inspect.isclass) if Protocol in one.__mro__]


@pytest.mark.parametrize("face", [one for one in FACES if one is not Protocol], ids=lambda face: face.__name__)
def test_a_face_has_few_methods_of_its_own(face: type) -> None:
    methods = [name for name, value in vars(face).items() if inspect.isfunction(value) and name[0] != "_"]
    assert len(methods) <= MOST_METHODS, methods
