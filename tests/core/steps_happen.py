"""The lines of the scenarios that make something happen: given and when."""

from contextlib import suppress
from dataclasses import replace
from typing import Any

from haven.core.hypervisor import Moment, Power, Why
from haven.core.records import ClusterOptions, HealthCheck, RunKey, VmCare
from haven.core.transaction import Delete, Put
from haven.core.words import CheckKind, RestartOn, Wanted
from tests.core.fake_store import Mood
from tests.core.story import Story, step

# Given


@step("<sid> is protected, <rest>")
def protected(story: Story, sid: str, rest: str) -> None:
    """`vm:102 is protected, started, max_restart 3, restart_on always`: added, and whatever follows is done."""
    config: dict[str, Any] = {}
    for word in rest.split(", "):
        key, _, value = word.partition(" ")
        if key in Wanted.__members__.values():
            config["state"] = Wanted(key)
        else:
            config[key] = RestartOn(value) if key == "restart_on" else int(value)
    story.world.add(sid, **config)
    story.world.advance(11.0)


@step("<sid> runs already")
def runs_already(story: Story, sid: str) -> None:
    story.world.host.begin(story.world.guest(sid))


@step("max_workers is <n>")
def max_workers(story: Story, count: str) -> None:
    story.world.settings = replace(story.world.settings, max_workers=int(count))


@step("the cluster's max_workers is <n>")
def cluster_max_workers(story: Story, count: str) -> None:
    options = ClusterOptions(max_workers=int(count), given=frozenset({"max_workers"}))
    story.world.write(Put("options", options))


@step("<sid> does not obey a shutdown")
def disobeys(story: Story, sid: str) -> None:
    story.world.guest(sid).obeys = False


@step("<sid> cannot be stopped")
def immortal(story: Story, sid: str) -> None:
    story.world.guest(sid).immortal = True


@step("<sid> can be stopped again")
def mortal(story: Story, sid: str) -> None:
    story.world.guest(sid).immortal = False


@step("the disk of <sid> looks fine but cannot be opened")
def misled(story: Story, sid: str) -> None:
    story.world.guest(sid).misled = True


@step("the run key of <sid> is held by (node\\d)")
def foreign_key(story: Story, sid: str, node: str) -> None:
    uuid = story.world.guest(sid).uuid
    story.world.write(Put(f"run/{uuid}", RunKey(uuid, node, "epoch-of-another", "uid-of-another")))


@step("at host boot, <rest>")
def boot_order(story: Story, rest: str) -> None:
    """`vm:101 has order 1 and delay 30 s`, `vm:102 waits for vm:101`; more than one, with commas."""
    for part in rest.split(", "):
        sid, words = part.split(" ", 1)
        care = story.world.store.entries.get(f"care/{sid}")
        known = care.record if care and isinstance(care.record, VmCare) else VmCare(sid)
        if words.startswith("waits for "):
            known = replace(known, wait_for=words.removeprefix("waits for "))
        elif words == "has a check":
            known = replace(known, checks=(HealthCheck("ping 192.0.2.1", CheckKind.PING, "192.0.2.1"),))
        else:
            order, _, delay = words.removeprefix("has order ").partition(" and delay ")
            known = replace(known, start_order=int(order), start_delay_s=float(delay.removesuffix(" s") or 0))
        story.world.write(Put(f"care/{sid}", known))
    story.world.advance(11.0)


@step("the check of <sid> fails after the boot")
def check_fails(story: Story, sid: str) -> None:
    story.world.guest(sid).life.failing["ping 192.0.2.1"] = 0.0


@step("<sid> is only observed")
def observed(story: Story, sid: str) -> None:
    story.world.write(Put(f"care/{sid}", VmCare(sid, observe=True)))


@step("the run key of <sid> is gone")
def no_key(story: Story, sid: str) -> None:
    story.world.write(Delete(f"run/{story.world.guest(sid).uuid}"))


# When: guests


@step("QEMU of <sid> dies")
def dies(story: Story, sid: str) -> None:
    _end(story, sid, Why.CRASHED, Moment.STOPPED_FAILED)


@step("QEMU of <sid> gets SIGTERM")
def sigterm(story: Story, sid: str) -> None:
    _end(story, sid, Why.SHUTDOWN, Moment.SHUTDOWN_HOST, Moment.STOPPED_SHUTDOWN)


@step("QEMU of <sid> gets SIGTERM, which only its log tells")
def sigterm_in_log(story: Story, sid: str) -> None:
    _end(story, sid, Why.SHUTDOWN, signal=15)


