"""Answers of /haven/*, as the API gives them, for the views' tests: a host named pve, Sunday evening, UTC."""

from typing import Any

NOW = 1_795_375_800.0  # Sun 22 Nov 2026, 19:30:00 UTC
MINUTE, HOUR, DAY = 60, 3600, 86400


def vm(vmid: int, name: str, **other: Any) -> dict[str, Any]:
    """A protected VM that runs as it should, but for what is said otherwise."""
    plain = {
        "sid": f"vm:{vmid}",
        "vmid": vmid,
        "name": name,
        "protected": 1,
        "wanted": "started",
        "state": "started",
        "power": "running",
        "runs": 1,
        "since": NOW - 3 * DAY,
        "checked_s": 2.0,
        "restarts_24h": 0,
        "off_reason": None,
        "hold": None,
        "pending": None,
        "trouble": None,
        "advice": None,
    }
    return plain | other


ROUTER = vm(101, "opnsense")
MAAS = vm(102, "maas", restarts_24h=2, since=NOW - 3 * MINUTE)
HELD = vm(
    102,
    "maas",
    state="error",
    power="off",
    runs=0,
    since=NOW - 5 * MINUTE,
    restarts_24h=4,
    hold={
        "cause": "disk_missing",
        "detail": "disk /srv/images/maas.qcow2 is missing",
        "until": NOW + 7 * MINUTE,
        "ends": "the disk is back, or somebody runs: qm start 102",
    },
    trouble="held: disk /srv/images/maas.qcow2 is missing",
    advice="bring the disk back (haven sees it within seconds), or mend the definition and run: qm start 102",
)
OFF = vm(
    103,
    "db",
    wanted="stopped",
    state="stopped",
    power="off",
    runs=0,
    since=NOW - 3 * DAY,
    off_reason="off: stopped by root with qm stop, 3 days ago",
)
STRAY = vm(104, "test", sid=None, protected=0, wanted=None, state=None)

LRM = {"name": "lrm", "state": "active", "fresh_s": 0.4, "ok": 1}
CRM = {"name": "crm", "state": "master", "fresh_s": 0.4, "ok": 1}
API = {"name": "api", "state": "active", "fresh_s": 0.0, "ok": 1}


def status(*vms: dict[str, Any], **other: Any) -> dict[str, Any]:
    """The status of a host where haven works, but for what is said otherwise."""
    plain = {
        "node": "pve",
        "version": "0.1.0",
        "now": NOW,
        "policy": "haven",
        "hypervisor": {"ok": 1, "text": "libvirt 9.0.0"},
        "store": {"ok": 1, "text": ""},
        "daemons": [LRM, CRM, API],
        "vms": list(vms),
        "problems": [],
    }
    return plain | other


ENTRY = {
    "id": 41,
    "time": NOW - 3 * MINUTE,
    "source": "lrm",
    "sid": "vm:102",
    "kind": "vm_down",
    "level": "warn",
    "sentence": "maas is down: its QEMU process died",
    "rule": "",
    "fields": {"cause": "crash"},
}
RESTART = ENTRY | {
    "id": 42,
    "time": NOW - 3 * MINUTE + 1,
    "kind": "vm_up",
    "level": "notice",
    "sentence": "maas runs again after 0.41 s",
    "rule": "SAFETY-4",
}
INCIDENT = {
    "id": "i-7",
    "sid": "vm:102",
    "name": "maas",
    "cause": "crash",
    "opened": NOW - 3 * MINUTE,
    "noticed": NOW - 3 * MINUTE + 0.21,
    "recovered": NOW - 3 * MINUTE + 0.41,
    "outage_s": 0.41,
    "state": "recovered",
    "restarts": 1,
    "evidence": ["libvirt's events: stopped/failed", "state: off (crashed)"],
    "sentence": "its QEMU process died; back after 0.41 s",
}
EXPLANATION = {
    "sid": "vm:102",
    "name": "maas",
    "wanted": {
        "state": "started",
        "who": "root",
        "via": "ha-manager add",
        "at": NOW - 3 * DAY,
        "sentence": "started by root with ha-manager add",
    },
    "seen": {
        "power": "running",
        "since": NOW - 3 * MINUTE,
        "checked": NOW - 2,
        "fresh_s": 2.0,
        "sentence": "it runs",
    },
    "decision": {"rule": "R-4.13", "sentence": "runs on pve", "at": NOW - 3 * MINUTE + 1},
    "next": {"sentence": "nothing, it runs as it should", "at": None},
    "rules": [],
    "would_change": ["a crash: it is restarted at once", "qm stop 102: it stays off until somebody starts it"],
    "hold": None,
    "incident": INCIDENT,
    "recent": [ENTRY, RESTART],
}
