"""The rules of SAFETY.md, each broken once."""

from dataclasses import replace

from haven.core import hands_off, lease, run_keys
from haven.core.crm import epochs, resting, writing
from haven.core.crm.desk import Desk
from haven.core.lease import LeaseTerms
from haven.core.lrm import reading
from haven.core.node import standing
from haven.core.node.hands import Hands
from haven.core.node.moves import Moves
from haven.core.node.plan import Plan
from haven.core.placement import select
from haven.core.transaction import Committed
from haven.core.words import Pacing
from haven.sim import cluster
from haven.sim.fast import calls, lease_loop, world
from haven.sim.fast.generate import Scope
from tests.sim.mutants.mutate import DENSE, Mutant, Value, Words

TWICE = "two running copies"
RETIRED = "an epoch is retired while its VMs run"
GIVEN_UP = "a run key is given up while the VM runs there"
NO_EPOCH = "runs a VM without a live epoch"
NO_KEY = "runs a VM without its run key"
NO_LOCK = "runs a VM without its lock"
ORDERS = "orders a start or a move without"
TOUCHED = "a service is touched although"
LEAVES = "a service leaves a node whose epoch lives"
MANAGER = "only the manager decides"
STUCK = "a started service does not run, and nobody says why"
UNGUARDED = (
    """guards = [lock, *(desk.first_guards if number == 0 else ())]
    keys = [*sorted(desk.guarded), *(write.key for write in batch)]""",
    """guards = [*(desk.first_guards if number == 0 else ())]
    keys = [*sorted(desk.guarded), *(write.key for write in batch if write.key != "manager")]""",
)
"""Neither by the lock nor by the manager's record, which another manager would have written: each catches the
case alone."""

