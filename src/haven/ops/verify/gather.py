"""Gathering what the checks want to know, from the API or, when it does not answer, from outside."""

import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from stat import S_IROTH

from haven.core.clock import Now
from haven.core.host import Space
from haven.core.masking import SECRET_KEYS, masked
from haven.core.records import ServiceConfig
from haven.core.settings import Settings, SettingsError
from haven.core.settings_change import as_texts
from haven.core.view import View
from haven.core.words import Kind, Level
from haven.daemons.machine import boot_id, load_settings, settings_path
from haven.history.history import History
from haven.history.model import Entry, HistoryError, Incident
from haven.hypervisor.protocol import HypervisorError, Surveyed
from haven.notify.receivers import receivers_of
from haven.ops.verify import machine
from haven.ops.verify.facts import Daemon, Drill, Facts, Told, Watched
from haven.store.protocol import StoreError

STALE_S = 30.0
LATE_TICKS = 3


@dataclass(frozen=True, slots=True)
class Sources:
    """Where facts come from. `read` may raise StoreError, `book` HistoryError, `survey` HypervisorError.

    `damaged` names the records that the last `read` left out. `api_trouble`: why the API is not asked.
    """

    settings: Settings
    node: str
    read: Callable[[], View]
    damaged: Callable[[], Mapping[str, str]]
    book: Callable[[], History]
    survey: Callable[[], tuple[Surveyed, ...]]
    wall_s: Callable[[], float] = time.time
    api_trouble: str = ""


@dataclass(frozen=True, slots=True)
class _Story:
    """What the history tells."""

    trouble: str = ""
    told: tuple[Entry, ...] = ()
    open_incidents: tuple[Incident, ...] = ()
    drills: Mapping[str, Incident] = field(default_factory=dict)


def gather(sources: Sources) -> Facts:
    """Everything, within some seconds, whatever of it works. Never raises for what it looks at."""
    settings, wall_s = sources.settings, sources.wall_s()
    view, store_trouble = _view(sources)
    surveyed, libvirt_trouble = _surveyed(sources)
    texts, settings_trouble = _settings_file()
    story = _story(sources, wall_s)
    watched = _watched(view, surveyed)
    disks = [disk for vm in watched if vm.protected and vm.seen for disk in vm.seen.disks]
    return Facts(
        node=sources.node,
        now=Now(time.clock_gettime(time.CLOCK_BOOTTIME), wall_s, boot_id()),
        view=view,
        store_trouble=store_trouble or machine.read_only(settings.state_dir),
        history_trouble=story.trouble,
        libvirt_trouble=libvirt_trouble,
        api_trouble=sources.api_trouble,
        settings_trouble=settings_trouble,
        settings_file=texts,
        settings_open=_open_to_all(texts),
        state_dir=settings.state_dir,
        state_space=machine.space_of(settings.state_dir),
        daemons=_daemons(sources, view, wall_s),
        systemd=machine.systemd(),
        watched=watched,
        host=machine.host(),
        reserve_mib=settings.memory_reserve_mib,
        low_percent=settings.storage_low_percent,
        spaces=_spaces(disk.path for disk in disks if not disk.missing),
        told=_told(settings, story.told),
        drills={
            sid: Drill(one.opened_wall_s, one.outage_s) for sid, one in story.drills.items() if not one.is_open
        },
        open_incidents=story.open_incidents,
        newest_wall_s=_newest(sources.node, view),
        clock_synced=machine.clock_synced(),
    )


def _view(sources: Sources) -> tuple[View | None, str]:
    try:
        view = sources.read()
    except StoreError as error:
        return None, str(error)
    damaged = ", ".join(sorted(sources.damaged()))
    return view, f"damaged in the store: {damaged}" if damaged else ""


def _surveyed(sources: Sources) -> tuple[tuple[Surveyed, ...], str]:
    try:
        return sources.survey(), ""
    except HypervisorError as error:
        return (), str(error)


def _settings_file() -> tuple[dict[str, str], str]:
    try:
        return as_texts(load_settings()), ""
    except SettingsError as error:
        return {}, str(error)


