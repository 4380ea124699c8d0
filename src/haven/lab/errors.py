"""The one exception of this room, which is that of the rooms' common ground."""

from __future__ import annotations

from haven.bootstrap.errors import SetupError

LabError = SetupError
