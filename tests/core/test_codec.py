"""Every record can be written down and read back; what does not fit is refused by name."""

import json
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any, get_args, get_origin, get_type_hints

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from haven.core.codec import KINDS, CodecError, decode, encode, record_from_json, record_to_json
from haven.core.codec_types import codec_of
from haven.core.contract import Asked, Decision
from haven.core.crm.memory import ManagerMemory
from haven.core.event import Event
from haven.core.lease import LeaseMemory
from haven.core.lrm.memory import LrmMemory
from haven.core.node.memory import NodeMemory
from haven.core.order import Probe, Stop
from haven.core.records import Lock, LrmRecord, RunKey, ServiceConfig, ServiceStatus
from haven.core.transaction import Delete, Put, Transaction
from haven.core.words import Cause, Kind, LrmMode, LrmState, ServiceState, Wanted
from tests.core.arbitrary import values_of

SERVICE = {"sid": "vm:101", "state": "started", "node": "alpha", "uid": "u1"}


@pytest.mark.parametrize("kind", KINDS.values(), ids=str)
@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_every_kind_of_record_comes_back_as_it_was_written(kind: type, data: st.DataObject) -> None:
    record = data.draw(values_of(kind))
    text = record_to_json(record)
    assert text.isascii()
    assert record_from_json(text) == record
    assert decode(kind, json.loads(json.dumps(encode(record)))) == record


def test_every_kind_that_a_record_is_made_of_is_known_by_its_name() -> None:
    """Whatever a memory, an observation, a decision or a record holds, however deep."""
    found: set[type] = set()
    wanted: list[Any] = [ManagerMemory, LrmMemory, NodeMemory, LeaseMemory, Asked, Decision, Transaction]
    while wanted:
        hint = wanted.pop()
        origin = get_origin(hint) or hint
        wanted += get_args(hint)
        if is_dataclass(origin) and isinstance(origin, type) and origin not in found:
            found.add(origin)
            hints = get_type_hints(origin)
            wanted += [hints[spec.name] for spec in fields(origin) if not spec.name.startswith("_")]
    assert len(found) > 40
    assert {kind.__name__ for kind in found} <= KINDS.keys()


def test_a_name_that_two_records_share_is_read_as_one_object() -> None:
    texts = [record_to_json(RunKey(f"uuid-{number}", "node1", "e", "uid")) for number in range(2)]
    first, second = (record_from_json(text).node for text in texts)
    assert first is second


def test_a_newer_writers_fields_are_ignored() -> None:
    data = SERVICE | {"colour": "red", "held_by": {"kind": "?"}}
    assert decode(ServiceStatus, data) == ServiceStatus("vm:101", ServiceState.STARTED, "alpha", "u1")


def test_an_older_writers_missing_fields_get_their_defaults() -> None:
    record = decode("ServiceStatus", SERVICE)
    assert (record.failed_nodes, record.held, record.timeout_s) == ((), None, None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"state": "flying"}, "ServiceStatus.state = 'flying': expected one of request_start, request_start_"),
        ({"state": ["started"]}, "ServiceStatus.state = ['started']: expected one of"),
        ({"state": None}, "ServiceStatus.state = None: expected one of"),
        ({"sid": 101}, "ServiceStatus.sid = 101: expected text"),
        ({"timeout_s": True}, "ServiceStatus.timeout_s = True: expected a whole number"),
        ({"timeout_s": 1.5}, "ServiceStatus.timeout_s = 1.5: expected a whole number"),
        ({"running": 1}, "ServiceStatus.running = 1: expected true or false"),
        ({"failed_nodes": "beta"}, "ServiceStatus.failed_nodes = 'beta': expected a list"),
        ({"failed_nodes": [3]}, "ServiceStatus.failed_nodes = 3: expected text"),
        ({"since_wall_s": "now"}, "ServiceStatus.since_wall_s = 'now': expected a number"),
        ({"since_wall_s": float("nan")}, "ServiceStatus.since_wall_s = nan: expected a finite number"),
        ({"since_wall_s": 10**400}, "expected a finite number"),
        ({"cmd": {"timeout_s": 9}}, "PendingCommand.verb = None: expected this field to be there"),
        ({"held": 3}, "ServiceStatus.held = 3: expected an object for Hold"),
        ({"cmd": "stop"}, "ServiceStatus.cmd = 'stop': expected an object for PendingCommand"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_record_field_and_value(
    change: dict[str, Any], message: str
) -> None:
    with pytest.raises(CodecError) as refused:
        decode(ServiceStatus, SERVICE | change)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_table_that_is_no_object_is_refused() -> None:
    with pytest.raises(CodecError, match=r"LrmRecord\.results = \[\]: expected an object"):
        decode(LrmRecord, encode(LrmRecord(**LRM)) | {"results": []})
    with pytest.raises(CodecError, match=r"Lock\.\* = 'x': expected an object for Lock"):
        decode(Lock, "x")


def test_a_missing_field_without_a_default_is_named() -> None:
    with pytest.raises(CodecError, match=r"Lock\.holder = None: expected this field to be there"):
        decode(Lock, {"node": "alpha"})


def test_a_long_value_is_cut_in_the_message() -> None:
    with pytest.raises(CodecError) as refused:
        decode(Lock, {"node": ["x" * 1_000_000], "holder": "h"})
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", '"x"', "{}", '{"kind":"Lock"}', '{"kind":["Lock"],"record":{}}', "[" * 100_000, "9" * 10_000],
)
def test_text_that_is_no_record_is_refused(text: str) -> None:
    with pytest.raises(CodecError):
        record_from_json(text)


def test_a_kind_of_a_newer_version_is_named() -> None:
    with pytest.raises(CodecError, match="Teleport"):
        record_from_json('{"kind":"Teleport","record":{}}')


LRM: dict[str, Any] = {"node": "a", "state": LrmState.ACTIVE, "mode": LrmMode.ACTIVE, "timestamp_wall_s": 0.0}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"node": None}, "LrmRecord.node = None: expected text"),
        ({"state": "active"}, "LrmRecord.state = 'active': expected one of"),
        ({"timestamp_wall_s": float("inf")}, "LrmRecord.timestamp_wall_s = inf: expected a finite number"),
        ({"ended_causes": {"u"}}, "LrmRecord.ended_causes = {'u'}: expected a frozenset"),
        ({"results": ["u"]}, "LrmRecord.results = ['u']: expected a mapping"),
        ({"results": {"u": Lock("a", "h")}}, "LrmRecord.results = Lock("),
        ({"results": {7: None}}, "LrmRecord.results = 7: expected text"),
    ],
)
def test_a_record_that_could_not_be_read_back_is_not_written(change: dict[str, Any], message: str) -> None:
    with pytest.raises(CodecError) as refused:
        encode(LrmRecord(**LRM | change))
    assert message in str(refused.value)


