"""From the desk to transactions: all that the round wants to make true, in batches that any store can take."""

from collections.abc import Iterator

from haven.core.crm.desk import Desk
from haven.core.transaction import Delete, Guard, Put, Transaction, Write
from haven.core.words import Verb

MAX_WRITES = 100
"""etcd allows 128 operations in a transaction by default; some of them are guards."""

Group = list[Put | Delete]


def transactions(desk: Desk, lock: Guard) -> tuple[Transaction, ...]:
    """Each is guarded by the manager lock and by its own records as they were read (SAFETY 8, 9).

    What is written about one service stays together. The manager record comes last, with what may only be
    true once all services are written (SAFETY 5). Empty: nothing is new.
    """
    groups = list(_groups(desk))
    last = _last(desk)
    if not groups and not desk.first_writes and not last and not desk.seen.tick and desk.is_known():
        return ()
    batches: list[list[Write]] = [list(desk.first_writes)]
    for group in groups:
        if len(batches[-1]) + len(group) > MAX_WRITES:
            batches.append([])
        batches[-1] += group
    batches[-1] += [*last, Put("manager", desk.record())]
    return tuple(_transaction(desk, lock, number, batch) for number, batch in enumerate(batches))


def _transaction(desk: Desk, lock: Guard, number: int, batch: list[Write]) -> Transaction:
    view = desk.view
    guarded = {guard.key for guard in desk.first_guards}
    guards = [lock, *(desk.first_guards if number == 0 else ())]
    keys = [*sorted(desk.guarded), *(write.key for write in batch)]
    guards += [Guard(key, view.revision_of(key)) for key in keys if number or key not in guarded]
    return Transaction(view.incarnation, tuple(guards), tuple(batch))


def _groups(desk: Desk) -> Iterator[Group]:
    """What is written of each service: its configuration, its status, its run key, its commands."""
    configs, services = desk.view.configs(), desk.view.services()
    by_sid: dict[str, Group] = {}
    for sid, config in desk.changed_configs.items():
        if config != configs.get(sid):
            by_sid.setdefault(sid, []).append(Put(f"config/{sid}", config))
    for sid in desk.changed_services:
        before, after = services.get(sid), desk.services.get(sid)
        if after != before:
            write = Put(f"service/{sid}", after) if after else Delete(f"service/{sid}")
            by_sid.setdefault(sid, []).append(write)
    _add_run_keys(desk, by_sid)
    for command in desk.handled_commands:
        if command.verb in (Verb.STOP, Verb.MIGRATE, Verb.RELOCATE):
            by_sid.setdefault(command.sid, []).append(Delete(f"command/{command.id}"))
    yield from (by_sid[sid] for sid in sorted(by_sid))


def _add_run_keys(desk: Desk, by_sid: dict[str, Group]) -> None:
    if not desk.changed_runs:
        return
    sids = {config.uuid: sid for sid, config in desk.view.configs().items()}
    for uuid, key in desk.changed_runs.items():
        write = Put(f"run/{uuid}", key) if key else Delete(f"run/{uuid}")
        by_sid.setdefault(sids.get(uuid, ""), []).append(write)


def _last(desk: Desk) -> list[Put | Delete]:
    """Fence marks that are lifted, and commands whose effect is in the manager record."""
    commands = [c for c in desk.handled_commands if c.verb not in (Verb.STOP, Verb.MIGRATE, Verb.RELOCATE)]
    keys = [*(f"command/{command.id}" for command in commands), *sorted(desk.lifted_marks)]
    return [Delete(key) for key in keys]
