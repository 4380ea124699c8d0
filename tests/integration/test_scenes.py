"""Every scene of `make demo` is a test: real VMs, each claim checked, each deadline kept."""

from __future__ import annotations

import pytest

from haven.lab.demo.scene import Scene, play
from haven.lab.demo.scenes import SCENES
from haven.lab.demo.stage import Stage

pytestmark = pytest.mark.lab


@pytest.mark.parametrize("scene", SCENES, ids=[scene.key for scene in SCENES])
def test_scene(stage: Stage, scene: Scene) -> None:
    outcome = play(scene, stage)
    if outcome.skipped:
        pytest.skip(outcome.skipped)
    assert outcome.failure == ""
    assert outcome.rows, "a scene without a row says nothing on the last screen"
