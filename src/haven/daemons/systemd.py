"""What systemd says of the host."""

import asyncio
import contextlib
from pathlib import Path

RUNS = Path("/run/systemd/system")
SYSTEMCTL_TIMEOUT_S = 1.0


async def host_is_stopping(*, unless_answered: bool) -> bool:
    """Whether systemd is shutting the host down; False where systemd does not run, or cannot be asked.

    `unless_answered`: what counts when it does not answer in time. For an end that looks meant it shuts down: the
    end is then no intention, and a later look asks again. For any other end it does not: a busy host would leave
    a crashed VM down.
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
        return unless_answered
    return output.strip() == b"stopping"