MUTANTS = (
    Mutant(
        "a watchdog that is longer than the lease",
        (Value(world, "LeaseTerms", lambda _old: lambda: LeaseTerms(watchdog_s=20.0)),),
        ("a watchdog fires after its lock is free", RETIRED),
    ),
    Mutant(
        "a self-stop that never comes",
        (Value(lease, "must_stop_vms", lambda _old: lambda *_given: False),),
        ("a host does not let go in time",),
        ("network", "partition", "store"),
    ),
    Mutant(
        "a watchdog fed by an old acknowledgement",
        (Value(lease, "feeds_watchdog", lambda _old: lambda *_given: True),),
        ("a watchdog fires after its lock is free", RETIRED),
        ("stall",),
    ),
    Mutant(
        "the manager's writes are not guarded by its lock",
        (Words(writing, "_transaction", *UNGUARDED),),
        (MANAGER,),
        ("stall", "network"),
        range(40, 301),
    ),
    Mutant(
        "an LRM that acts after its lease ran out",
        (
            Words(standing._Stand, "_is_locked", " and self._now.boottime_s < lease.act_until_s", ""),
            Words(Plan, "__init__", "observation.lease.act_until_s if observation.lease else None", "None"),
        ),
        (RETIRED, ORDERS, NO_LOCK, "a host does not let go in time"),
        ("network", "partition", "store"),
    ),
    Mutant(
        "a lock given back in order is taken for death",
        (
            Words(
                run_keys,
                "may_be_running",
                "return not agent.released or uuid in agent.running",
                "return not agent.released",
            ),
            Value(epochs, "_still_runs", lambda _old: lambda *_given: False),
        ),
        (GIVEN_UP, TWICE),
        ("network", "crm"),
        scope=replace(DENSE, faults=30),
    ),
    Mutant(
        "a release that does not say what still runs",
        (Value(standing._Stand, "_running", lambda _old: lambda _self: ()),),
        ("a release that hides running VMs",),
        ("network", "crm"),
    ),
    Mutant(
        "a lock taken while its node is being fenced",
        (
            Words(
                standing._Stand,
                "_acquisition",
                "guards += [Guard(key, view.revision_of(key)), Guard(fence_key(seen.node), ABSENT)]",
                "guards += [Guard(key, view.revision_of(key))]",
            ),
            Words(
                standing._Stand,
                "_facts",
                "to_be_fenced(reading) or fence_key(self._seen.node) in self._seen.view.entries",
                "False",
            ),
        ),
        ("a lock is taken while its node is fenced",),
        ("link", "network", "partition"),
        range(220, 401),
    ),
    Mutant(
        "services leave before the epoch is retired",
        (Words(epochs, "_fence", "_retire(desk, node)", "return _acknowledge(desk, node)"),),
        (LEAVES, TWICE),
    ),
    Mutant(
        "a host without a watchdog is fenced by its lock alone",
        (Words(epochs, "proof_of", "Proof.EXPIRED if agent.armed else Proof.UNARMED", "Proof.EXPIRED"),),
        ("an epoch without a watchdog is retired without proof", RETIRED),
        ("freeze", "network", "power"),
        range(90, 301),
    ),
    Mutant(
        "a move whose end nobody knows is taken for failed, and its source started again",
        (Words(Moves, "_look_at_both_ends", "if not may_be_running(", "if True or not may_be_running("),),
        (TWICE, GIVEN_UP),
        ("guest", "service"),
    ),
    Mutant(
        "an unknown commit is taken for a success",
        (Value(calls, "NO_ANSWER", lambda _old: Committed(0)),),
        (),
        ("store", "link", "partition", "network"),
    ),
    Mutant(
        "results of another order are believed by the manager",
        (
            Value(
                Desk,
                "result_of",
                lambda _old: (
                    lambda desk, service: next(
                        (result for result in desk.results.values() if result.sid == service.sid), None
                    )
                ),
            ),
        ),
    ),
    Mutant(
        "an LRM that acts on an old uid: it starts by the order of its last try",
        (Words(Plan, "_start", "service.uid, why", "known.tries_uid or service.uid, why"),),
        ("acts on an old uid",),
        ("guest", "service"),
    ),
    Mutant(
        "a VM started without its run key",
        (Value(Plan, "_holds_run_key", lambda _old: lambda *_given: True),),
        (NO_KEY, ORDERS),
    ),
    Mutant(
        "an LRM that touches what is frozen",
        (
            Words(
                Plan, "_by_state", "case ServiceState.STARTED:", "case ServiceState.STARTED | ServiceState.FREEZE:"
            ),
            Words(standing, "_attended", "service.state is not ServiceState.FREEZE", "True"),
        ),
        (TOUCHED,),
        ("power", "guest", "reboot"),
    ),
    Mutant(
        "an LRM that does not hear that HA is disarmed",
        (
            Words(Plan, "_is_put_off", "return self.standing.reading.disarm", "return False"),
            Words(reading, "mode_after", "if reading.disarm:", "if False:"),
        ),
        (TOUCHED, "disarming does not end"),
        ("guest", "power", "crm"),
    ),
    Mutant(
        "a strict rule that binds nobody",
        (
            Words(
                select, "select_node", "allowed_and_preferred(", "(lambda _sid, _rules, online: (online, online))("
            ),
        ),
        ("a placement against a strict rule",),
        ("power", "network"),
    ),
    Mutant(
        "a rule that keeps nobody apart",
        (Words(select, "select_node", "placement.kept_from(", "(lambda *_given: frozenset())("),),
        ("recovered beside one that it is kept apart from",),
        ("power", "network"),
        scope=replace(DENSE, nodes=(3, 3), guests=(4, 6)),
    ),
    Mutant(
        "a maintenance window that nobody heeds",
        (Value(hands_off, "_maintenance", lambda _old: lambda *_given: None),),
        (TOUCHED,),
        ("guest", "service", "maintain"),
    ),
    Mutant(
        "a lock that nobody heeds",
        (Value(hands_off, "_lock", lambda _old: lambda *_given: None),),
        (TOUCHED,),
        ("guest", "service", "lock"),
    ),
    Mutant(
        "a planner that forgets to ask whether it may start",
        (Value(Hands, "from_start", lambda _old: lambda *_given: None),),
        ("a daemon tells of an error of its own",),
        ("guest", "service", "maintain"),
    ),
    Mutant(
        "a VM that outlives its host's lease, as its run key is damaged",
        (Words(lease_loop.LeaseLoop, "_kill", 'view.damaged_of("run")', "frozenset()"),),
        ("a host does not let go in time",),
        ("network", "partition", "damage"),
    ),
    Mutant(
        "a host whose record is damaged is taken for dead",
        (Words(run_keys, "may_be_running", "view.agent_is_damaged(node)", "False"),),
        (GIVEN_UP, TWICE),
        ("service", "guest", "kill", "damage"),
        range(901, 951),
    ),
    Mutant(
        "a frozen VM that waits for a host which never returns",
        (Words(resting, "freeze", "desk.is_offline_for(service.node)", "False"),),
        (STUCK,),
        ("power", "reboot", "crm"),
    ),
    Mutant(
        "a lock whose lifetime is shorter than the watchdog's, in pve pacing",
        (Value(cluster, "LOCK_LIFETIME_S", lambda _old: 40.0),),
        (TWICE,),
        scope=Scope(seconds=1500.0, pacing=Pacing.PVE),
    ),
)