@step("the next QEMU of <sid> gets SIGTERM as soon as it runs")
def short_lived(story: Story, sid: str) -> None:
    story.world.guest(sid).short_lived = True


@step("the guest of <sid> powers off")
def powers_off(story: Story, sid: str) -> None:
    _end(story, sid, Why.SHUTDOWN, Moment.SHUTDOWN_GUEST, Moment.STOPPED_SHUTDOWN)


@step("the guest of <sid> powers off, which is told when libvirtd is back")
def powers_off_late(story: Story, sid: str) -> None:
    powers_off(story, sid)
    story.world.guest(sid).unsent = [Moment.SHUTDOWN_GUEST, Moment.STOPPED_SHUTDOWN]


@step("the guest of <sid> panics")
def panics(story: Story, sid: str) -> None:
    _end(story, sid, Why.CRASHED, Moment.PANICKED, Moment.STOPPED_CRASHED)


@step("the guest of <sid> panics and libvirt resets it")
def panics_in_place(story: Story, sid: str) -> None:
    _say(story, sid, Moment.PANICKED, Moment.REBOOT, Moment.RESUMED)


@step("the guest of <sid> reboots")
def reboots(story: Story, sid: str) -> None:
    _say(story, sid, *[Moment.REBOOT] * 3)


def _end(story: Story, sid: str, why: Why, *moments: Moment, signal: int | None = None) -> None:
    guest = story.world.guest(sid)
    assert guest.power is not Power.OFF, f"{sid} is off already"
    story.world.host.end(guest, why, *moments, signal=signal)
    story.world.tell_lrm()


def _say(story: Story, sid: str, *moments: Moment) -> None:
    story.world.host.say(story.world.guest(sid), *moments)
    story.world.tell_lrm()


# When: other clients of libvirt


@step("another client destroys <sid>")
def destroyed(story: Story, sid: str) -> None:
    _end(story, sid, Why.DESTROYED, Moment.SHUTDOWN_HOST, Moment.STOPPED_DESTROYED)


@step("another client saves <sid>")
def saved(story: Story, sid: str) -> None:
    _end(story, sid, Why.SAVED, Moment.SUSPENDED_PAUSED, Moment.STOPPED_SAVED)


@step("another client migrates <sid> away")
def migrated(story: Story, sid: str) -> None:
    _end(story, sid, Why.MIGRATED, Moment.SUSPENDED_OTHER, Moment.STOPPED_MIGRATED)


@step("another client reverts <sid> to a snapshot of it running")
def reverted(story: Story, sid: str) -> None:
    """libvirt stops it and starts it anew; haven may look in between."""
    _end(story, sid, Why.SNAPSHOT, Moment.STOPPED_SNAPSHOT)
    story.world.lrm.woken = True  # type: ignore[union-attr]
    story.world.settle()
    started_elsewhere(story, sid)


@step("another client destroys and starts <sid> before anybody looks")
def restarted_elsewhere(story: Story, sid: str) -> None:
    destroyed(story, sid)
    started_elsewhere(story, sid)


@step("another client suspends <sid>")
def suspends(story: Story, sid: str) -> None:
    guest = story.world.guest(sid)
    guest.power, guest.why = Power.PAUSED, Why.USER
    _say(story, sid, Moment.SUSPENDED_PAUSED)


@step("another client (?:resumes|starts) <sid>")
def started_elsewhere(story: Story, sid: str) -> None:
    story.world.host.begin(story.world.guest(sid))
    story.world.tell_lrm()


@step("another client turns autostart of <sid> (on|off)")
def turns_autostart(story: Story, sid: str, how: str) -> None:
    story.world.guest(sid).autostart = how == "on"


@step("libvirt (cannot|can) change the definition of <sid>(?: again)?")
def unwritable(story: Story, how: str, sid: str) -> None:
    story.world.guest(sid).unwritable = how == "cannot"


@step("another client undefines <sid>")
def undefines(story: Story, sid: str) -> None:
    story.world.guest(sid).defined = False
    _say(story, sid, Moment.UNDEFINED)


@step("another client defines <sid>")
def defines(story: Story, sid: str) -> None:
    story.world.guest(sid).defined = True
    _say(story, sid, Moment.DEFINED)


# When: people


@step("root runs: qm stop (\\d+)")
def qm_stop(story: Story, vmid: str) -> None:
    story.world.stop_command(f"vm:{vmid}", "qm stop", 0)


@step("root runs: qm shutdown (\\d+)")
def qm_shutdown(story: Story, vmid: str) -> None:
    story.world.stop_command(f"vm:{vmid}", "qm shutdown", 180)


