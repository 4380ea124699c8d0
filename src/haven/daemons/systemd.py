"""What systemd says of the host."""

import asyncio
import contextlib
from pathlib import Path

SYSTEMCTL_TIMEOUT_S = 1.0


async def host_is_stopping() -> bool:
    """Whether systemd is shutting the host down; False where systemd does not run."""
    if not Path("/run/systemd/system").is_dir():
        return False
    process = await asyncio.create_subprocess_exec(
        "systemctl", "is-system-running", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(SYSTEMCTL_TIMEOUT_S):
            output, _ = await process.communicate()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        return False
    return output.strip() == b"stopping"
