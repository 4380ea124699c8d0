"""From what was measured to the figures. Pure."""

from __future__ import annotations

from bench.deaths import Death, until_last_s
from bench.figures import Figure, Rival, median, percentile
from bench.scenarios import Measured


def figures(measured: Measured, guests: int, guests_many: int) -> list[Figure]:
    """Every figure, in the order of the table."""
    few, many = measured.few.deaths, measured.many.deaths
    count = f"{len(few)} deaths among {guests} guests"
    return [
        Figure("restart_ratio_median", median(_ratios(few)), f"SIGKILL to running / libvirt's own share; {count}"),
        Figure("restart_ratio_p95", percentile(_ratios(few), 0.95), "the same, 95 of 100 are below"),
        Figure("restart_s_median", median([death.restart_s for death in few]), "SIGKILL until it runs again, s"),
        Figure("floor_s_median", median([death.floor_s for death in few]), "libvirt's own share of it, s"),
        Figure("added_ms_median", median([1000 * death.added_s for death in few]), "haven's share, ms"),
        Figure("added_ms_p95", percentile([1000 * death.added_s for death in few], 0.95), "haven's share, ms"),
        Figure("deaths", len(few), "of which these are"),
        Figure(
            "restart_ratio_median_many",
            median(_ratios(many)),
            f"the ratio among {guests_many} protected guests, {len(many)} deaths",
        ),
        Figure("guests_many", guests_many, "as many as fit this machine"),
        *_at_once(measured),
        Figure("forgotten", _forgotten(measured), "guests killed and not started again"),
        Figure("idle_cpu_percent", measured.idle.cpu_percent, f"of one core, all of haven, {guests} guests"),
        Figure(
            "rss_mib_total",
            measured.idle.rss_mib,
            "resident memory of all of haven, MiB, shared pages counted twice",
        ),
        Figure("pss_mib_total", measured.idle.pss_mib, "the same, shared pages divided, MiB"),
        Figure(
            "start_s",
            median(measured.starts_s),
            f"`haven up` to protecting, median of {len(measured.starts_s)}, s",
        ),
    ]


def _at_once(measured: Measured) -> list[Figure]:
    """All killed at the same moment, by haven and by the bare client."""
    haven_s = median([until_last_s(matched.deaths) for matched in measured.at_once])
    bare_s = median([until_last_s(matched.deaths) for matched in measured.bare_at_once])
    count = len(measured.at_once[0].deaths)
    return [
        Figure("all_killed_s", haven_s, f"{count} killed at the same moment, until the last one runs, s"),
        Figure("all_killed_floor_s", bare_s, "the same by a bare libvirt client, 4 starts at a time, s"),
        Figure("all_killed_ratio", haven_s / bare_s, "the one in the other"),
    ]


def rivals(measured: Measured, poll_period_s: float) -> list[Rival]:
    """Who restarts how fast."""
    return [
        Rival("", "haven", _restarts(measured.few.deaths)),
        Rival("bare", "a bare libvirt client: event, create()", _restarts(measured.bare.deaths)),
        Rival("supervisord", "supervisord, QEMU without libvirt", tuple(measured.supervisord_s)),
        Rival("poller", f"a script that looks every {poll_period_s:g} s", tuple(measured.poller_s)),
    ]


def _ratios(deaths: tuple[Death, ...]) -> list[float]:
    return [death.ratio for death in deaths]


def _restarts(deaths: tuple[Death, ...]) -> tuple[float, ...]:
    return tuple(death.restart_s for death in deaths)


def _forgotten(measured: Measured) -> int:
    groups = (measured.few, measured.many, *measured.at_once)
    return sum(len(matched.forgotten) for matched in groups)
