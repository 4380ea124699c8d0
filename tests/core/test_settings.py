"""haven.toml: every key documented, every mistake named in one line with what to do."""

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haven.core.settings import Settings, SettingsError, describe_settings, listen_address, parse_settings
from haven.core.words import Pacing, Policy

HIDDEN = ("policy", "pacing")
KEYS = [spec for spec in fields(Settings) if spec.name not in HIDDEN]
NUMBERS = [spec for spec in KEYS if isinstance(spec.default, int | float)]


def test_an_empty_file_gives_the_defaults() -> None:
    assert parse_settings("") == Settings()


def test_the_documented_file_names_every_key_with_its_meaning_and_default() -> None:
    text = describe_settings()
    for spec in KEYS:
        assert f"# {spec.metadata['meaning']}\n#{spec.name} = " in text
    uncommented = "\n".join(line[1:] for line in text.splitlines() if line.startswith("#") and " = " in line)
    assert parse_settings(uncommented) == Settings()


@pytest.mark.parametrize("key", HIDDEN)
def test_policy_and_pacing_are_not_for_users(key: str) -> None:
    assert (Settings().policy, Settings().pacing) == (Policy.HAVEN, Pacing.FAST)
    assert key not in describe_settings()
    with pytest.raises(SettingsError, match=f'unknown key "{key}"'):
        parse_settings(f'{key} = "pve"')


@pytest.mark.parametrize("spec", NUMBERS, ids=lambda spec: spec.name)
def test_each_number_has_limits_that_hold(spec: "object") -> None:
    name, low, high = spec.name, spec.metadata["min"], spec.metadata["max"]  # type: ignore[attr-defined]
    for value in (low, high):
        assert getattr(parse_settings(f"{name} = {value}"), name) == value
    for value in (low - 1, high + 1, 10**400, -(10**400)):
        with pytest.raises(SettingsError, match=rf"^{name} = .*: expected {low:g} to {high:g}$"):
            parse_settings(f"{name} = {value}")


def test_whole_numbers_do_for_seconds() -> None:
    settings = parse_settings("tick_s = 5")
    assert settings.tick_s == 5.0
    assert type(settings.tick_s) is float


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("max_worker = 3", 'unknown key "max_worker"; did you mean "max_workers"?'),
        ("tick = 3", 'unknown key "tick"; did you mean "tick_s"?'),
        ("qwertz = 3", 'unknown key "qwertz"'),
        ('"a\\nb" = 3', 'unknown key "a\\nb"'),
        ("max_workers = 2.5", "max_workers = 2.5: expected a whole number"),
        ("max_workers = true", "max_workers = True: expected a whole number"),
        ("tick_s = true", "tick_s = True: expected a number"),
        ("tick_s = nan", "tick_s = nan: expected 1 to "),
        ("tick_s = inf", "tick_s = inf: expected 1 to "),
        ('tick_s = "10"', 'tick_s = "10": expected a number'),
        ("node = 7", "node = 7: expected text in quotes"),
        ("[node]\nname = 7", "node = {'name': 7}: expected text in quotes"),
        ('node = "a\\nb"', "node: line breaks are not allowed"),
        ('node = "a\\u0000b"', "node: line breaks are not allowed"),
        ('log_level = "loud"', 'log_level = "loud": expected one of debug, info, warning, error'),
        ('state_dir = "haven"', 'state_dir = "haven": expected a full path, one that begins with /'),
        ('state_dir = ""', 'state_dir = "": expected a full path'),
        ('metrics_listen = "here"', 'metrics_listen = "here": expected an address and a port'),
        ('metrics_listen = "1.2.3.4:70000"', 'metrics_listen = "1.2.3.4:70000": expected an address and a port'),
        ('webhook_url = "hooks.lan/TOKEN"', "webhook_url = ***: expected an address that begins with http"),
        ('heartbeat_url = "ftp://kuma/TOKEN"', "heartbeat_url = ftp://***: expected an address"),
        ('notify = "tgram://TOKEN/1"', "notify = tgram://***: expected texts in quotes, in brackets"),
        ('webhook_url = ["http://hooks.lan/TOKEN"]', "webhook_url: expected text in quotes"),
        ("tick_s = ", "not valid TOML: Invalid value (at end of document)"),
        ("tick_s = 1\ntick_s = 2", "not valid TOML: Cannot overwrite a value"),
        ("x = " + "[" * 5000, "not valid TOML: "),
        ("tick_s = " + "9" * 5000, "not valid TOML: "),
    ],
)
def test_a_mistake_is_named_in_one_line(text: str, message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_settings(text)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
    assert "TOKEN" not in str(caught.value)


@pytest.mark.parametrize("text", ["k" * 10**6 + " = 1", 'tick_s = "' + "x" * 10**6 + '"'])
def test_a_megabyte_of_nonsense_makes_a_short_error(text: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_settings(text)
    assert len(str(caught.value)) < 400


@given(st.text(max_size=200))
def test_any_text_gives_settings_or_one_line(text: str) -> None:
    try:
        parse_settings(text)
    except SettingsError as error:
        assert len(str(error).splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:9177", ("127.0.0.1", 9177)),
        ("[::1]:9177", ("::1", 9177)),
        (":9177", ("127.0.0.1", 9177)),
        ("9177", ("127.0.0.1", 9177)),
    ],
)
def test_an_address_to_listen_on(text: str, address: tuple[str, int]) -> None:
    assert listen_address(text) == address
    assert parse_settings(f'metrics_listen = "{text}"').metrics_listen == text
