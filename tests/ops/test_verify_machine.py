"""What `haven verify` reads of the machine, of images, of settings."""

import struct
import threading
from pathlib import Path

import pytest

from haven.core.masking import marked, mask_data, masked
from haven.core.settings import Settings
from haven.core.settings_change import as_texts, difference
from haven.hypervisor.survey import missing_of
from haven.ops.verify import machine

SHOWN = """Id=pve-ha-lrm.service
LoadState=loaded
UnitFileState=enabled
ActiveState=active

Id=haven-api.service
LoadState=not-found
UnitFileState=
ActiveState=inactive

Id=libvirt-guests.service
LoadState=masked
UnitFileState=masked
ActiveState=inactive
"""


def test_units_are_read_and_those_that_are_not_there_left_out() -> None:
    units = machine.units_of(SHOWN)
    assert {name: (unit.enabled, unit.active) for name, unit in units.items()} == {
        "pve-ha-lrm.service": ("enabled", "active"),
        "libvirt-guests.service": ("masked", "inactive"),
    }
    assert [unit.starts_at_boot for unit in units.values()] == [True, False]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("ON_SHUTDOWN=suspend\n", "suspend"),
        ('ON_SHUTDOWN="shutdown"\n', "shutdown"),
        ("ON_SHUTDOWN='shutdown'\n", "shutdown"),
        ("ON_SHUTDOWN=suspend\n#ON_SHUTDOWN=suspend\nON_SHUTDOWN=shutdown\n", "shutdown"),
    ],
)
def test_what_libvirt_guests_does_is_read_as_its_shell_does(
    text: str, word: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "libvirt-guests").write_text(text)
    monkeypatch.setattr(machine, "_GUESTS_FILES", (tmp_path / "libvirt-guests",))
    monkeypatch.setattr(machine, "_GUESTS_SCRIPTS", ())
    assert machine._on_shutdown() == word


def test_a_call_that_never_returns_costs_its_time_and_no_more() -> None:
    gate = threading.Event()
    assert machine.within(gate.wait, 0.05) is None
    gate.set()
    assert machine.within(lambda: 7) == 7


def test_a_claim_of_a_dead_process(tmp_path: Path) -> None:
    claim = tmp_path / "lrm.claim"
    assert not machine.claimed_by_nobody(claim)
    claim.write_text("999999999\n")
    assert machine.claimed_by_nobody(claim)


def test_a_place_has_room_and_a_mount_point(tmp_path: Path) -> None:
    place = machine.mount_of(str(tmp_path))
    assert place is not None
    assert str(tmp_path).startswith(place)
    room = machine.space_of(place)
    assert room is not None
    assert 0 <= room.free_mib <= room.total_mib
    assert machine.space_of(str(tmp_path / "none")) is None


def qcow2(path: Path, backing: str) -> Path:
    name = backing.encode()
    path.write_bytes(struct.pack(">4sIQI", b"QFI\xfb", 3, 64 if name else 0, len(name)).ljust(64, b"\0") + name)
    return path


def test_a_backing_file_that_is_gone_is_found_however_deep(tmp_path: Path) -> None:
    base = tmp_path / "base.raw"
    middle = qcow2(tmp_path / "middle.qcow2", "base.raw")
    top = qcow2(tmp_path / "top.qcow2", str(middle))
    assert missing_of(top) == str(base)
    base.write_bytes(b"")
    assert missing_of(top) == ""
    assert missing_of(qcow2(tmp_path / "net.qcow2", "nbd://host/disk")) == ""
    assert missing_of(tmp_path / "none.raw") == str(tmp_path / "none.raw")


def test_secrets_are_masked_and_their_change_still_shows() -> None:
    assert masked("tgram://12345:token/67") == "tgram://***"
    assert masked("https://user:word@example.net/push/token?x=1") == "https://example.net/***"
    assert (masked("curl -H token"), masked("")) == ("***", "")
    one, other = marked("tgram://one"), marked("tgram://other")
    assert one != other
    assert "one" not in one
    data = mask_data({"push_url": "https://a/b", "list": [{"target": "http://u:p@h/x"}], "n": 1})
    assert data == {"push_url": "https://a/***", "list": [{"target": "http://***@h/x"}], "n": 1}
    named = mask_data({"notify": {"comment": "https://u:p@h/x"}, "target": 3})
    assert named == {"notify": {"comment": "https://***@h/x"}, "target": 3}, "a rule may have a setting's name"


def test_settings_that_changed_are_told_from_what_to_what() -> None:
    before = as_texts(Settings(tick_s=10))
    after = as_texts(Settings(tick_s=5, notify=("tgram://12:token/34",)))
    told = difference(before, after)
    assert told.startswith("tick_s from 10 to 5, notify from nothing to tgram://*** (")
    assert "token" not in told
    assert difference(after, after) == ""
    assert difference({"tick_s": "10"}, after) == "tick_s from 10 to 5"
