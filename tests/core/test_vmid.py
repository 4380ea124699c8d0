"""A VM's number: from its metadata, else from its name, else the smallest free one."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haven.core.vmid import MAX_VMID, MIN_VMID, Unnumbered, assign_vmids


def chosen(name: str, hint: int | None, taken: set[int]) -> int:
    """The number of one new VM beside those that others have."""
    return assign_vmids([Unnumbered("new", name, hint)], {f"vm-{vmid}": vmid for vmid in taken})["new"]


@pytest.mark.parametrize(
    ("name", "vmid"),
    [
        ("102", 102),
        ("vm102", 102),
        ("VM102", 102),
        ("maas-102", 102),
        ("maas_102_web", 102),
        ("web.104.prod", 104),
        ("myvm105", 105),
        ("999999999", 999_999_999),
        ("12-103", 103),
        ("web", 100),
        ("web102", 100),
        ("102a", 100),
        ("99", 100),
        ("0102", 100),
        ("1234567890", 100),
        ("é102", 100),
        ("", 100),
    ],
)
def test_a_number_that_stands_alone_in_the_name_is_the_vmid(name: str, vmid: int) -> None:
    assert chosen(name, None, set()) == vmid


def test_the_metadata_wins_over_the_name() -> None:
    assert chosen("vm102", 207, set()) == 207


def test_a_hint_that_another_vm_has_is_not_taken_twice() -> None:
    # a cloned VM carries the metadata of its original
    assert chosen("vm102", 207, {207}) == 102


def test_a_hint_out_of_range_is_no_hint() -> None:
    assert chosen("web", 7, set()) == 100
    assert chosen("web", MAX_VMID + 1, set()) == 100


def test_the_second_number_serves_when_the_first_is_taken() -> None:
    assert chosen("web-102-103", None, {102}) == 103


def test_the_smallest_free_number_skips_taken_ones() -> None:
    assert chosen("web", None, {100, 101, 103}) == 102


def test_a_vm_without_number_leaves_the_numbers_in_other_names_alone() -> None:
    chosen = assign_vmids([Unnumbered("a", "web"), Unnumbered("b", "vm100"), Unnumbered("c", "x", 101)], {})
    assert chosen == {"a": 102, "b": 100, "c": 101}


def test_known_numbers_are_kept() -> None:
    assert assign_vmids([Unnumbered("b", "vm100")], {"a": 100}) == {"b": 101}


VMS = st.lists(
    st.builds(
        Unnumbered,
        uuid=st.text(min_size=1, max_size=4),
        name=st.sampled_from(["web", "vm100", "vm101", "db-102-103", ""]),
        hint=st.none() | st.integers(90, 104),
    ),
    unique_by=lambda vm: vm.uuid,
    max_size=12,
)


@given(VMS, st.sets(st.integers(100, 106)), st.randoms())
def test_every_vm_gets_its_own_number_whatever_the_order(
    vms: list[Unnumbered], taken: set[int], shuffler: Random
) -> None:
    known = {f"known-{vmid}": vmid for vmid in taken}
    chosen = assign_vmids(vms, known)
    assert set(chosen) == {vm.uuid for vm in vms}
    assert len(set(chosen.values())) == len(vms)
    assert not set(chosen.values()) & taken
    assert all(MIN_VMID <= vmid <= MAX_VMID for vmid in chosen.values())
    shuffler.shuffle(vms)
    assert assign_vmids(vms, known) == chosen
