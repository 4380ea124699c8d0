"""The sum of all VMs' memory against the host's, as a person reads it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haven.core.overcommit import QEMU_OVERHEAD_MIB, weigh
from haven.core.sentences import size

GIB = 1024


def test_the_sentence_of_a_full_host() -> None:
    full = weigh(16 * GIB, {"vm:101": 4 * GIB, "vm:102": 8 * GIB, "vm:103": 4 * GIB})
    assert full.sentence == (
        "host 16 GiB, VMs configured 16 GiB, no headroom; largest: vm:102 8 GiB, vm:101 4 GiB, vm:103 4 GiB"
    )
    assert full.is_tight


def test_more_than_there_is() -> None:
    over = weigh(15974, {"vm:102": 8 * GIB, "vm:103": 12 * GIB})
    assert over.sentence == (
        "host 15.6 GiB, VMs configured 20 GiB, 4.4 GiB more than there is; largest: vm:103 12 GiB, vm:102 8 GiB"
    )


def test_room_for_all() -> None:
    roomy = weigh(16 * GIB, {"vm:102": 8 * GIB}, reserve_mib=128)
    assert roomy.sentence == "host 16 GiB, VMs configured 8 GiB, headroom 7.9 GiB; largest: vm:102 8 GiB"
    assert not roomy.is_tight


def test_a_host_without_vms_and_one_whose_size_nobody_told() -> None:
    assert weigh(2048, {}).sentence == "host 2 GiB, VMs configured 0 MiB, headroom 2 GiB"
    assert weigh(2048, {"vm:100": 0}).shares == ()


@pytest.mark.parametrize(("mib", "shown"), [(0, "0 MiB"), (900, "900 MiB"), (1536, "1.5 GiB"), (65536, "64 GiB")])
def test_sizes(mib: int, shown: str) -> None:
    assert size(mib) == shown


@given(
    st.integers(1, 10**6),
    st.dictionaries(st.sampled_from(["vm:100", "vm:101", "vm:102", "vm:103"]), st.integers(1, 10**6)),
    st.integers(0, 65536),
)
def test_the_sums_add_up(host_mib: int, memory_mib: dict[str, int], reserve_mib: int) -> None:
    weighed = weigh(host_mib, memory_mib, reserve_mib)
    used = weighed.configured_mib + QEMU_OVERHEAD_MIB * len(memory_mib)
    assert weighed.headroom_mib + used == host_mib
    assert dict(weighed.shares) == memory_mib
    assert weighed.is_tight == (host_mib - used < reserve_mib)
    if memory_mib:
        assert weighed.shares[0][1] == max(memory_mib.values())
