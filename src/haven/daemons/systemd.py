"""What systemd says of the host."""

import asyncio
import contextlib
from pathlib import Path

RUNS = Path("/run/systemd/system")
SYSTEMCTL_TIMEOUT_S = 1.0


async def host_is_stopping() -> bool:
    """Whether systemd is shutting the host down; False where systemd does not run, or cannot be asked.

    A systemd that does not answer in time counts as one that shuts down: the VM's end is then no intention,
    and a later look asks again.
    """
    if not RUNS.is_dir():
        return False
    try:
        process = await asyncio.create_subprocess_exec(
            "systemctl", "is-system-running", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
        )
    except OSError:
        return False
    try:
        async with asyncio.timeout(SYSTEMCTL_TIMEOUT_S):
            output, _ = await process.communicate()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError, TimeoutError):
            process.kill()
            async with asyncio.timeout(SYSTEMCTL_TIMEOUT_S):
                await process.communicate()
        return True
    return output.strip() == b"stopping"
