"""What can happen in a scenario, in people's words, and the commands that it becomes."""

from haven.core.words import Pacing, Wanted
from haven.sim.errors import WordsError
from haven.sim.inputs import MIB
from haven.sim.scenario.options import checked_option
from haven.sim.scenario.phrases import Only, Phrase, Phrasebook, retries

Commands = tuple[str, ...]
ROUNDS = Only(Pacing.PVE, "only there do all daemons wait for rounds")
GUEST_LOCKS = Only(Pacing.PVE, "libvirt's VMs carry no locks")
BY_HAND = Only(Pacing.PVE, "libvirt's hook lets a VM that haven knows go nowhere without haven")
OLD_VIEWS = Only(Pacing.PVE, "elsewhere guards refuse what was decided on an old view")
VERSIONS = Only(Pacing.PVE, "every haven can read rules, nobody has to wait for the others' version")
FAST = Only(Pacing.FAST, "the rounds of pve know nothing of the kind")


def _each(names: tuple[str, ...], line: str) -> Commands:
    return tuple(line.format(name) for name in names)


def _power(nodes: tuple[str, ...], word: str) -> Commands:
    return _each(nodes, "power {} on" if word == "returns" else "power {} off")


def _network(nodes: tuple[str, ...], word: str) -> Commands:
    return _each(nodes, "network {} off" if word in ("goes down", "go down") else "network {} on")


def _store(node: str, word: str) -> Commands:
    return (f"cfs {node} rw {'fail' if word == 'cannot be read' else 'work'}",)


def _view(node: str, word: str) -> Commands:
    return (f"cfs {node} update {'fail' if word == 'is out of date' else 'work'}",)


def _stop(guest: str, seconds: float | None) -> Commands:
    return (f"service {guest} stop {int(seconds or 0)}",)


def _set(guest: str, wanted: Wanted) -> Commands:
    return (f"service {guest} {wanted}",)


def _add(guest: str, node: str, wanted: Wanted) -> Commands:
    return (f"service {guest} add {node} {wanted}",)


def _fails(guest: str, action: str, times: int, _word: str, node: str | None) -> Commands:
    return (f"guest {guest} fail {action} {times} {node or ''}".rstrip(),)


def _measured(guest: str, cpus: float, memory_bytes: float) -> Commands:
    return (f"service {guest} set-dynamic-stats cpu {cpus:g} mem {memory_bytes / MIB:g}",)


def _given(guest: str, cpus: float, memory_bytes: float) -> Commands:
    if not cpus or not memory_bytes:
        raise WordsError("0 cpus or no memory: a guest is given more than that")
    return (f"service {guest} set-static-stats maxcpu {cpus:g} maxmem {memory_bytes / MIB:g}",)


def _version(node: str, version: str) -> Commands:
    return (f"pve-manager-version {node} set {version}",)


def _restart_lrm(node: str) -> Commands:
    return (f"restart-lrm {node}",)


def _maintenance(node: str, word: str) -> Commands:
    return (f"crm {node} {word[:-1]}-node-maintenance",)


def _move(guest: str, word: str, node: str) -> Commands:
    return (f"service {guest} {word[:-1]} {node}",)


def _carry(guest: str, node: str) -> Commands:
    return (f"guest {guest} carry {node}",)


def _crash(guest: str) -> Commands:
    return (f"guest {guest} crash",)


def _lock(guest: str, name: str | None) -> Commands:
    return (f"service {guest} lock {name or 'backup'}",)


def _unlock(guest: str) -> Commands:
    return (f"service {guest} unlock",)


def _mended(guest: str) -> Commands:
    return (f"guest {guest} fail stop 0",)


def _retries(guest: str, key: str, number: int) -> Commands:
    return (f"config {guest} {key} {retries(key, str(number))}",)


def _option(name: str, value: str) -> Commands:
    checked_option(name, value)
    return (f"options {name} {value}",)


