"""What a person may ask for one VM: read, shown, changed, refused in one line."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haven.core.care import BY_NAME, DRILL_EVERY_DAYS, OPTIONS, OptionError, changed, difference, shown
from haven.core.health import check_text, parse_check
from haven.core.records import DrillPlan, HangTerms, HealthCheck, VmCare
from haven.core.words import CheckKind

CARE = VmCare("vm:102")
ALL = {
    "hang_after": "60 s",
    "hang_uptime": "30 s",
    "hang_resets": "5",
    "hang_window": "7200 s",
    "check": "ping 192.168.4.1\nhttp http://192.168.4.53:5240/MAAS/ name='MAAS Service' status=200 every=30",
    "start_order": "2",
    "start_delay": "15 s",
    "wait_for": "vm:101",
    "priority": "10",
    "push_url": "http://kuma:3001/api/push/abc",
    "drill": "monthly 02-05",
}


def test_every_option_is_set_from_text_and_shown_again() -> None:
    care = changed(CARE, ALL)
    assert care.hang == HangTerms(60, 30, 5, 7200)
    assert care.checks == (
        HealthCheck("ping 192.168.4.1", CheckKind.PING, "192.168.4.1"),
        HealthCheck("MAAS Service", CheckKind.HTTP, "http://192.168.4.53:5240/MAAS/", status=200, every_s=30),
    )
    assert (care.start_order, care.start_delay_s, care.wait_for, care.priority) == (2, 15, "vm:101", 10)
    assert (care.push_url, care.drill) == ("http://kuma:3001/api/push/abc", DrillPlan(30, 2, 5))
    assert changed(CARE, shown(care)) == care
    assert set(shown(care)) == set(ALL) == set(BY_NAME)


@pytest.mark.parametrize(("word", "days"), DRILL_EVERY_DAYS.items())
def test_every_rhythm_of_a_drill_has_its_word(word: str, days: int) -> None:
    care = changed(CARE, {"drill": word})
    assert care.drill == DrillPlan(days, 2, 5)
    assert shown(care)["drill"] == f"{word} 02-05"
    assert changed(CARE, {"drill": f"{days}d"}).drill == care.drill


@pytest.mark.parametrize("hours", [(22, 4), (23, 0), (0, 24)])
def test_a_drill_may_have_its_hours_over_midnight(hours: tuple[int, int]) -> None:
    care = changed(CARE, {"drill": f"weekly {hours[0]:02}-{hours[1]:02}"})
    assert care.drill == DrillPlan(7, *hours)
    assert changed(CARE, shown(care)) == care


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.name)
def test_off_and_delete_put_an_option_back(option: object) -> None:
    name = option.name  # type: ignore[attr-defined]
    care = changed(CARE, ALL)
    assert name not in shown(changed(care, {name: "off"}))
    assert changed(care, {}, [name]) == changed(care, {name: "off"})


def test_nothing_is_shown_of_a_vm_for_which_nothing_was_asked() -> None:
    assert shown(CARE) == {}
    assert changed(CARE, {}, list(BY_NAME)) == CARE


def test_checks_are_added_replaced_by_name_and_deleted_one_by_one() -> None:
    care = changed(CARE, {"check": "ping 10.0.0.1 name=net"})
    care = changed(care, {"check": "tcp 10.0.0.1:22"})
    care = changed(care, {"check": "ping 10.0.0.2 name=net"})
    assert shown(care)["check"] == "ping 10.0.0.2 name=net\ntcp 10.0.0.1:22"
    assert shown(changed(care, {}, ["check:net"])) == {"check": "tcp 10.0.0.1:22"}
    with pytest.raises(OptionError, match="there is no check 'web'"):
        changed(care, {}, ["check:web"])


def test_one_vm_has_at_most_16_checks() -> None:
    lines = "\n".join(f"ping 10.0.0.{number}" for number in range(17))
    with pytest.raises(OptionError, match="17 checks: at most 16"):
        changed(CARE, {"check": lines})


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("hang_after", "4", "value '4': expected 5 to 86400 seconds"),
        ("hang_after", "soon", "value 'soon': expected a time, as 60, 5min or 2h"),
        ("hang_after", "-5", "value '-5': expected a time"),
        ("hang_uptime", "30", "set hang_after, too"),
        ("hang_resets", "1", "set hang_after, too"),
        ("check", "wave 10.0.0.1", "expected: ping HOST, tcp HOST:PORT or http URL"),
        ("check", "ping", "expected: ping HOST"),
        ("check", "ping http://a", "http://a: expected a host name or an address"),
        ("check", "ping -f", "-f: not an address"),
        ("check", "tcp 10.0.0.1", "10.0.0.1: expected HOST:PORT"),
        ("check", "tcp 10.0.0.1:99999", "expected HOST:PORT"),
        ("check", "http ftp://a/", "ftp://a/: expected a URL"),
        ("check", "http://a:0/", "the port is not one from 1 to 65535"),
        ("check", "ping a every=0", "every=0: expected 1 to 3600"),
        ("check", "ping a every=nan", "every=nan: expected 1 to 3600"),
        ("check", "ping a loud", "loud: expected name=, status=, text=, every=, timeout=, fails="),
        ("check", "ping a color=red", "color=red: expected name=, status=, text=, every=, timeout=, fails="),
        ("check", "ping a status=200", "status= is for http only"),
        ("check", "ping 'a", "quotes do not match"),
        ("start_order", "first", "value 'first': expected a whole number from 0 to 9999"),
        ("wait_for", "router", "value 'router': expected another VM, as vm:101"),
        ("wait_for", "vm:102", "vm:102 cannot wait for itself"),
        ("priority", "101", "value '101': expected a whole number from 0 to 100"),
        ("push_url", "kuma", "expected a URL"),
        ("push_url", "http://a b", "expected a URL"),
        ("drill", "yearly", "value 'yearly': expected: monthly 02-05"),
        ("drill", "monthly 05-05", "expected: monthly 02-05"),
        ("drill", "monthly 24-02", "expected: monthly 02-05"),
        ("drill", "monthly 02-25", "expected: monthly 02-05"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(name: str, text: str, said: str) -> None:
    with pytest.raises(OptionError) as refused:
        changed(CARE, {name: text})
    assert refused.value.name == name
    assert said in refused.value.text
    assert "\n" not in refused.value.text


def test_an_unknown_option_cannot_be_deleted() -> None:
    with pytest.raises(OptionError, match="no such option 'loud'; options: hang_after, "):
        changed(CARE, {}, ["loud"])


def test_without_hang_after_the_rest_of_its_terms_goes_too() -> None:
    care = changed(CARE, {"hang_after": "60", "hang_resets": "9"})
    assert changed(care, {}, ["hang_after"]).hang is None
    assert changed(care, {"hang_after": "90"}).hang == HangTerms(90, resets=9)


def test_a_change_is_told_from_what_to_what_without_secrets() -> None:
    before = changed(CARE, {"priority": "3"})
    after = changed(
        before, {"hang_after": "1min", "priority": "off", "push_url": "http://kuma:3001/api/push/secret"}
    )
    told = difference(before, after)
    assert told == "hang_after from off to 60 s, priority from 3 to 0, push_url from none to http://kuma:3001/..."
    assert difference(after, after) == ""


names = st.text(st.characters(categories=["L", "N", "P", "Zs"]), min_size=1, max_size=20).filter(str.isprintable)


@given(names, names, st.integers(100, 599) | st.none(), st.floats(1, 3600), st.integers(1, 100))
def test_a_check_is_read_back_as_it_was_written(
    name: str, text: str, status: int | None, every_s: float, fails: int
) -> None:
    check = HealthCheck(
        name, CheckKind.HTTP, "https://[::1]:8443/a?b=c#d", status, text, round(every_s, 3), 5, fails
    )
    assert parse_check(check_text(check)) == check


@given(st.text(max_size=60))
def test_no_text_breaks_the_reader(text: str) -> None:
    for option in OPTIONS:
        try:
            care = changed(CARE, {option.name: text})
        except OptionError:
            continue
        assert changed(CARE, shown(care)) == care
