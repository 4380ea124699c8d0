"""`/cluster/options`: property strings in, objects out, only what was set."""

import pytest

from haven.api.client import ApiError
from haven.core.records import ClusterOptions
from haven.core.words import RebalanceMethod, SchedulerMode, ShutdownPolicy
from tests.api.cluster import last_told
from tests.api.world import World

OPTIONS = "/cluster/options"
CRS = (
    "ha=dynamic,ha-rebalance-on-start=1,ha-auto-rebalance=1,ha-auto-rebalance-threshold=40,"
    "ha-auto-rebalance-method=topsis,ha-auto-rebalance-hold-duration=5,ha-auto-rebalance-margin=20"
)


def test_nothing_was_set(world: World) -> None:
    assert world.api.get(OPTIONS) == {"allowed-tags": []}


def test_what_was_set_is_shown_also_when_it_is_the_default(world: World) -> None:
    assert world.api.put(OPTIONS, ha="shutdown_policy=conditional", crs=CRS, max_workers=4) is None
    assert world.api.get(OPTIONS) == {
        "allowed-tags": [],
        "ha": {"shutdown_policy": "conditional"},
        "crs": {
            "ha": "dynamic",
            "ha-rebalance-on-start": 1,
            "ha-auto-rebalance": 1,
            "ha-auto-rebalance-threshold": 40,
            "ha-auto-rebalance-method": "topsis",
            "ha-auto-rebalance-hold-duration": 5,
            "ha-auto-rebalance-margin": 20,
        },
        "max_workers": 4,
    }


def test_the_record_is_what_the_manager_reads(world: World) -> None:
    world.api.put(OPTIONS, ha="shutdown_policy=migrate", crs=CRS, max_workers=2)
    options = world.store.read().options()
    assert options == ClusterOptions(
        ShutdownPolicy.MIGRATE,
        2,
        SchedulerMode.DYNAMIC,
        rebalance_on_start=True,
        auto_rebalance=True,
        threshold=0.4,
        method=RebalanceMethod.TOPSIS,
        hold_rounds=5,
        margin=0.2,
        given=options.given,
    )


def test_a_property_string_replaces_the_one_before_and_delete_puts_it_back(world: World) -> None:
    world.api.put(OPTIONS, crs=CRS, max_workers=2)
    world.api.put(OPTIONS, crs="ha=static")
    assert world.api.get(OPTIONS)["crs"] == {"ha": "static"}
    assert world.store.read().options().auto_rebalance is False
    world.api.put(OPTIONS, delete="crs,max_workers")
    assert world.api.get(OPTIONS) == {"allowed-tags": []}
    assert world.store.read().options() == ClusterOptions()


def test_a_change_is_told_from_what_to_what(world: World) -> None:
    world.api.put(OPTIONS, ha="shutdown_policy=freeze")
    world.api.put(OPTIONS, ha="shutdown_policy=migrate", max_workers=2)
    assert last_told(world) == (
        "cluster options changed: ha shutdown_policy=freeze -> shutdown_policy=migrate, max_workers 2"
        " (by root with the API)"
    )
    world.api.put(OPTIONS, max_workers=2)
    assert len(world.history.entries()) == 2


@pytest.mark.parametrize(
    ("params", "errors"),
    [
        (
            {"ha": "policy=freeze"},
            {"ha": "invalid format - 'policy=freeze' is not KEY=VALUE with one of the keys shutdown_policy"},
        ),
        (
            {"ha": "shutdown_policy=never"},
            {
                "ha": "invalid format - shutdown_policy: value 'never' does not have a value in the enumeration"
                " 'conditional, freeze, failover, migrate'"
            },
        ),
        (
            {"crs": "ha=static,ha=basic", "max_workers": 0},
            {"max_workers": "value must have a minimum value of 1"},
        ),
        ({"crs": "ha=static,ha=basic"}, {"crs": "invalid format - 'ha' is given twice"}),
        (
            {"crs": "ha-auto-rebalance-threshold=101"},
            {"crs": "invalid format - ha-auto-rebalance-threshold: value must have a maximum value of 100"},
        ),
        ({"keyboard": "de"}, {"keyboard": "property is not defined in schema and the schema does not allow"
                              " additional properties"}),
    ],
)  # fmt: skip
def test_bad_options_are_named_and_nothing_changes(
    world: World, params: dict[str, str | int], errors: dict[str, str]
) -> None:
    with pytest.raises(ApiError) as caught:
        world.api.put(OPTIONS, **params)
    assert (caught.value.status, caught.value.errors) == (400, errors)
    assert not world.store.read().entries


def test_only_known_options_can_be_deleted_and_not_while_they_are_set(world: World) -> None:
    with pytest.raises(ApiError, match="no such option 'keyboard'"):
        world.api.put(OPTIONS, delete="keyboard")
    with pytest.raises(ApiError, match="cannot set and delete property 'ha' at the same time"):
        world.api.put(OPTIONS, ha="shutdown_policy=freeze", delete="ha")