def _rule(name: str, word: str) -> Commands:
    return (f"rule {name} {word[:-1]}",)


def _stuck(word: str, rounds: int, _word: str) -> Commands:
    if rounds < 1:
        raise WordsError("0 rounds: expected 1 or more")
    return (f"skip-round {'crm' if word == 'managers' else 'lrm'} {rounds}",)


def _disarm(word: str) -> Commands:
    return (f"crm {ANY_NODE} disarm-ha {'freeze' if word == 'frozen' else 'ignore'}",)


def _goes_down(node: str, word: str) -> Commands:
    return (f"{'reboot' if word == 'rebooted' else 'shutdown'} {node}",)


def _crm(node: str, word: str) -> Commands:
    return (f"crm {node} {'stop' if word == 'stopped' else 'start'}",)


def _failback(guest: str, word: str) -> Commands:
    return (f"config {guest} failback {word}",)


def _store_away(time_s: float) -> Commands:
    return (f"store off {time_s:g}",)


def _dies(role: str, node: str) -> Commands:
    return (f"kill {node} {role} {DAEMON_BACK_S}",)


def _hangs(role: str, node: str, time_s: float) -> Commands:
    return (f"freeze {node} {role} {time_s:g}",)


def _disk(guest: str, word: str) -> Commands:
    return (f"guest {guest} disk {'gone' if word == 'is missing' else 'back'}",)


DAEMON_BACK_S = 2
"""systemd starts a daemon that died again."""

FAST_STEPS: tuple[Phrase[Commands], ...] = (
    Phrase(
        "the store is away for <time>",
        "nobody can read or write it, as while etcd elects a leader (pacing: fast)",
        _store_away,
        FAST,
    ),
    Phrase(
        "the (lrm|crm) of <node> dies",
        f"kill -9; systemd starts it again {DAEMON_BACK_S} s later (pacing: fast)",
        _dies,
        FAST,
    ),
    Phrase(
        "the (lrm|crm) of <node> hangs for <time>",
        "its process is stopped, and goes on after that time (pacing: fast)",
        _hangs,
        FAST,
    ),
    Phrase(
        "<guest> is powered off from inside",
        "shutdown in the guest: a person's intention (pacing: fast)",
        lambda guest: (f"guest {guest} power-off",),
        FAST,
    ),
    Phrase(
        "<guest> is started by hand on <node>",
        "`virsh start`, past haven: on one host it is meant; in a cluster it is refused, and told (pacing: fast)",
        lambda guest, node: (f"guest {guest} start {node}",),
        FAST,
    ),
    Phrase("<guest>'s disk (is missing|is back)", "no start works without it (pacing: fast)", _disk, FAST),
    Phrase(
        "the outcome of <guest>'s next move is lost, and it is on the (source|target)",
        "libvirt's answer does not come: nobody knows where it runs (pacing: fast)",
        lambda guest, side: (f"guest {guest} unsure {side}",),
        FAST,
    ),
    Phrase(
        "a person confirms that <node> is off",
        "`haven fence confirm`: it was looked at, and runs nothing (pacing: fast)",
        lambda node: (f"fence-confirm {node}",),
        FAST,
    ),
)

ANY_NODE = "{any}"
"""Stands for some node: the command queue is the same everywhere."""

