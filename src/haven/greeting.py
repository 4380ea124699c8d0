"""What `haven up` says once, when the API answers: the VMs of this host and the next command to type.

A process of its own, that ends: `haven up` stays small and speaks to nobody.
"""

import sys
import time
from pathlib import Path

from haven.api.client import ApiClient, ApiError, ApiUnreachable

READY_S = 10.0
"""Longer than a start on a busy machine."""
VMS_S = 2.0
"""The LRM may need a moment to see the first VM."""
POLL_S = 0.1


def greet(socket: Path) -> int:
    """Wait for the API and print the greeting; exit status 1 when it does not answer in time."""
    begun_s = time.monotonic()
    while True:
        waited_s = time.monotonic() - begun_s
        try:
            status = ApiClient(socket).get("/haven/status")
        except (ApiUnreachable, ApiError) as error:
            if waited_s > READY_S:
                print(f"haven up: VMs are protected, but the API does not answer: {error}", file=sys.stderr)
                return 1
        else:
            if status["vms"] or waited_s > VMS_S:
                print(greeting(status), flush=True)
                return 0
        time.sleep(POLL_S)


def greeting(status: dict[str, object]) -> str:
    """The VMs of this host, and the next command to type."""
    vms = status["vms"]
    assert isinstance(vms, list)
    lines = [f"haven is up on {status['node']}. VMs on this host:"]
    for vm in vms:
        what = f"protected, wanted {vm['wanted']}" if vm["protected"] else "not protected"
        lines.append(f"  {vm['vmid']:>6}  {vm['name']:<24} {vm['power']:<8} {what}")
    if not vms:
        lines.append("  none yet; define one with virsh, virt-install or virt-manager")
    free = next((vm for vm in vms if not vm["protected"]), None)
    if free:
        lines.append(f"Protect one:  ha-manager add vm:{free['vmid']} --state started --max_restart 3")
    lines.append("Look around:  haven status   Stop haven (the VMs run on):  Ctrl-C")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(greet(Path(sys.argv[1])))