@step("root runs: qm start (\\d+)")
def qm_start(story: Story, vmid: str) -> None:
    story.world.configure(f"vm:{vmid}", "qm start", state=Wanted.STARTED)


@step("root runs: ha-manager set <sid> --state (\\w+)")
def set_state(story: Story, sid: str, state: str) -> None:
    story.world.configure(sid, state=Wanted(state))


@step("another client destroys <sid>, and root sets it started before anybody looks")
def outvoted(story: Story, sid: str) -> None:
    destroyed(story, sid)
    set_state(story, sid, "started")


@step("root runs: ha-manager set <sid> --max_restart (\\d+)")
def set_max_restart(story: Story, sid: str, count: str) -> None:
    story.world.configure(sid, max_restart=int(count))


@step("root runs: ha-manager remove <sid>")
def remove(story: Story, sid: str) -> None:
    story.world.write(Delete(f"config/{sid}"))


@step("at the next commit, <rest>")
def at_next_commit(story: Story, rest: str) -> None:
    """Somebody is a moment faster than the next commit of a daemon."""
    story.world.store.once = lambda: story.perform(rest)


# When: the host and its daemons


@step("the disk of <sid> is (gone|back)")
def disk(story: Story, sid: str, how: str) -> None:
    story.world.guest(sid).disk = how == "back"


@step("libvirtd dies")
def libvirtd_dies(story: Story) -> None:
    story.world.lose_libvirtd()


@step("libvirtd is back")
def libvirtd_back(story: Story) -> None:
    story.world.find_libvirtd()


@step("libvirtd is back, and takes <sid> for running still")
def libvirtd_back_misled(story: Story, sid: str) -> None:
    story.world.guest(sid).ghost = True
    story.world.find_libvirtd()


@step("libvirtd finds out about <sid>")
def finds_out(story: Story, sid: str) -> None:
    story.world.guest(sid).ghost = False
    _say(story, sid, Moment.STOPPED_FAILED)


@step("the (lrm|crm) is killed")
def killed(story: Story, name: str) -> None:
    story.world.kill_lrm() if name == "lrm" else story.world.kill_crm()


@step("the next look of the (lrm|crm) is cut <word>")
def killed_at(story: Story, name: str, point: str) -> None:
    story.world.kill_at = f"{name} {point}"


@step("(?:the killed daemons are|the killed daemon is) back")
def revived(story: Story) -> None:
    story.world.revive()


@step("the lrm alone is back")
def revived_lrm(story: Story) -> None:
    story.world.revive_lrm()


@step("the host loses power and boots")
def boots(story: Story) -> None:
    story.world.boot()


@step("the host goes down")
def goes_down(story: Story) -> None:
    story.world.stopping = True


@step("the host's going down is called off")
def called_off(story: Story) -> None:
    story.world.stopping = False


@step("the clock is set back by a year")
def clock_back(story: Story) -> None:
    story.world.wall_s -= 365 * 86400.0


@step("the clock is set (\\d+) days (ahead|back)")
def clock_moved(story: Story, days: str, how: str) -> None:
    story.world.wall_s += float(days) * 86400.0 * (1 if how == "ahead" else -1)


@step("root sets <sid> started and the manager's commit is unknown but written")
def manager_unknown(story: Story, sid: str) -> None:
    story.world.configure(sid, state=Wanted.STARTED)
    story.world.store.mood = Mood.SILENT_WRITTEN


@step("libvirt's autostart of <sid> is still on")
def autostart_on(story: Story, sid: str) -> None:
    story.world.guest(sid).autostart = True


@step("the store refuses writes")
def store_full(story: Story) -> None:
    story.world.store.mood = Mood.FULL


@step("each commit of the lrm takes <n> s")
def store_slow(story: Story, seconds: str) -> None:
    story.world.commit_s = float(seconds)


@step("the store works again")
def store_well(story: Story) -> None:
    story.world.store.mood = Mood.WELL


@step("the next commit is unknown and (written|lost)")
def store_silent(story: Story, how: str) -> None:
    story.world.store.mood = Mood.SILENT_WRITTEN if how == "written" else Mood.SILENT_LOST


@step("<n> (s|min) pass(?:es)?")
def passes(story: Story, count: str, unit: str) -> None:
    story.world.advance(float(count) * (60.0 if unit == "min" else 1.0))


@step("both look at everything")
def look(story: Story) -> None:
    with suppress(AttributeError):
        story.world.ring()
    story.world.settle()
