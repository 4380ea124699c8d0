"""Events as the LRM and the CRM tell them."""

from haven.core.event import Event, Scalar
from haven.core.words import Cause, Kind


def event(kind: Kind, sid: str | None = "vm:101", **fields: Scalar | tuple[str, ...]) -> Event:
    return Event(kind, kind.value, sid, fields=fields)


def down(incident: str = "i1", sid: str = "vm:101", opened_s: float = 100.0) -> Event:
    return event(
        Kind.VM_DOWN,
        sid,
        incident=incident,
        uuid=f"uuid-{sid}",
        name="web",
        cause=Cause.CRASH,
        opened_wall_s=opened_s,
        noticed_wall_s=opened_s + 0.5,
        evidence=("libvirt's events: stopped/failed", "state: off (crashed)"),
    )


def up(incident: str = "i1", sid: str = "vm:101", at_s: float = 102.0) -> Event:
    return event(Kind.VM_UP, sid, incident=incident, recovered_wall_s=at_s, outage_s=2.0)


def held(incident: str = "i1", sid: str = "vm:101") -> Event:
    return event(Kind.VM_HELD, sid, incident=incident, detail="disk /srv/a.qcow2 is missing")


def closed(incident: str = "i1", sid: str = "vm:101", at_s: float = 110.0) -> Event:
    return event(
        Kind.INCIDENT_CLOSED, sid, incident=incident, closed_wall_s=at_s, how="stopped by root with qm stop"
    )


def evidence(*lines: str, incident: str = "i1", sid: str = "vm:101") -> Event:
    return event(Kind.VM_EVIDENCE, sid, incident=incident, lines=lines)
