"""`/haven/verify`: facts gathered from a real store and history, and what is made of them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from haven.core.event import Event
from haven.core.records import SettingsInForce
from haven.core.settings import Settings
from haven.core.settings_change import as_texts
from haven.core.words import Cause, Kind, Level
from haven.hypervisor.protocol import Surveyed, SurveyedDisk
from haven.store.protocol import StoreError
from tests.api.test_haven_status import daemons, protected
from tests.api.world import NODE, NOW_S, World, guest


@pytest.fixture(autouse=True)
def _own_settings(world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The file of this test's host, never that of the tester's machine."""
    file = tmp_path / "haven.toml"
    file.write_text(f'node = "{NODE}"\n')
    monkeypatch.setenv("HAVEN_CONFIG", str(file))


def answer(world: World) -> dict[str, Any]:
    told: dict[str, Any] = world.api.get("/haven/verify")
    return told


def lines(world: World, check: str) -> list[tuple[str, str]]:
    return [(one["grade"], one["seen"]) for one in answer(world)["findings"] if one["check"] == check]


def test_a_host_that_works_has_no_failure(world: World) -> None:
    protected(world)
    daemons(world)
    told = answer(world)
    assert (told["node"], told["now"], told["outside"], told["summary"]["fail"]) == (NODE, NOW_S, "", 0)
    assert told["summary"] == {
        grade: sum(1 for one in told["findings"] if one["grade"] == grade) for grade in ("fail", "warn", "pass")
    }
    assert ("pass", "vm:102: wanted started, running") in lines(world, "running")


def test_a_dead_daemon_and_a_vm_that_is_down_are_failures_first(world: World) -> None:
    protected(world, off=True)
    daemons(world, age_s=45)
    first = [(one["check"], one["sid"]) for one in answer(world)["findings"]][:3]
    assert first == [("daemons", None), ("daemons", None), ("running", "vm:102")]
    assert lines(world, "daemons")[0] == (
        "fail",
        "haven lrm: silent for 45 s; a VM that dies now is not restarted",
    )
    (Path(world.state.settings.run_dir) / "lrm.claim").write_text("999999999\n")
    assert lines(world, "daemons")[0][1].startswith("haven lrm: not running; ")


def test_vms_are_looked_at_closely(world: World) -> None:
    protected(world)
    disk = SurveyedDisk("/srv/web.qcow2", missing="/srv/web.qcow2")
    world.libvirt.closer["u-2"] = Surveyed("u-2", "web", "running", 512, False, managed_save=True, disks=(disk,))
    assert lines(world, "disks") == [("fail", "vm:102 (web): /srv/web.qcow2 is missing")]
    assert lines(world, "saved states")[0][0] == "warn"
    assert lines(world, "autostart")[0][0] == "warn"
    seen = "vm:101 (vm101) runs and is not protected: if it stops, it stays off"
    assert lines(world, "protected")[0] == ("warn", seen)


def test_drills_messages_and_open_incidents_come_from_the_history(world: World) -> None:
    protected(world)

    def down(name: str, cause: Cause) -> Event:
        fields = {"incident": name, "uuid": "u-2", "name": "web", "cause": cause.value}
        return Event(Kind.VM_DOWN, "is down", "vm:102", fields=fields)

    up = Event(Kind.VM_UP, "runs again", "vm:102", fields={"incident": "a"})
    world.history.record_all("lrm", [(down("a", Cause.DRILL), NOW_S - 90), (up, NOW_S - 88)])
    assert lines(world, "drills") == [("pass", "vm:102 (web): drilled 90 s ago, back after 2.0 s")]
    world.history.record("lrm", [down("b", Cause.CRASH)], NOW_S - 30)
    assert lines(world, "incidents") == [("fail", "vm:102 (web) has been down for 30 s (crash)")]


def test_each_receiver_that_is_named_now_has_to_take_messages(world: World) -> None:
    world.state.settings = replace(world.state.settings, webhook_url="http://hook.lan/x")
    assert lines(world, "notifications") == [("warn", "no message was ever sent to webhook (http://hook.lan/***)")]

    def told(sentence: str, receiver: str, level: Level = Level.INFO) -> None:
        event = Event(Kind.NOTIFICATION, sentence, level=level, fields={"receiver": receiver})
        world.history.record("api", [event], NOW_S - 5)

    told("command (mail) takes no messages", "command (mail)", Level.WARN)
    told("was told", "webhook (http://hook.lan/***)")
    assert lines(world, "notifications") == [
        ("pass", "webhook (http://hook.lan/***); the last message went out 5 s ago")
    ]
    told("webhook takes no messages: refused", "webhook (http://hook.lan/***)", Level.WARN)
    assert lines(world, "notifications") == [("fail", "webhook takes no messages: refused")]


def test_secrets_that_every_user_may_read_are_warned_of(world: World, tmp_path: Path) -> None:
    toml = tmp_path / "haven.toml"
    toml.write_text(f'node = "{NODE}"\nwebhook_url = "http://hook.lan/token"\n')
    toml.chmod(0o644)
    assert lines(world, "settings") == [("warn", f"every user of this host can read the secrets in {toml}")]
    toml.chmod(0o600)
    assert lines(world, "settings") == [("pass", "haven.toml is valid")]
    toml.write_text(f'node = "{NODE}"\n')
    toml.chmod(0o644)
    assert lines(world, "settings") == [("pass", "haven.toml is valid")]


def test_settings_of_a_running_daemon_are_held_against_the_file(world: World, tmp_path: Path) -> None:
    daemons(world)
    old = SettingsInForce(NODE, "lrm", as_texts(Settings(node=NODE)), NOW_S)
    world.put(f"settings/lrm/{NODE}", old)
    assert lines(world, "settings") == [("pass", "haven.toml is valid and in force")]
    (tmp_path / "haven.toml").write_text(f'node = "{NODE}"\ntick_s = 5\n')
    assert lines(world, "settings") == [("warn", "haven.toml was changed since lrm started: tick_s from 10 to 5")]
    (tmp_path / "haven.toml").write_text("tik_s = 5\n")
    [(grade, seen)] = lines(world, "settings")
    assert grade == "fail"
    assert 'unknown key "tik_s"' in seen


def test_it_answers_while_the_store_or_libvirt_is_away(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    protected(world)
    world.libvirt.down = True
    [(grade, seen)] = lines(world, "libvirt")
    assert (grade, seen) == ("fail", "no libvirt daemon answers: start it; VMs run on, none can be restarted")

    def broken(_self: object) -> None:
        raise StoreError("cannot read haven.db: it is damaged")

    with monkeypatch.context() as patch:
        patch.setattr(type(world.store), "read", broken)
        assert lines(world, "store") == [("fail", "cannot read haven.db: it is damaged")]


def test_a_vm_without_a_number_goes_by_its_name(world: World) -> None:
    world.libvirt.present["u-9"] = guest("u-9", "nameless")
    assert any("nameless" in seen for _grade, seen in lines(world, "protected"))