def _open_to_all(texts: Mapping[str, str]) -> str:
    """The path of haven.toml, if everybody may read the secrets in it."""
    path, has_secrets = settings_path(), any(texts.get(key) for key in SECRET_KEYS)
    try:
        return str(path) if has_secrets and path.stat().st_mode & S_IROTH else ""
    except OSError:
        return ""


def _story(sources: Sources, wall_s: float) -> _Story:
    try:
        book = sources.book()
        return _Story("", book.told([Kind.NOTIFICATION], wall_s), book.open_incidents(), book.last_drills())
    except HistoryError as error:
        return _Story(str(error))


def _watched(view: View | None, surveyed: Iterable[Surveyed]) -> tuple[Watched, ...]:
    """Every VM that libvirt has or haven protects; those without a number yet go by their name."""
    seen = {vm.uuid: vm for vm in surveyed}
    configs: Mapping[str, ServiceConfig] = view.configs() if view else {}
    services = view.services() if view else {}
    identities = view.identities() if view else {}
    found = []
    for config in configs.values():
        vm = seen.pop(config.uuid, None)
        known = identities.get(config.uuid)
        name = vm.name if vm else known.name if known else config.sid
        found.append(Watched(config.sid, name, config, services.get(config.sid), vm))
    for vm in seen.values():
        known = identities.get(vm.uuid)
        found.append(Watched(f"vm:{known.vmid}" if known else vm.name, vm.name, None, None, vm))
    return tuple(found)


def _daemons(sources: Sources, view: View | None, wall_s: float) -> tuple[Daemon, ...]:
    manager = view.manager() if view else None
    lrm = view.lrms().get(sources.node) if view else None
    in_force = view.settings_in_force(sources.node) if view else {}
    signs = {
        "lrm": lrm.timestamp_wall_s if lrm else None,
        "crm": manager.timestamp_wall_s if manager else None,
        "api": None if sources.api_trouble else wall_s,
    }

    def daemon(name: str, sign_s: float | None) -> Daemon:
        fresh_s = None if sign_s is None else max(wall_s - sign_s, 0.0)
        word = _wrong_with(sources, name, fresh_s, known=view is not None)
        kept = in_force.get(name)
        return Daemon(name, not word, word or "runs", fresh_s, kept.values if kept and not word else None)

    return tuple(daemon(name, sign_s) for name, sign_s in signs.items())


def _wrong_with(sources: Sources, name: str, fresh_s: float | None, *, known: bool) -> str:
    """Why a process does not work, in words; empty: it does."""
    claim = Path(sources.settings.run_dir) / f"{name}.claim"
    if machine.claimed_by_nobody(claim) or (sources.api_trouble and not claim.exists()):
        return "not running"
    if name == "api":
        return "" if fresh_s is not None else "does not answer"
    if not known:
        return ""
    if fresh_s is None:
        return "not seen yet"
    late = fresh_s > max(STALE_S, LATE_TICKS * sources.settings.tick_s)
    return f"silent for {fresh_s:.0f} s" if late else ""


def _spaces(images: Iterable[str]) -> dict[str, Space]:
    """The file systems below the images, by mount point; one that does not answer in time is left out."""
    places = {machine.mount_of(place) for place in {os.path.dirname(image) for image in images}}  # noqa: PTH120
    rooms = {place: machine.space_of(place) for place in places if place}
    return {place: room for place, room in rooms.items() if room}


def _told(settings: Settings, entries: Iterable[Entry]) -> Told:
    """How it stands with each receiver that is named now, by the last word about it."""
    labels = tuple(receiver.label for receiver in receivers_of(settings))
    last = {entry.event.fields.get("receiver"): entry for entry in entries}
    stands = [last[label] for label in labels if label in last]
    failed = [entry for entry in stands if entry.event.level in (Level.WARN, Level.ERR)]
    return Told(
        targets=labels,
        heartbeat=masked(settings.heartbeat_url),
        last_ok_s=max((entry.at_wall_s for entry in stands if entry not in failed), default=None),
        trouble="; ".join(entry.event.sentence for entry in failed),
    )


def _newest(node: str, view: View | None) -> float | None:
    manager = view.manager() if view else None
    lrm = view.lrms().get(node) if view else None
    return max((one.timestamp_wall_s for one in (manager, lrm) if one), default=None)
