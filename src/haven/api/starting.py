"""How haven is started on this host: by systemd's units where `haven setup` has put them, else by `haven up`."""

from pathlib import Path

UNIT_FILE = Path("/etc/systemd/system/pve-ha-lrm.service")


def has_units() -> bool:
    return UNIT_FILE.exists()


def is_it_running() -> str:
    """The question after an API that is not there."""
    return "is it started? systemctl start pve-ha-crm pve-ha-lrm" if has_units() else "is `haven up` running?"


def start_daemon(name: str) -> str:
    """What to do about a daemon (lrm, crm, api) that does not run."""
    if not has_units():
        return "start it (haven up), or see its log"
    unit = "haven-api" if name == "api" else f"pve-ha-{name}"
    return f"systemctl restart {unit}; why: journalctl -u {unit}"
