"""The scenes, in the order in which the demo plays them."""

from __future__ import annotations

from haven.lab.demo.scene import Scene
from haven.lab.demo.scenes import (
    crash,
    crash_loop,
    disk,
    drill,
    full_disk,
    hang,
    haven_itself,
    intent,
    libvirtd,
    maintenance,
    oom,
    panic,
    protect,
    told,
)

SCENES: tuple[Scene, ...] = (
    protect.SCENE,
    crash.SCENE,
    intent.SCENE,
    libvirtd.SCENE,
    haven_itself.SCENE,
    disk.SCENE,
    full_disk.SCENE,
    oom.SCENE,
    hang.SCENE,
    drill.SCENE,
    panic.SCENE,
    maintenance.SCENE,
    told.SCENE,
    crash_loop.SCENE,
)
"""101 and 102 take turns, so that the crashes of one no longer count for the brake when its turn comes again."""
