"""`/cluster/ha/rules`: together, apart, at home; checked when they are written."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pytest

from haven.api.client import ApiClient, ApiError
from haven.core.records import Group, NodeAffinityRule, ResourceAffinityRule
from haven.core.words import Affinity
from tests.api.cluster import RESOURCES, grow, last_told, protect
from tests.api.world import NODE, World

RULES = "/cluster/ha/rules"
VMIDS = (201, 202, 203, 204)
Params = dict[str, str | int]
HOME: Params = {"type": "node-affinity", "resources": "vm:201", "nodes": "beta"}
APART: Params = {"type": "resource-affinity", "resources": "vm:201,vm:202", "affinity": "negative"}
TOGETHER: Params = {"type": "resource-affinity", "resources": "vm:201,vm:202", "affinity": "positive"}


def test_a_rule_is_shown_as_pve_s_clients_expect_it(world: World) -> None:
    grow(world, *VMIDS)
    given: Params = {"nodes": "gamma,beta:2,alpha:0", "resources": "vm:202; vm:201", "strict": 0, "comment": ""}
    assert world.api.post(RULES, rule="home-db", type="node-affinity", **given) is None
    [entry] = world.api.get(RULES)
    assert len(entry.pop("digest")) == 40
    assert entry == {
        "rule": "home-db",
        "type": "node-affinity",
        "order": 1,
        "resources": "vm:201,vm:202",
        "nodes": "alpha,beta:2,gamma",
        "strict": 0,
        "comment": "",
    }
    assert {**world.api.get(f"{RULES}/home-db"), "digest": ""} == {**entry, "digest": ""}


def test_the_record_is_what_the_manager_reads(world: World) -> None:
    grow(world, *VMIDS)
    world.api.post(RULES, rule="home-db", **HOME, strict=1)
    world.api.post(RULES, rule="ha-pair", type="resource-affinity", affinity="negative", resources="202,guest203")
    assert world.store.read().rules() == (
        NodeAffinityRule("home-db", 1, ("vm:201",), {"beta": 0}, strict=True),
        ResourceAffinityRule("ha-pair", 2, ("vm:202", "vm:203"), Affinity.NEGATIVE),
    )


def test_a_new_rule_is_the_last(world: World) -> None:
    grow(world, *VMIDS)
    world.put("rule/old", NodeAffinityRule("old", 7, ("vm:204",), {"beta": 0}))
    world.api.post(RULES, rule="aa", **HOME)
    assert [(entry["rule"], entry["order"]) for entry in world.api.get(RULES)] == [("old", 7), ("aa", 8)]


def test_rules_are_found_by_type_and_by_resource(world: World) -> None:
    grow(world, *VMIDS)
    world.api.post(RULES, rule="home", **HOME)
    world.api.post(RULES, rule="apart", **APART)

    def named(**filters: str) -> list[str]:
        return [entry["rule"] for entry in world.api.get(RULES, **filters)]

    assert named(type="node-affinity") == ["home"]
    assert named(type="resource-affinity") == ["apart"]
    assert named(resource="vm:201") == ["home", "apart"]
    assert named(resource="guest202") == ["apart"]
    assert named(resource="vm:204") == []


def test_a_change_leaves_the_rest_and_tells_from_what_to_what(world: World) -> None:
    grow(world, *VMIDS)
    world.api.post(RULES, rule="home", **HOME, comment="x", strict=1)
    changed = {"nodes": "beta:2,gamma:1", "delete": "comment,strict"}
    ApiClient(world.socket, "bob@pam", "ha-manager rules set").put(
        f"{RULES}/home", type="node-affinity", **changed
    )
    assert world.store.read().rules() == (NodeAffinityRule("home", 1, ("vm:201",), {"beta": 2, "gamma": 1}),)
    assert last_told(world) == (
        "rule home changed: nodes beta -> beta:2,gamma:1, strict 1 -> 0, comment x taken out"
        " (by bob with ha-manager rules set)"
    )


def test_disable_0_enables_a_rule_again(world: World) -> None:
    # PVE throws it away; Ansible and Terraform send it and mean it
    grow(world, *VMIDS)
    world.api.post(RULES, rule="home", **HOME, disable=1)
    assert world.api.get(f"{RULES}/home")["disable"] == 1
    world.api.put(f"{RULES}/home", type="node-affinity", disable=0, rule="home")
    assert "disable" not in world.api.get(f"{RULES}/home")
    world.api.put(f"{RULES}/home", type="node-affinity", disable=1)
    world.api.put(f"{RULES}/home", type="node-affinity", delete="disable")
    assert "disable" not in world.api.get(f"{RULES}/home")
    world.api.put(f"{RULES}/home", type="node-affinity", disable=1)
    world.api.put(f"{RULES}/home", type="node-affinity", disable=0, delete="disable")  # all that a PVE may need
    assert "disable" not in world.api.get(f"{RULES}/home")


def test_a_rule_that_names_what_has_gone_can_be_switched_off(world: World) -> None:
    grow(world, *VMIDS)
    world.api.post(RULES, rule="home", **{**HOME, "resources": "vm:201,vm:202"})
    world.put(
        "rule/home", NodeAffinityRule("home", 1, ("vm:201", "vm:202"), {"beta": 0, "delta": 0})
    )  # it has left
    world.api.delete(f"{RESOURCES}/vm:202", purge=0)
    world.api.put(f"{RULES}/home", type="node-affinity", disable=1, comment="beta only")
    assert world.api.get(f"{RULES}/home")["disable"] == 1
    world.api.put(f"{RULES}/home", type="node-affinity", nodes="beta,delta,gamma")
    for wrong in ({"nodes": "beta,omega"}, {"resources": "vm:201,vm:101"}):
        with pytest.raises(ApiError, match=r"cannot use (non-existent node\(s\) omega|unmanaged .* vm:101)"):
            world.api.put(f"{RULES}/home", type="node-affinity", **wrong)


def test_deleting_is_told_and_deleting_what_is_not_there_succeeds(world: World) -> None:
    grow(world, *VMIDS)
    world.api.post(RULES, rule="apart", **APART)
    assert last_told(world) == (
        "rule apart added: resource-affinity, resources vm:201,vm:202, affinity negative (by root with the API)"
    )
    assert world.api.delete(f"{RULES}/apart") is None
    assert last_told(world).startswith("rule apart taken out: it was resource-affinity, resources vm:201,vm:202")
    before = len(world.history.entries(limit=100))
    assert world.api.delete(f"{RULES}/apart") is None
    assert len(world.history.entries(limit=100)) == before
    assert world.api.get(RULES) == []


def test_a_digest_that_is_out_of_date_is_refused(world: World) -> None:
    grow(world, *VMIDS)
    world.api.post(RULES, rule="home", **HOME)
    world.api.post(RULES, rule="apart", **{**APART, "resources": "vm:203,vm:204"})
    digests = {entry["digest"] for entry in world.api.get(RULES)}
    [old] = digests
    world.api.put(f"{RULES}/home", type="node-affinity", digest=old, strict=1)
    with pytest.raises(ApiError, match="detected modified configuration - file changed by other user"):
        world.api.put(f"{RULES}/apart", type="resource-affinity", digest=old, comment="x")


@dataclass(frozen=True)
class Case:
    """A request on three nodes where `home` binds vm:201 to beta and `pair` keeps 203 and 204 together."""

    method: str
    path: str
    params: Params = field(default_factory=dict)
    status: int = 500
    message: str = ""
    errors: dict[str, str] = field(default_factory=dict)


def bad(method: str, path: str, params: Params, **errors: str) -> Case:
    return Case(method, path, params, 400, "Parameter verification failed.", errors)


TOO_MANY = "2 resources, and this one host, alpha"
MISSING = "property is missing and it is not optional"
FAILED = "create ha rule failed: "
FORMAT = "invalid format - expected a letter, then letters, digits, '_' or '-'; at least 2 characters"
CASES = {
    "no rule": bad("post", RULES, HOME, rule=MISSING),
    "id of one letter": bad("post", RULES, {"rule": "x", **HOME}, rule=FORMAT),
    "id of two lines": bad("post", RULES, {"rule": "ab\ncd", **HOME}, rule=FORMAT),
    "unknown type": bad(
        "post",
        RULES,
        {**HOME, "rule": "new", "type": "affinity"},
        type="value 'affinity' does not have a value in the enumeration 'node-affinity, resource-affinity'",
    ),
    "no nodes": bad("post", RULES, {"rule": "new", "type": "node-affinity", "resources": "vm:202"}, nodes=MISSING),
    "no affinity": bad(
        "post", RULES, {"rule": "new", "type": "resource-affinity", "resources": "vm:202"}, affinity=MISSING
    ),
    "property of the other type": bad(
        "post",
        RULES,
        {"rule": "new", **APART, "nodes": "beta", "strict": 1},
        nodes="property is not defined for rules of type 'resource-affinity'",
        strict="property is not defined for rules of type 'resource-affinity'",
    ),
    "property of the other type in a change": bad(
        "put",
        f"{RULES}/home",
        {"type": "node-affinity", "affinity": "positive"},
        affinity="property is not defined for rules of type 'node-affinity'",
    ),
    "priority of words": bad(
        "post",
        RULES,
        {"rule": "new", **HOME, "nodes": "beta:high"},
        nodes="invalid format - expected NODE or NODE:PRIORITY, got 'beta:high'",
    ),
    "node twice": bad(
        "post",
        RULES,
        {"rule": "new", **HOME, "nodes": "beta:1,beta:2"},
        nodes="invalid format - node 'beta' is named twice",
    ),
    "resource of nothing": bad(
        "post",
        RULES,
        {"rule": "new", **HOME, "resources": "vm:"},
        resources="invalid format - expected TYPE:NAME or a VMID",
    ),
    "no type in a change": bad("put", f"{RULES}/home", {"comment": "x"}, type=MISSING),
    "another type in a change": bad(
        "put",
        f"{RULES}/home",
        {"type": "resource-affinity"},
        type="value 'resource-affinity' is not the rule's type, which is 'node-affinity'",
    ),
    "empty resources": Case(
        "post", RULES, {"rule": "new", **HOME, "resources": ""}, message=FAILED + "no resources were specified"
    ),
    "empty nodes": Case(
        "post",
        RULES,
        {"rule": "new", **HOME, "resources": "vm:202", "nodes": ","},
        message=FAILED + "no nodes were specified",
    ),
    "unmanaged resources": Case(
        "post",
        RULES,
        {"rule": "new", **HOME, "resources": "vm:101,vm:202,vm:999"},
        message=FAILED + "cannot use unmanaged resource(s) vm:101, vm:999",
    ),
    "a number that no VM has": Case(
        "post",
        RULES,
        {"rule": "new", **HOME, "resources": "999"},
        message=FAILED + "unable to detect SID from VMID - VM/CT 999 does not exist",
    ),
    "nodes that are not there, or left": Case(
        "post",
        RULES,
        {"rule": "new", **HOME, "resources": "vm:202", "nodes": "omega,beta,delta"},
        message=FAILED + "cannot use non-existent node(s) delta, omega",
    ),
    "defined twice": Case(
        "post", RULES, {"rule": "home", **HOME}, message=FAILED + "HA rule 'home' already defined"
    ),
    "read what is not there": Case("get", f"{RULES}/nothing", message="no such ha rule 'nothing'"),
    "change what is not there": Case(
        "put", f"{RULES}/nothing", {"type": "node-affinity"}, message="HA rule 'nothing' does not exist"
    ),
    "delete of an unknown option": Case(
        "put", f"{RULES}/home", {"type": "node-affinity", "delete": "nodez"}, message="no such option 'nodez'"
    ),
    "delete of a required option": Case(
        "put",
        f"{RULES}/home",
        {"type": "node-affinity", "delete": "nodes"},
        message="unable to delete required option 'nodes'",
    ),
    "delete of an option of the other type": Case(
        "put",
        f"{RULES}/pair",
        {"type": "resource-affinity", "delete": "strict"},
        message="no such option 'strict'",
    ),
    "disable and do not": Case(
        "put",
        f"{RULES}/home",
        {"type": "node-affinity", "disable": 1, "delete": "disable"},
        message="cannot set and delete property 'disable' at the same time",
    ),
    "set and delete": Case(
        "put",
        f"{RULES}/home",
        {"type": "node-affinity", "comment": "x", "delete": "comment"},
        message="cannot set and delete property 'comment' at the same time",
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_it_is_refused_and_nothing_changes(world: World, case: Case) -> None:
    grow(world, *VMIDS)
    world.api.post(RULES, rule="home", **HOME, comment="as it was")
    world.api.post(RULES, rule="pair", **{**TOGETHER, "resources": "vm:203,vm:204"})
    before, lines = dict(world.store.read().entries), len(world.history.entries(limit=100))
    with pytest.raises(ApiError) as caught:
        getattr(world.api, case.method)(case.path, **case.params)
    assert (caught.value.status, caught.value.message) == (case.status, case.message)
    assert caught.value.errors == case.errors
    assert world.store.read().entries == before
    assert len(world.history.entries(limit=100)) == lines


INVALID: dict[str, tuple[Params, str, list[str]]] = {
    "bound twice": ({**HOME, "nodes": "gamma"}, "resources", ["vm:201", "rule 'home'"]),
    "alone with itself": ({**APART, "resources": "vm:202"}, "resources", ["at least two"]),
    "more than there are nodes, and partners among them": (
        {**APART, "resources": "vm:101,vm:201,vm:202,vm:203,vm:204"},
        "resources",
        ["5 resources, and 4 nodes", r"\n", "rule 'pair'"],
    ),
    "together and apart": ({**APART, "resources": "vm:203,vm:204"}, "resources", ["apart", "rule 'pair'"]),
    "several priorities and partners": (
        {**HOME, "resources": "vm:203", "nodes": "beta:2,gamma:1"},
        "nodes",
        ["priorit", "rule 'pair'"],
    ),
    "partners with different homes": (
        {**TOGETHER, "resources": "vm:201,vm:202"},
        "resources",
        ["rules 'afar', 'home'"],
    ),
    "those apart in one home": (
        {**HOME, "resources": "vm:206,vm:207", "nodes": "beta"},
        "nodes",
        ["too few nodes", "rule 'split'"],
    ),
}


@pytest.mark.parametrize(("params", "at_fault", "said"), INVALID.values(), ids=INVALID.keys())
def test_a_rule_that_contradicts_others_is_refused_with_the_reason_and_their_names(
    world: World, params: Params, at_fault: str, said: list[str]
) -> None:
    grow(world, 101, *VMIDS, 206, 207)
    world.api.post(RULES, rule="home", **HOME)
    world.api.post(RULES, rule="afar", **{**HOME, "resources": "vm:202", "nodes": "gamma"})
    world.api.post(RULES, rule="pair", **{**TOGETHER, "resources": "vm:203,vm:204"})
    world.api.post(RULES, rule="split", **{**APART, "resources": "vm:206,vm:207"})
    before = dict(world.store.read().entries)
    with pytest.raises(ApiError) as caught:
        world.api.post(RULES, rule="new", **params)
    assert (caught.value.status, caught.value.message) == (400, "Rule 'new' is invalid.")
    [(name, text)] = caught.value.errors.items()
    assert name == at_fault
    assert [part for part in said if part not in text] == []
    assert world.store.read().entries == before


def test_a_disabled_rule_conflicts_with_nothing_until_it_is_enabled(world: World) -> None:
    grow(world, *VMIDS)
    world.api.post(RULES, rule="home", **HOME)
    world.api.post(RULES, rule="other", **{**HOME, "nodes": "gamma"}, disable=1)
    with pytest.raises(ApiError, match="Rule 'other' is invalid"):
        world.api.put(f"{RULES}/other", type="node-affinity", delete="disable")
    assert world.api.get(f"{RULES}/other")["disable"] == 1


def test_on_one_host_a_home_is_fine_and_keeping_apart_is_refused(world: World) -> None:
    protect(world, 101, 102)
    world.api.post(RULES, rule="home", type="node-affinity", resources="vm:101", nodes=NODE)
    with pytest.raises(ApiError) as caught:
        world.api.post(RULES, rule="apart", **{**APART, "resources": "vm:101,vm:102"})
    assert caught.value.errors["resources"].endswith(TOO_MANY)


def test_a_rule_that_nodes_have_left_is_shown_with_what_is_wrong(world: World) -> None:
    protect(world, 101, 102)
    world.put("rule/apart", ResourceAffinityRule("apart", 1, ("vm:101", "vm:102"), Affinity.NEGATIVE))
    [text] = world.api.get(f"{RULES}/apart")["errors"]["resources"]
    assert text.endswith(TOO_MANY)


def test_who_is_no_longer_protected_leaves_the_rules_with_it(world: World) -> None:
    grow(world, *VMIDS)
    world.api.post(RULES, rule="home", **HOME)
    world.api.post(RULES, rule="pair", **TOGETHER)
    world.api.delete(f"{RESOURCES}/vm:201")
    assert [entry["resources"] for entry in world.api.get(RULES)] == ["vm:202"]
    assert last_told(world, "vm:201") == (
        "taken out of haven's care, the VM is left as it is; taken out of rule home, which named nobody else and"
        " is gone; taken out of rule pair (by root with the API)"
    )


def test_without_purge_the_rules_stay_as_they_are(world: World) -> None:
    grow(world, *VMIDS)
    world.api.post(RULES, rule="pair", **TOGETHER)
    world.api.delete(f"{RESOURCES}/vm:201", purge=0)
    assert [entry["resources"] for entry in world.api.get(RULES)] == ["vm:201,vm:202"]


def test_rules_wait_until_the_groups_are_migrated(world: World) -> None:
    grow(world, *VMIDS)
    world.api.post(RULES, rule="home", **HOME)
    world.put("group/old", Group("old", {"beta": 0}))
    waiting = "ha groups have not been migrated to rules yet: rules can be changed when they are"
    with pytest.raises(ApiError) as caught:
        world.api.post(RULES, rule="pair", **TOGETHER)
    assert (caught.value.status, caught.value.message) == (500, f"{FAILED}{waiting}")
    with pytest.raises(ApiError, match=waiting):
        world.api.put(f"{RULES}/home", type="node-affinity", comment="x")


def test_rules_written_at_the_same_time_never_contradict_each_other(world: World) -> None:
    grow(world, *VMIDS)

    def add(number: int) -> bool:
        try:
            ApiClient(world.socket).post(RULES, rule=f"home{number}", **HOME)
        except ApiError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        written = list(pool.map(add, range(8)))
    assert written.count(True) == 1
    assert len(world.api.get(RULES)) == 1
