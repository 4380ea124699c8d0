"""The floor as a program: hears libvirt's events and calls create(), nothing else.

`python bare_client.py WORKERS PREFIX`, inside a lab host. It starts every guest again whose name has the prefix,
WORKERS at a time, and prints one JSON line for each; first of all the line "ready".
"""

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import libvirt


def main() -> None:
    workers, prefix = int(sys.argv[1]), sys.argv[2]
    libvirt.virEventRegisterDefaultImpl()
    connection = libvirt.open("qemu:///system")
    pool = ThreadPoolExecutor(workers)

    def happened(_raw: Any, domain: Any, event: int, _detail: int, _opaque: object) -> None:
        if event == libvirt.VIR_DOMAIN_EVENT_STOPPED and domain.name().startswith(prefix):
            pool.submit(start, domain, time.time())

    connection.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, happened, None)
    print("ready", flush=True)
    while True:
        libvirt.virEventRunDefaultImpl()


def start(domain: Any, delivered_wall_s: float) -> None:
    called_wall_s = time.time()
    domain.create()
    moments = {
        "delivered_wall_s": delivered_wall_s,
        "called_wall_s": called_wall_s,
        "returned_wall_s": time.time(),
    }
    print(json.dumps({"vm": domain.name()} | moments), flush=True)


if __name__ == "__main__":
    main()
