"""A host on which everything is as it should be; a test changes one thing."""

from dataclasses import replace
from typing import Any

from haven.core.clock import Now
from haven.core.host import HostFacts, Space
from haven.core.records import HangTerms, Record, ServiceConfig, ServiceStatus, VmCare
from haven.core.settings import Settings
from haven.core.settings_change import as_texts
from haven.core.view import Versioned, View
from haven.core.words import ServiceState, Wanted
from haven.hypervisor.protocol import Surveyed, SurveyedDisk
from haven.ops.verify.checks import CHECKS
from haven.ops.verify.facts import Daemon, Drill, Facts, Finding, Grade, Systemd, Told, Unit, Watched
from haven.ops.verify.haven_checks import UNITS
from haven.ops.verify.host_checks import GUESTS

NOW = Now(5000.0, 1_795_366_805.0, "boot")
DAY_S = 86400.0
TEXTS = as_texts(Settings(node="alpha"))
CONFIG = ServiceConfig("vm:102", "u-2", "alpha", Wanted.STARTED)
STATUS = ServiceStatus("vm:102", ServiceState.STARTED, "alpha", "uid", running=True)
SEEN = Surveyed(
    "u-2",
    "maas",
    "running",
    4096,
    True,
    has_agent=True,
    agent_answers=True,
    disks=(SurveyedDisk("/srv/maas.qcow2"),),
)
MAAS = Watched("vm:102", "maas", CONFIG, STATUS, SEEN)


def view(**records: Record) -> View:
    """A store with these records, each by its kind, under a name that is its own or nobody asks for."""
    return View.of("i", 9, {_key(kind, record): Versioned(record, 1) for kind, record in records.items()})


def _key(kind: str, record: Record) -> str:
    return f"{kind}/{getattr(record, 'sid', kind)}" if kind != "manager" else kind


def systemd(enabled: str = "enabled", active: str = "active", on_shutdown: str = "shutdown") -> Systemd:
    return Systemd({name: Unit(name, enabled, active) for name in (*UNITS, GUESTS)}, on_shutdown)


HEALTHY = Facts(
    node="alpha",
    now=NOW,
    view=view(config=CONFIG, service=STATUS, care=VmCare("vm:102", hang=HangTerms(300.0))),
    settings_file=TEXTS,
    state_dir="/var/lib/haven",
    state_space=Space(9000, 20_000),
    daemons=tuple(Daemon(name, True, "runs", 2.0, TEXTS) for name in ("lrm", "crm", "api")),
    systemd=systemd(),
    watched=(MAAS,),
    host=HostFacts(16_384, 9000),
    reserve_mib=128,
    spaces={"/srv": Space(5000, 20_000)},
    told=Told(("tgram://***",), "https://kuma/***", NOW.wall_s - 3600),
    drills={"vm:102": Drill(NOW.wall_s - 3 * DAY_S, 2.5)},
    newest_wall_s=NOW.wall_s - 2,
    clock_synced=True,
)


def with_vm(seen: Surveyed | None = SEEN, config: ServiceConfig | None = CONFIG, **status: Any) -> Facts:
    """The same host with its one VM otherwise."""
    return replace(HEALTHY, watched=(replace(MAAS, seen=seen, config=config, service=replace(STATUS, **status)),))


def found(check: str, facts: Facts) -> list[Finding]:
    return list(CHECKS[check](facts))


def one(check: str, facts: Facts) -> Finding:
    """The only finding of a check."""
    (finding,) = found(check, facts)
    return finding


def worst(check: str, facts: Facts) -> Grade:
    grades = [finding.grade for finding in found(check, facts)]
    return next(grade for grade in (Grade.FAIL, Grade.WARN, Grade.PASS) if grade in grades)
