"""One manager round: services added and removed, commands, then passes until nothing moves (spec 4.1)."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from haven.core import sentences
from haven.core.brake import hold_length_s
from haven.core.clock import Now, deadline_after
from haven.core.contract import ManagerObservation
from haven.core.event import Event, Scalar
from haven.core.records import Command, Hold, PendingCommand, Result, ServiceConfig, ServiceStatus
from haven.core.service import Trigger, transition
from haven.core.transaction import Delete, Put
from haven.core.words import ExitCode, HoldCause, Kind, Level, Policy, ServiceState, Wanted

MAX_PASSES = 10
"""More than any chain of states is long; a loop in the table must not become a loop in the daemon."""


class Round:
    """The working copy of one round. It lives within one step: nothing of it is kept but what it returns."""

    def __init__(self, observation: ManagerObservation, now: Now) -> None:
        view = observation.view
        self.now = now
        self.events: list[Event] = []
        self._view = view
        self._node = observation.node
        self._pve = observation.settings.policy is Policy.PVE
        self._uids = 0
        self._lock_revision = view.revision_of("lock/manager")
        self._configs = dict(view.configs())
        self._services = dict(view.services())
        self._handled: list[Command] = []
        lrm = view.lrms().get(observation.node)
        self._results = lrm.results if lrm else {}
        self._ended_causes = lrm.ended_causes if lrm else frozenset()

    def run(self) -> None:
        self._add_and_remove()
        for command in self._view.commands().values():
            self._accept(command)
        for _ in range(MAX_PASSES):
            if not self._pass():
                return

    def writes(self) -> Iterator[Put | Delete]:
        """Every record that differs from the one that was read."""
        for kind, before, after in (
            ("config", self._view.configs(), self._configs),
            ("service", self._view.services(), self._services),
        ):
            for sid, record in after.items():
                if before.get(sid) != record:
                    yield Put(f"{kind}/{sid}", record)
            yield from (Delete(f"{kind}/{sid}") for sid in before if sid not in after)
        yield from (Delete(f"command/{command.id}") for command in self._handled)

    def wake_at_s(self) -> float | None:
        """When the next hold ends."""
        holds = [service.held for service in self._services.values() if service.held]
        left_s = min((hold.until.remaining_s(self.now) for hold in holds), default=None)
        return None if left_s is None else self.now.boottime_s + left_s

    # 4.1 step 6

    def _add_and_remove(self) -> None:
        for sid, config in sorted(self._configs.items()):
            if sid not in self._services and config.wanted is not Wanted.IGNORED:
                self._add(sid, config)
        for sid in sorted(self._services):
            gone = self._configs.get(sid)
            if gone is None or gone.wanted is Wanted.IGNORED:
                self._remove(sid, "ignored" if gone else "no_config")

    def _add(self, sid: str, config: ServiceConfig) -> None:
        starts = config.wanted is Wanted.STARTED
        state = ServiceState.REQUEST_START if starts else ServiceState.REQUEST_STOP
        self._services[sid] = ServiceStatus(
            sid, state, config.node, self._new_uid(), reason="added", rule="4.1", since_wall_s=self.now.wall_s
        )
        self._say(
            Kind.SERVICE_ADDED, sid, f"protected from now on, wanted {config.wanted}", "4.1", node=config.node
        )

    def _remove(self, sid: str, reason: str) -> None:
        del self._services[sid]
        words = "wanted state is ignored" if reason == "ignored" else "taken out of haven"
        self._say(
            Kind.SERVICE_REMOVED,
            sid,
            f"no longer protected: {words}; the VM is left as it is",
            "4.1",
            reason=reason,
        )

    # step 9

    def _accept(self, command: Command) -> None:
        """Take a stop command over. In `haven` policy the wanted state is written at once, so that an
        acknowledged stop is never lost to a state change (R-7.3 loses it)."""
        self._handled.append(command)
        fields: dict[str, Any] = {"command": command.verb, "timeout": command.timeout_s}
        service = self._services.get(command.sid)
        if service is None:
            sentence = f"{command.verb} of {command.sid} ignored: not protected"
            self.events.append(
                Event(
                    Kind.CRM_COMMAND_ERROR,
                    sentence,
                    command.sid,
                    "7.1",
                    Level.ERR,
                    fields | {"reason": "no_such_service"},
                )
            )
            return
        self._say(Kind.CRM_COMMAND, command.sid, sentences.command(command), "7.1", **fields)
        pending = PendingCommand(command.verb, command.timeout_s)
        self._services[command.sid] = replace(service, cmd=pending)
        if not self._pve:
            config = self._configs[command.sid]
            self._configs[command.sid] = replace(config, state=Wanted.STOPPED, origin=command.origin)

    # step 11

    def _pass(self) -> bool:
        """Look at every service once; True when one changed its state."""
        moved = False
        for sid in sorted(self._services):
            before = self._services[sid].state
            self._look_at(self._services[sid], self._configs[sid])
            moved = moved or self._services[sid].state is not before
        return moved

    def _look_at(self, service: ServiceStatus, config: ServiceConfig) -> None:
        result = self._results.get(service.uid)
        match service.state:
            case ServiceState.REQUEST_START:
                self._move(service, Trigger.PLACED, node=service.node)
            case ServiceState.STARTED:
                self._started(service, config, result)
            case ServiceState.REQUEST_STOP:
                self._request_stop(service, result)
            case ServiceState.STOPPED:
                self._stopped(service, config)
            case ServiceState.ERROR:
                self._error(service, config)

    def _started(self, service: ServiceStatus, config: ServiceConfig, result: Result | None) -> None:
        if service.cmd and not (self._pve and config.wanted is not Wanted.STARTED):
            self._stop_by_command(service, config)
        elif config.wanted is not Wanted.STARTED:
            self._move(service, Trigger.NOT_WANTED)
        elif result and result.exit_code is ExitCode.SUCCESS:
            self._start_confirmed(service)
        elif result:
            self._start_failed(service, config, result)

    def _stop_by_command(self, service: ServiceStatus, config: ServiceConfig) -> None:
        assert service.cmd is not None
        timeout_s = service.cmd.timeout_s
        self._say(
            Kind.STOP_REQUESTED, service.sid, "stop requested", "R-4.12", hard=timeout_s == 0, timeout=timeout_s
        )
        self._configs[service.sid] = replace(config, state=Wanted.STOPPED)
        self._move(service, Trigger.STOP_COMMAND, timeout_s=timeout_s)

    def _start_confirmed(self, service: ServiceStatus) -> None:
        """R-4.13, R-4.16. `pve` renews the uid after every result; `haven` does not: its LRM watches all
        the time, and a new order for each answer would never end when daemons wake on events."""
        if service.failed_nodes:
            nodes = ", ".join(service.failed_nodes)
            self._say(
                Kind.RELOCATE_POLICY_SUCCESS,
                service.sid,
                f"runs on {service.node} after failed starts on {nodes}",
                "R-4.13",
                node=service.node,
                failed_nodes=service.failed_nodes,
            )
        if service.running and not self._pve:
            return
        row = transition(service.state, Trigger.START_CONFIRMED)
        self._services[service.sid] = replace(
            service,
            uid=self._new_uid() if self._pve else service.uid,
            running=True,
            failed_nodes=(),
            hold_tries=0,
            rule=row.rule,
            reason=row.sentence.format(node=service.node),
            since_wall_s=service.since_wall_s if service.running else self.now.wall_s,
        )

    def _start_failed(self, service: ServiceStatus, config: ServiceConfig, result: Result) -> None:
        """R-4.13: relocate while there is a node to go to. One host has none, so `haven` holds at once,
        while `pve` repeats here (R-4.16) until `max_relocate` is used up and then ends in error."""
        failed = (*service.failed_nodes, service.node)
        service = replace(service, running=False, failed_nodes=failed)
        if self._pve and len(failed) <= config.relocates:
            row = transition(service.state, Trigger.START_FAILED_AGAIN)
            reason = row.sentence.format(node=service.node, detail=result.detail)
            self._say(Kind.RELOCATE_POLICY_NO_NODE, service.sid, reason, row.rule, Level.WARN, tried_nodes=failed)
            self._services[service.sid] = replace(service, uid=self._new_uid(), reason=reason, rule=row.rule)
            return
        if self._pve:
            self._say(
                Kind.RELOCATE_POLICY_FAILED,
                service.sid,
                "no start worked",
                "R-4.13",
                Level.ERR,
                failed_nodes=failed,
            )
        braked = result.hold is HoldCause.CRASH_LOOP
        self._move(service, Trigger.BRAKED if braked else Trigger.START_EXHAUSTED, result=result)

    def _request_stop(self, service: ServiceStatus, result: Result | None) -> None:
        if service.cmd and not self._pve and service.cmd.timeout_s != service.timeout_s:
            self._move(service, Trigger.STOP_COMMAND, timeout_s=service.cmd.timeout_s)
        elif result and result.exit_code is ExitCode.SUCCESS:
            self._move(replace(service, failed_nodes=(), hold_tries=0), Trigger.STOP_CONFIRMED)
        elif result:
            self._say(
                Kind.STOP_FAILED, service.sid, result.detail, "R-4.20", Level.ERR, exit_code=int(result.exit_code)
            )
            self._move(service, Trigger.STOP_FAILED, result=result)

    def _stopped(self, service: ServiceStatus, config: ServiceConfig) -> None:
        if service.cmd and not self._pve:
            # It may run all the same, started or suspended by another client: the LRM looks.
            self._move(service, Trigger.STOP_COMMAND, timeout_s=service.cmd.timeout_s)
            return
        if service.cmd:
            self._say(
                Kind.SERVICE_COMMAND_IGNORED,
                service.sid,
                "stop ignored: it is stopped already",
                "R-4.22",
                command=service.cmd.verb,
                reason="already_stopped",
            )
            self._services[service.sid] = service = replace(service, cmd=None)
        if config.wanted is Wanted.STARTED:
            self._move(service, Trigger.WANTED_STARTED)

    def _error(self, service: ServiceStatus, config: ServiceConfig) -> None:
        """R-4.34, and the way out of every state: a hold ends by time, with its cause, or by any change."""
        if config.wanted is Wanted.DISABLED:
            self._move(replace(service, failed_nodes=(), hold_tries=0), Trigger.DISABLED)
            return
        ended = self._hold_ended(service) if service.held else None
        if not service.held or not ended:
            return
        self._say(Kind.HOLD_ENDED, service.sid, f"no longer held: {ended}", "held", cause=service.held.cause)
        trigger = Trigger.HOLD_OVER_START if config.wanted is Wanted.STARTED else Trigger.HOLD_OVER_STOP
        timeout_s = service.cmd.timeout_s if service.cmd else None
        self._move(replace(service, failed_nodes=()), trigger, timeout_s=timeout_s, ended=ended)

    def _hold_ended(self, service: ServiceStatus) -> str | None:
        """Why the hold is over, in words; None while it is not."""
        assert service.held is not None
        key = f"config/{service.sid}"
        unchanged = self._configs[service.sid] is self._view.configs().get(service.sid)
        if self._view.revision_of(key) != service.held.config_revision or not unchanged:
            return "its configuration was changed"
        if service.uid in self._ended_causes:
            return sentences.cause_gone(service.held)
        if service.held.until.remaining_s(self.now) == 0.0:
            return "the time is up"
        return None

    # 4.2

    def _move(
        self,
        service: ServiceStatus,
        trigger: Trigger,
        *,
        node: str | None = None,
        timeout_s: int | None = None,
        result: Result | None = None,
        ended: str = "",
    ) -> None:
        """set(new state) of spec 4.2: a new uid, all but what lasts is dropped, and it is told."""
        row = transition(service.state, trigger)
        config = self._configs[service.sid]
        detail = result.detail if result else ""
        sentence = sentences.fill(row.sentence, service, config, detail=detail, timeout_s=timeout_s, ended=ended)
        held = self._hold_for(service, row.to, result) if not self._pve else None
        self._services[service.sid] = ServiceStatus(
            sid=service.sid,
            state=row.to,
            node=service.node,
            uid=self._new_uid(),
            timeout_s=timeout_s,
            failed_nodes=service.failed_nodes,
            held=held,
            hold_tries=held.tries if held else service.hold_tries,
            rule=row.rule,
            reason=sentence,
            since_wall_s=self.now.wall_s,
        )
        fields: dict[str, Any] = {"from": service.state, "to": row.to}
        fields |= {"node": node} if node else {}
        fields |= {"timeout": timeout_s} if timeout_s is not None else {}
        self._say(Kind.SERVICE_STATE, service.sid, sentence, row.rule, **fields)
        if held:
            self._say_held(service.sid, config, held)

    def _hold_for(self, service: ServiceStatus, to: ServiceState, result: Result | None) -> Hold | None:
        """The hold that goes with an entry into error; None for every other state."""
        if to is not ServiceState.ERROR or result is None:
            return None
        tries = service.hold_tries + 1
        length_s = result.hold_s or hold_length_s(tries)
        return Hold(
            cause=result.hold or HoldCause.START_FAILED,
            detail=result.detail,
            until=deadline_after(self.now, length_s),
            since_wall_s=self.now.wall_s,
            tries=tries,
            config_revision=self._view.revision_of(f"config/{service.sid}"),
        )

    def _say_held(self, sid: str, config: ServiceConfig, held: Hold) -> None:
        journal = self._view.journals().get(config.uuid)
        self._say(
            Kind.VM_HELD,
            sid,
            sentences.held(held),
            "held",
            Level.ERR,
            incident=journal.incident if journal else None,
            cause=held.cause,
            detail=held.detail,
            until_wall_s=held.until.wall_s,
        )

    def _new_uid(self) -> str:
        """Never the same twice: what commits raises the revision, even when nobody hears of it (SAFETY 9)."""
        self._uids += 1
        return f"{self._view.incarnation[:8]}-{self._lock_revision:x}-{self._view.revision:x}-{self._uids:x}"

    def _say(
        self,
        kind: Kind,
        sid: str,
        sentence: str,
        rule: str,
        level: Level = Level.INFO,
        **fields: Scalar | tuple[str, ...],
    ) -> None:
        self.events.append(Event(kind, sentence, sid, rule, level, fields))
