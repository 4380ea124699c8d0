"""The floor as a program: hears libvirt's events and calls create(), nothing else.

`python bare_client.py WORKERS PREFIX`, inside a lab host. It starts every guest again whose name has the prefix,
WORKERS at a time, and prints one JSON line for each; first of all the line "ready".
"""

import json
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import libvirt

URI = "qemu:///system"
LOCAL = threading.local()


def main() -> None:
    workers, prefix = int(sys.argv[1]), sys.argv[2]
    libvirt.virEventRegisterDefaultImpl()
    connection = libvirt.open(URI)
    pool = ThreadPoolExecutor(workers, initializer=open_own_connection)
    for _ in range(workers):  # each of these makes the pool begin another thread
        pool.submit(time.sleep, 0.1)

    def happened(_raw: Any, domain: Any, event: int, _detail: int, _opaque: object) -> None:
        if event == libvirt.VIR_DOMAIN_EVENT_STOPPED and domain.name().startswith(prefix):
            pool.submit(start, domain.name(), domain.UUIDString(), time.time())

    connection.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, happened, None)
    print("ready", flush=True)
    while True:
        libvirt.virEventRunDefaultImpl()


def open_own_connection() -> None:
    """One for each thread: libvirt 9's client sends a call late while another thread's waits on the same one."""
    LOCAL.connection = libvirt.open(URI)


def start(name: str, uuid: str, delivered_wall_s: float) -> None:
    domain = LOCAL.connection.lookupByUUIDString(uuid)
    called_wall_s = time.time()
    domain.create()
    moments = {
        "delivered_wall_s": delivered_wall_s,
        "called_wall_s": called_wall_s,
        "returned_wall_s": time.time(),
    }
    print(json.dumps({"vm": name} | moments), flush=True)


if __name__ == "__main__":
    main()
