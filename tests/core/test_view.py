"""A view made from the one before shows what a view of its own shows, whatever changed."""

from hypothesis import given
from hypothesis import strategies as st

from haven.core.records import LrmRecord, NodeAffinityRule, Record, ServiceConfig, ServiceStatus, VmIdentity
from haven.core.view import Versioned, View
from haven.core.words import LrmMode, LrmState, ServiceState

_NUMBERS = st.integers(0, 6)


def _kept(kind: str, number: int, variant: int) -> tuple[str, Record]:
    name = f"n{number}"
    match kind:
        case "config":
            return f"config/{name}", ServiceConfig(name, f"uuid{variant}", "alpha")
        case "service":
            return f"service/{name}", ServiceStatus(name, ServiceState.STARTED, f"host{variant}", "uid")
        case "lrm":
            return f"lrm/{name}", LrmRecord(name, LrmState.ACTIVE, LrmMode.ACTIVE, float(variant))
        case "rule":
            return f"rule/{name}", NodeAffinityRule(name, -variant, ("vm:1",), {"alpha": 1})
        case _:
            return f"{kind}/{name}", VmIdentity(name, 100 + number, "guest")


_KINDS = st.sampled_from(("config", "service", "lrm", "rule", "vm", "vmid"))
_KEPT = st.lists(st.builds(_kept, _KINDS, _NUMBERS, st.integers(0, 2)), max_size=12).map(dict)
_DELETED = st.frozensets(st.builds(lambda kind, number: f"{kind}/n{number}", _KINDS, _NUMBERS), max_size=6)
_LOOKS = st.sets(st.sampled_from(("configs", "services", "lrms", "identities", "rules")))


def _shown(view: View, what: str) -> object:
    found = getattr(view, what)()
    return found if isinstance(found, tuple) else list(found.items())  # their order counts, too


@given(_KEPT, st.lists(st.tuples(_KEPT, _DELETED, _LOOKS), max_size=4))
def test_whatever_is_written_and_deleted_the_next_view_shows_what_is_there_then(
    first: dict[str, Record], steps: list[tuple[dict[str, Record], frozenset[str], set[str]]]
) -> None:
    view = View.of("i", 1, {key: Versioned(record, 1) for key, record in first.items()})
    for revision, (puts, deleted, looks) in enumerate(steps, start=2):
        for what in looks:
            _shown(view, what)
        changes: dict[str, Versioned[Record] | None] = dict.fromkeys(deleted)
        changes |= {key: Versioned(record, revision) for key, record in puts.items()}
        before, view = view, view.after(revision, changes)

        fresh = View.of("i", revision, view.entries)
        assert all(
            _shown(view, what) == _shown(fresh, what)
            for what in ("configs", "services", "lrms", "identities", "rules")
        )
        assert view.changed == changes.keys()
        then = {**before.entries, **changes}
        assert view.entries == {key: entry for key, entry in then.items() if entry is not None}


def test_the_view_before_stays_as_it_was() -> None:
    config = ServiceConfig("vm:1", "uuid", "alpha")
    before = View.of("i", 1, {"config/vm:1": Versioned(config, 1)})
    assert before.configs() == {"vm:1": config}
    after = before.after(2, {"config/vm:1": None})
    assert (before.configs(), after.configs()) == ({"vm:1": config}, {})


def test_what_did_not_change_is_the_same_object() -> None:
    config = ServiceConfig("vm:1", "uuid", "alpha")
    before = View.of("i", 1, {"config/vm:1": Versioned(config, 1)})
    configs = before.configs()
    after = before.after(2, {"service/vm:1": Versioned(ServiceStatus("vm:1", ServiceState.STOPPED, "a", "u"), 2)})
    assert after.entries["config/vm:1"].record is config
    assert after.configs() is configs
