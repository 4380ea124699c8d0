"""The machine as the daemons need it: clocks, boot id, the settings file."""

import os
import time
from dataclasses import replace
from functools import cache
from pathlib import Path

from haven.core.clock import Now
from haven.core.settings import Settings, SettingsError, parse_settings

DEFAULT_CONFIG = Path("/etc/haven/haven.toml")


@cache
def boot_id() -> str:
    """Random, new at every boot (proc(5)). A lab host's power can be cut, while the kernel below it runs on:
    $HAVEN_BOOT_ID_FILE names its own.
    """
    return Path(os.environ.get("HAVEN_BOOT_ID_FILE", "/proc/sys/kernel/random/boot_id")).read_text().strip()


def now() -> Now:
    return Now(time.clock_gettime(time.CLOCK_BOOTTIME), time.time(), boot_id())


def utc_offset_s() -> int:
    """The host's local time against UTC, now."""
    return time.localtime().tm_gmtoff


def settings_path() -> Path:
    """$HAVEN_CONFIG, else /etc/haven/haven.toml."""
    return Path(os.environ.get("HAVEN_CONFIG") or DEFAULT_CONFIG)


def load_settings() -> Settings:
    """The settings of $HAVEN_CONFIG, else of /etc/haven/haven.toml, else the defaults.

    Raises SettingsError, whose text names the file.
    """
    given = os.environ.get("HAVEN_CONFIG")
    path = settings_path()
    try:
        settings = parse_settings(path.read_text())
    except FileNotFoundError as error:
        if given:
            raise SettingsError(f"{path} does not exist; correct $HAVEN_CONFIG or unset it") from error
        settings = Settings()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} cannot be read: {error}") from error
    except SettingsError as error:
        raise SettingsError(f"{path}: {error}; see them all with: haven config") from error
    return replace(settings, node=settings.node or os.uname().nodename.partition(".")[0])