def test_a_class_of_somebody_else_in_a_union_is_not_written() -> None:
    wrong: Any = Probe("u", "vm:1", "1")
    with pytest.raises(CodecError, match=r"Transaction\.writes = Probe.*expected one of Put, Delete"):
        encode(Transaction("i", (), (wrong,)))


def test_members_of_a_union_are_told_apart_by_their_kind() -> None:
    writes = (Put("lock/manager", Lock("alpha", "h")), Delete("command/1"))
    transaction = Transaction("i", (), writes)
    assert [write["kind"] for write in encode(transaction)["writes"]] == ["Put", "Delete"]
    assert decode(Transaction, encode(transaction)) == transaction
    with pytest.raises(CodecError, match=r"Transaction\.writes = .*expected one of Put, Delete"):
        decode(Transaction, {"incarnation": "i", "guards": [], "writes": [{"kind": "Lock", "record": {}}]})


@pytest.mark.parametrize("memory", [ManagerMemory(), LrmMemory(), NodeMemory(), LeaseMemory()], ids=repr)
def test_a_decision_is_kept_with_the_memory_of_whichever_step_made_it(memory: object) -> None:
    decision = Decision(memory, orders=(Stop("u", "vm:1", "1", "why", 5), Probe("u", "vm:1", "1")))
    assert record_from_json(record_to_json(decision)) == decision


def test_an_enum_among_an_events_fields_is_kept_as_its_word() -> None:
    event = Event(Kind.VM_DOWN, "down", fields={"cause": Cause.CRASH, "evidence": ("a", "b"), "n": 1, "s": 0.5})
    data = encode(event)
    assert type(data["fields"]["cause"]) is str
    assert decode(Event, json.loads(json.dumps(data))) == event


def test_the_same_set_always_gives_the_same_text() -> None:
    names = [f"uid-{number}" for number in range(50)]
    records = [
        LrmRecord("alpha", LrmState.ACTIVE, LrmMode.ACTIVE, 0.0, ended_causes=frozenset(order))
        for order in (names, names[::-1])
    ]
    assert record_to_json(records[0]) == record_to_json(records[1])


def test_text_that_is_no_valid_unicode_survives() -> None:
    config = ServiceConfig("vm:1", "u", "alpha", state=Wanted.STARTED, comment="half \ud83d, nul \0, line\nbreak")
    assert record_from_json(record_to_json(config)) == config


@dataclass(frozen=True)
class _TwoNumbers:
    pair: tuple[str, float]
    either: int | float | None = None
    _cache: dict[str, object] = field(default_factory=dict)


def test_pairs_keep_their_length_and_whole_numbers_stay_whole() -> None:
    assert encode(_TwoNumbers(("a", 1.0), 3)) == {"pair": ["a", 1.0], "either": 3}
    assert type(decode(_TwoNumbers, {"pair": ["a", 1], "either": 3}).either) is int
    with pytest.raises(CodecError, match="a list of 2"):
        decode(_TwoNumbers, {"pair": ["a"]})


@pytest.mark.parametrize(
    "kind",
    [
        object,
        dict[int, str],
        list[str],
        Wanted | str,
        tuple[str, ...] | frozenset[str],
        Lock | Stop | dict[str, str],
    ],
    ids=str,
)
def test_annotations_without_an_unmistakable_json_form_are_a_programmers_error(kind: Any) -> None:
    with pytest.raises(TypeError):
        codec_of(kind)
