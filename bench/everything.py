"""All of haven switched on: its figures are measured so, and not as it is when nothing was asked of it.

Somebody is told (a webhook, a heartbeat, a VM's push monitor), Prometheus asks, every VM is watched for hangs and
has its place at host boot, one is looked at from outside, and one is under maintenance.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from bench import haven_api
from bench.protected import ProtectedHerd
from haven.lab.errors import LabError
from haven.lab.guest import Accel
from haven.lab.host import LabHost
from haven.lab.receiver import Receiver

HANG_AFTER_S = 60
_PAGE_PORT, _METRICS_PORT = 8443, 9177
_PAGE_URL = f"https://127.0.0.1:{_PAGE_PORT}/"
_WINDOW_S = 86400
_SCRAPE = "import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1], timeout=10).read().decode())"


class BusyHerd(ProtectedHerd):
    """A herd with everything on. It has one guest more than `names`, which is never killed: it is under
    maintenance."""

    def __init__(self, root: Path, hostname: str, names: Sequence[str], accel: Accel) -> None:
        self.kept = f"{hostname}-kept"
        super().__init__(root, hostname, (*names, self.kept), accel)
        self.mortal = tuple(names)
        self._receiver = Receiver(self.host)
        self.more_config = f"""\
webhook_url = "{self._receiver.url("webhook")}"
heartbeat_url = "{self._receiver.url("heartbeat")}"
notify_per_hour = 3600
metrics_listen = "127.0.0.1:{_METRICS_PORT}"
"""

    def __enter__(self) -> BusyHerd:
        super().__enter__()
        self._receiver.start()
        _serve_page(self.host)
        return self

    def protect(self) -> None:
        super().protect()
        for place, sid in enumerate(self.sids.values()):
            self._ask("PUT", f"/haven/vms/{sid}/options", **_options(place))
        first, second = self.sids[self.names[0]], self.sids[self.names[1]]
        checks = f"ping 127.0.0.1\nhttp {_PAGE_URL}"
        self._ask("PUT", f"/haven/vms/{first}/options", check=checks, push_url=self._receiver.url("push"))
        self._ask("PUT", f"/haven/vms/{second}/options", wait_for=first)
        self._ask(
            "POST", "/haven/maintenance", sids=self.sids[self.kept], seconds=_WINDOW_S, reason="a bench of haven"
        )

    def scrape(self) -> str:
        """What Prometheus would read now."""
        url = f"http://127.0.0.1:{_METRICS_PORT}/metrics"
        done = self.host.run([sys.executable, "-c", _SCRAPE, url])
        if done.returncode:
            raise LabError(f"nothing to be read at {url}: {done.stderr}")
        return done.stdout

    def _ask(self, method: str, path: str, **params: str | int) -> None:
        haven_api.call(self.socket, method, path, **params)


def _options(place: int) -> dict[str, str | int]:
    return {"hang_after": HANG_AFTER_S, "start_order": place, "start_delay": 1, "priority": place}


def _serve_page(host: LabHost) -> None:
    """A page over HTTPS, behind a certificate that it signed itself, as a router's."""
    key, certificate = host.root / "page.key", host.root / "page.crt"
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", "/CN=router"]
    subprocess.run(
        ["openssl", "req", "-x509", *curve, "-keyout", str(key), "-out", str(certificate)],
        check=True,
        capture_output=True,
    )
    words = ["-accept", f"127.0.0.1:{_PAGE_PORT}", "-key", str(key), "-cert", str(certificate), "-www", "-quiet"]
    host.spawn(["openssl", "s_server", *words], host.root / "log/page.log")
