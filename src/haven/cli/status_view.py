"""`haven status`: one screen for a tired person. First the verdict in words, last what to mend."""

from collections.abc import Iterator, Sequence

from rich.cells import cell_len
from rich.text import Text

from haven.cli.screen import GAP, fitted, indented
from haven.cli.shapes import HandsOff, Problem, Status, Vm
from haven.cli.times import ago, clock, moment, span

_HEAD = ("VM", "Name", "Should", "Is", "Since", "Restarts 24 h")
_NAME = 1
_MIN_NAME = 8
_SHOULD = {"started": "run", "enabled": "run", "stopped": "off"}
_WITHOUT = {
    "lrm": "a VM that dies now is not restarted",
    "crm": "a change of what should run waits",
}


def status_lines(status: Status, width: int) -> Iterator[Text]:
    """The screen's lines, `width` columns at most."""
    yield indented(_verdict(status), 0, width)
    protected = sorted((vm for vm in status.vms if vm.protected), key=_by_urgency)
    if protected:
        yield Text()
        yield from _table(protected, status.now, width)
    unprotected = [vm for vm in status.vms if not vm.protected]
    if unprotected:
        yield Text()
        yield from _unprotected(unprotected, width)
    problems = [problem for problem in status.problems if not _is_beside_its_vm(problem, status)]
    if problems:
        yield Text()
        yield from _problems(problems, width)
    yield Text()
    yield indented(_footer(status), 0, width)


def _verdict(status: Status) -> Text:
    """What a person must know, if they read only one line."""
    wanted = [vm for vm in status.vms if vm.should_run and (vm.runs or not vm.in_maintenance)]
    vms = _vms_verdict(status, wanted)
    trouble = "; ".join(_haven_trouble(status))
    if status.hypervisor.ok and not any(vm.down for vm in wanted):
        text = f"{vms}, but {trouble}." if trouble else f"{vms}."
        return Text(text, "bold red" if trouble else "bold green" if wanted else "bold")
    return Text(f"{vms}. And {trouble}." if trouble else f"{vms}.", "bold red")


def _vms_verdict(status: Status, wanted: Sequence[Vm]) -> str:
    down = [vm for vm in wanted if vm.down]
    if not status.hypervisor.ok:
        return f"It is not known what runs: {status.hypervisor.text or 'libvirt does not answer'}".rstrip(".")
    if not status.store.ok and not status.vms:
        return "It is not known what should run"
    if len(down) == 1:
        return f"{down[0].label} is down: {_why_down(down[0])}"
    if down:
        names = ", ".join(vm.label for vm in down)
        return f"{len(down)} of {len(wanted)} VMs that should run are down: {names}"
    return _all_well(status, len(wanted))


def _all_well(status: Status, wanted: int) -> str:
    off = sum(1 for vm in status.vms if vm.off_on_purpose)
    quiet = f"; {off} {'is' if off == 1 else 'are'} off on purpose" if off else ""
    away = sum(1 for vm in status.vms if vm.in_maintenance and not vm.runs)
    quiet += f"; {away} {'is' if away == 1 else 'are'} off in maintenance" if away else ""
    if not status.vms:
        return "There is no VM on this host yet"
    protected = sum(1 for vm in status.vms if vm.protected)
    if not protected:
        return "No VM is protected"
    if not wanted:
        return f"No VM should run now{quiet}"
    if wanted == protected:
        return "The one protected VM runs" if wanted == 1 else f"All {wanted} protected VMs run"
    return (
        f"The one VM that should run does{quiet}" if wanted == 1 else f"All {wanted} VMs that should run do{quiet}"
    )


def _why_down(vm: Vm) -> str:
    """The reason, without the word for being down, which the verdict has already."""
    reason = (vm.hold.detail if vm.hold else "") or vm.trouble or (vm.pending.what if vm.pending else "")
    return reason.removeprefix("down; ").rstrip(".") or f"it is {vm.power}"


def _haven_trouble(status: Status) -> Iterator[str]:
    """What is wrong with haven itself: it decides whether the rest can be relied on."""
    for daemon in status.daemons:
        if not daemon.ok:
            last = "" if daemon.fresh_s is None else f" (last heard of {span(daemon.fresh_s)} ago)"
            harm = f": {_WITHOUT[daemon.name]}" if daemon.name in _WITHOUT else ""
            yield f"haven {daemon.name} does not work{last}{harm}"
    if not status.store.ok:
        yield f"haven's store is in trouble: {status.store.text}".rstrip(".")


def _by_urgency(vm: Vm) -> tuple[int, int, str]:
    """Trouble first, what is off on purpose last."""
    rank = 0 if vm.down else 1 if vm.trouble else 3 if vm.off_on_purpose else 2
    return rank, vm.vmid or 0, vm.label


def _table(vms: Sequence[Vm], now_s: float, width: int) -> Iterator[Text]:
    rows = [_cells(vm, now_s) for vm in vms]
    widths = _widths([_HEAD, *rows], width)
    yield _row(_HEAD, widths, "bold")
    for vm, cells in zip(vms, rows, strict=True):
        yield _row(cells, widths, _style(vm))
        yield from (indented(note, len(GAP) * 2, width) for note in _notes(vm, now_s))


def _cells(vm: Vm, now_s: float) -> tuple[str, ...]:
    since = "" if vm.since is None else moment(vm.since, now_s)
    power = "held" if vm.down and vm.hold else vm.power
    return vm.label, vm.name, _SHOULD.get(vm.wanted, vm.wanted), power, since, str(vm.restarts_24h)