STEPS: Phrasebook[Commands] = Phrasebook(
    "step",
    (
        # hosts
        Phrase(
            "power of <nodes> (fails|fail)", "all power is lost at once", lambda nodes, _: _power(nodes, "fails")
        ),
        Phrase("power of <nodes> (returns|return)", "the host boots", lambda nodes, _: _power(nodes, "returns")),
        Phrase(
            "network of <nodes> (goes down|go down)",
            "the host runs on, but sees nobody and is seen by nobody",
            _network,
        ),
        Phrase("network of <nodes> (comes back|come back)", "it sees the others again", _network),
        Phrase("<node> is (rebooted|shut down)", "in order, by a person: the shutdown policy decides", _goes_down),
        Phrase(
            "haven on <node> is version <version>",
            "the version that groups are migrated by (pacing: pve)",
            _version,
            VERSIONS,
        ),
        # daemons and store
        Phrase("the lrm of <node> is restarted", "an update of the node daemon; the host stays up", _restart_lrm),
        Phrase("the crm of <node> is (stopped|started)", "the manager daemon alone", _crm),
        Phrase(
            "the (managers|node daemons) are stuck for <number> (round|rounds)",
            "all of them do nothing for so many rounds (pacing: pve)",
            _stuck,
            only=ROUNDS,
        ),
        Phrase(
            "the store of <node> (cannot be read|can be read again)",
            "reading and writing the records fails",
            _store,
        ),
        Phrase(
            "the view of <node> (is out of date|is up to date again)",
            "its view of the store is not refreshed (pacing: pve)",
            _view,
            only=OLD_VIEWS,
        ),
        # people
        Phrase("maintenance of <node> is (enabled|disabled)", "its guests move away, and come back", _maintenance),
        Phrase("HA is disarmed, guests are (frozen|ignored)", "`disarm-ha freeze` or `ignore`", _disarm),
        Phrase("HA is armed", "`arm-ha`", lambda: (f"crm {ANY_NODE} arm-ha",)),
        Phrase(
            "<guest> is (migrated|relocated) to <node>", "moved while it runs; or stopped, moved, started", _move
        ),
        Phrase(
            "<guest> is stopped within <time>", "`crm-command stop`: asked, then pulled after that time", _stop
        ),
        Phrase(
            "<guest> is stopped at once",
            "`crm-command stop` with 0: the plug is pulled",
            lambda guest: _stop(guest, 0),
        ),
        Phrase("<guest> is set to <wanted>", "`ha-manager set --state`", _set),
        Phrase("<guest> is set to (max_restart|max_relocate) <number>", "`ha-manager set`", _retries),
        Phrase("<guest> is set to failback (on|off)", "`ha-manager set --failback`", _failback),
        Phrase("<new guest> is added on <node>, <wanted>", "`ha-manager add`", _add),
        Phrase(
            "<guest> is removed",
            "`ha-manager remove`: it is left as it is",
            lambda guest: (f"service {guest} delete",),
        ),
        Phrase(
            "<guest> is moved by hand to <node>",
            "not by HA: only while it is ignored or HA is disarmed (pacing: pve)",
            _carry,
            BY_HAND,
        ),
        Phrase("rule <rule> is (removed|disabled|enabled)", "`ha-manager rules`", _rule),
        Phrase("option <word> is set to <word>", "one of the options", _option),
        # guests
        Phrase("<guest> crashes", "its process dies, or is killed: OOM, kill -9, `qm stop` from outside", _crash),
        Phrase(
            "<guest>'s (start|move) fails <number> (time|times)[ on <node>]",
            "the next attempts do not work",
            _fails,
        ),
        Phrase(
            "<guest> cannot be stopped",
            "no stop works any more",
            lambda guest: (f"guest {guest} fail stop always",),
        ),
        Phrase("<guest> can be stopped again", "stops work as before", _mended),
        Phrase(
            "<guest> is locked[ by <word>]",
            "as by a backup: nothing can be done with it (pacing: pve)",
            _lock,
            GUEST_LOCKS,
        ),
        Phrase(
            "<guest> is unlocked",
            "the backup, or whatever it was, has ended (pacing: pve)",
            lambda guest: (f"service {guest} unlock",),
            GUEST_LOCKS,
        ),
        Phrase("<guest> uses <cpus> cpus, <memory>", "what is measured (scheduler dynamic)", _measured),
        Phrase("<guest> is given <cpus> cpus, <memory>", "what it is configured with (scheduler static)", _given),
        *FAST_STEPS,
        Phrase("nothing happens", "only time passes: for expectations at a time", lambda: ()),
    ),
)
