"""The rules of SAFETY.md, each broken once."""

from haven.core import lease, node, node_standing
from haven.core.crm import claims, epochs, recovering, writing
from haven.core.crm.desk import Desk
from haven.core.lease import LeaseTerms
from haven.core.node_moves import Moves
from haven.core.node_plan import Plan
from haven.core.placement import select
from haven.core.transaction import Committed
from haven.sim import cluster
from haven.sim.fast import calls, world
from tests.sim.mutants.mutate import Mutant, Value, Words

TWICE = "two running copies"
RETIRED = "an epoch is retired while its VMs run"
GIVEN_UP = "a run key is given up while the VM runs there"
NO_EPOCH = "runs a VM without a live epoch"
NO_KEY = "runs a VM without its run key"
NO_LOCK = "runs a VM without its lock"
ORDERS = "orders a start or a move without"
TOUCHED = "a service is touched although"
MANAGER = "only the manager decides"
STUCK = "a started service does not run, and nobody says why"

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
        kinds="network,partition,store",
    ),
    Mutant(
        "a watchdog fed by an old acknowledgement",
        (Value(lease, "feeds_watchdog", lambda _old: lambda *_given: True),),
        ("a watchdog fires after its lock is free", RETIRED),
        kinds="stall,network",
        seeds=300,
    ),
    Mutant(
        "the manager's writes are not guarded by its lock",
        (Words(writing, "_transaction", "guards = [lock, *(", "guards = [*("),),
        (MANAGER,),
        kinds="stall,network",
        seeds=200,
    ),
    Mutant(
        "a run key written without a guard",
        (Words(node, "_transaction", "guards = (agent,", "guards = () and (agent,"),),
        (GIVEN_UP, TWICE, NO_KEY, ORDERS),
        kinds="stall,guest,network,partition",
        seeds=300,
    ),
    Mutant(
        "an LRM that acts after its lease ran out",
        (
            Words(node_standing._Stand, "_is_locked", " and self._now.boottime_s < lease.act_until_s", ""),
            Words(Plan, "__init__", "observation.lease.act_until_s if observation.lease else None", "None"),
        ),
        (RETIRED, ORDERS, NO_LOCK, "a host does not let go in time"),
        kinds="network,partition,store",
        seeds=100,
    ),
    Mutant(
        "an order that has no end, given to a libvirt that hangs",
        (Words(Plan, "__init__", "observation.lease.act_until_s if observation.lease else None", "None"),),
        (RETIRED, NO_LOCK, NO_EPOCH, NO_KEY, "a host does not let go in time", GIVEN_UP),
        kinds="libvirtd,network,partition,store,guest,freeze",
        seeds=600,
    ),
    Mutant(
        "a lock given back in order is taken for death",
        (
            Words(
                claims,
                "may_run",
                "return not agent.released or uuid in agent.running",
                "return not agent.released",
            ),
            Value(epochs, "_still_runs", lambda _old: lambda *_given: False),
        ),
        (GIVEN_UP, TWICE),
        seeds=600,
    ),
    Mutant(
        "a release that does not say what still runs",
        (Value(node_standing._Stand, "_running", lambda _old: lambda _self: ()),),
        ("a release that hides running VMs",),
        seeds=200,
    ),
    Mutant(
        "a lock taken while its node is being fenced",
        (
            Words(
                node_standing._Stand,
                "_acquisition",
                "guards += [Guard(key, view.revision_of(key)), Guard(fence_key(seen.node), ABSENT)]",
                "guards += [Guard(key, view.revision_of(key))]",
            ),
            Words(node_standing._Stand, "result", "facts.to_be_fenced and", "False and"),
        ),
        ("a lock is taken while its node is fenced",),
        kinds="stall,kill,cut,network,partition",
        seeds=300,
    ),
    Mutant(
        "services leave before the epoch is retired",
        (Words(epochs, "_fence", "_retire(desk, node)", "return _acknowledge(desk, node)"),),
        ("a service leaves a node whose epoch lives", TWICE),
    ),
    Mutant(
        "a host without a watchdog is fenced by its lock alone",
        (Words(epochs, "proof_of", "Proof.EXPIRED if agent.armed else Proof.UNARMED", "Proof.EXPIRED"),),
        ("an epoch without a watchdog is retired without proof", RETIRED),
        kinds="freeze,network,partition,power",
        seeds=200,
    ),
    Mutant(
        "an unknown move is taken for a failed one, and its source started again",
        (Words(Moves, "resolve", "elif not is_alive(", "elif True or not is_alive("),),
        (TWICE, GIVEN_UP),
        kinds="guest,libvirtd,network",
        seeds=300,
    ),
    Mutant(
        "a migrating VM is recovered elsewhere than where it may be",
        (
            Words(claims, "claim_on", "if key.target is not None and may_run", "if False and may_run"),
            Value(recovering, "claim_on", lambda _old: lambda desk, uuid: claims.Claim()),
        ),
        (GIVEN_UP, TWICE),
        kinds="power,freeze,network,guest",
        seeds=600,
    ),
    Mutant(
        "an unknown commit is taken for a success",
        (Value(calls, "NO_ANSWER", lambda _old: Committed(0)),),
        ("",),
        kinds="store,link,partition,network",
        seeds=100,
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
        ("",),
        seeds=100,
    ),
    Mutant(
        "an LRM that believes the end of an old move",
        (Words(Moves, "move", "known.move_ended and known.move_ended.uid == service.uid", "known.move_ended"),),
        ("",),
        seeds=600,
    ),
    Mutant(
        "a VM started without its run key",
        (Value(Plan, "_holds_run_key", lambda _old: lambda *_given: True),),
        (NO_KEY, ORDERS, "libvirt's hook"),
        seeds=60,
    ),
    Mutant(
        "an LRM that touches what is frozen",
        (
            Words(
                Plan,
                "_plan",
                "case ServiceState.STARTED:",
                "case ServiceState.STARTED | ServiceState.FREEZE:",
            ),
        ),
        (TOUCHED,),
        seeds=300,
    ),
    Mutant(
        "a strict rule that binds nobody",
        (
            Words(
                select,
                "select_node",
                "allowed_and_preferred(",
                "(lambda _sid, _rules, online: (online, online))(",
            ),
        ),
        ("a placement against a strict rule",),
        seeds=100,
    ),
    Mutant(
        "a lock whose lifetime is shorter than the watchdog's, in pve pacing",
        (Value(cluster, "LOCK_LIFETIME_S", lambda _old: 40.0),),
        (TWICE,),
        seeds=100,
        pve=True,
    ),
)