def _widths(rows: Sequence[Sequence[str]], width: int) -> list[int]:
    """Each column as wide as its widest cell; the names give way when it is too much."""
    widths = [max(cell_len(cell) for cell in column) for column in zip(*rows, strict=True)]
    too_much = sum(widths) + len(GAP) * (len(widths) - 1) - width
    if too_much > 0:
        widths[_NAME] = max(widths[_NAME] - too_much, _MIN_NAME)
    return widths


def _row(cells: Sequence[str], widths: Sequence[int], style: str) -> Text:
    fitting = (fitted(cell, columns) for cell, columns in zip(cells, widths, strict=True))
    return Text(GAP.join(fitting).rstrip(), style, no_wrap=True)


def _style(vm: Vm) -> str:
    if vm.down:
        return "red"
    if vm.trouble:
        return "yellow"
    return "dim" if vm.off_on_purpose else ""


def _notes(vm: Vm, now_s: float) -> Iterator[Text]:
    """What is wrong with a VM, what haven will do about it, what a person can do."""
    if vm.off_on_purpose:
        yield Text(vm.off_reason or "off on purpose", "dim")
        yield Text(f"-> {vm.advice or f'to start it: qm start {vm.vmid}'}", "dim")
        return
    if vm.hands_off:
        yield Text(hands_sentence(vm.hands_off, now_s), "cyan")
    if vm.trouble:
        yield Text(vm.trouble, _style(vm))
    if vm.hold:
        if vm.hold.detail and vm.hold.detail not in vm.trouble:
            yield Text(vm.hold.detail, _style(vm))
        yield Text(hold_sentence(vm, now_s))
    if vm.pending and vm.pending.what not in vm.trouble:
        at = "" if vm.pending.at is None else f" {ago(vm.pending.at, now_s)}"
        yield Text(f"haven: {vm.pending.what}{at}")
    yield from (Text(sign, "yellow") for sign in vm.signs)
    if vm.advice:
        yield Text(f"-> {vm.advice}", "bold")
    if drill := drill_sentence(vm, now_s):
        yield Text(drill, "dim")


def hands_sentence(hands: HandsOff, now_s: float) -> str:
    """Why haven leaves a VM alone, until when, and how to end that."""
    until = "" if hands.until is None else f", until {clock(hands.until, now_s)} ({ago(hands.until, now_s)})"
    return f"{hands.sentence}{until}" + (f"; to end it: {hands.ends}" if hands.ends else "")


def drill_sentence(vm: Vm, now_s: float) -> str:
    """The last drill, and the next one; empty without both."""
    parts = []
    if vm.last_drill and vm.last_drill.at is not None:
        down = "" if vm.last_drill.outage_s is None else f", down for {span(vm.last_drill.outage_s)}"
        word = "passed" if vm.last_drill.passed else "failed"
        parts.append(f"last drill {ago(vm.last_drill.at, now_s)}: {word}{down}")
    if vm.next_drill is not None:
        parts.append(f"next drill {ago(vm.next_drill, now_s)}")
    return "; ".join(parts)


def hold_sentence(vm: Vm, now_s: float) -> str:
    """When haven tries a held VM again, and what makes it try sooner."""
    hold = vm.hold
    if hold is None:
        return ""
    when = "held" if hold.until is None else f"tried again {ago(hold.until, now_s)} ({clock(hold.until, now_s)})"
    return f"{when}, at once when {hold.ends.rstrip('.')}" if hold.ends else when


def _unprotected(vms: Sequence[Vm], width: int) -> Iterator[Text]:
    """A dim list, and how to protect the first of them."""
    names = ", ".join(f"{vm.vmid or '-'} {vm.name} ({vm.power}{', ignored' if vm.sid else ''})" for vm in vms)
    yield indented(Text(f"Not protected, left alone: {names}", "dim"), 0, width)
    first = vms[0]
    command = f"set {first.sid} --state started" if first.sid else f"add {first.vmid or first.name}"
    yield Text(f"-> protect one: ha-manager {command}", "dim")


def _problems(problems: Sequence[Problem], width: int) -> Iterator[Text]:
    for problem in problems:
        severe = problem.level == "err"
        text = Text(f"{'Error' if severe else 'Warning'}: {problem.text}", "red" if severe else "yellow")
        yield indented(text, 0, width)
        if problem.advice:
            yield indented(Text(f"-> {problem.advice}", "bold"), len(GAP), width)


def _is_beside_its_vm(problem: Problem, status: Status) -> bool:
    """Whether the table says it already."""
    return any(vm.trouble and problem.text.startswith(f"{vm.sid} ") for vm in status.vms)


def _footer(status: Status) -> Text:
    """Where and when this was seen, and by what."""
    working = ", ".join(daemon.name for daemon in status.daemons if daemon.ok)
    daemons = [f"{working} ok"] if working else []
    daemons += [f"{daemon.name} DOWN" for daemon in status.daemons if not daemon.ok]
    parts = [
        f"haven {status.version} on {status.node}, {clock(status.now, status.now)}",
        *daemons,
        "libvirt ok" if status.hypervisor.ok else "libvirt GONE",
        "store ok" if status.store.ok else "store in TROUBLE",
    ]
    return Text(" | ".join(parts), "dim")
