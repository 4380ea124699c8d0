"""haven's units of systemd, as text."""

from __future__ import annotations

from dataclasses import dataclass

from haven.setup.places import MARK

PROGRAM = "/usr/local/bin/haven"


@dataclass(frozen=True)
class Unit:
    """One of haven's processes below systemd. `wants` are lines of [Unit], `options` of [Service]."""

    name: str
    word: str
    description: str
    wants: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


_API = "Wants=haven-api.service"
# So that the command typed after `systemctl start pve-ha-crm pve-ha-lrm` finds the API. The lrm waits for nobody.
_AFTER_API = "After=haven-api.service"
_CONFINED = (
    "NoNewPrivileges=yes",
    "RestrictSUIDSGID=yes",
    "RestrictRealtime=yes",
    "LockPersonality=yes",
)

ALL = (
    Unit("pve-ha-lrm", "lrm", "haven: keeps this host's VMs running", (_API,), _CONFINED),
    Unit("pve-ha-crm", "crm", "haven: decides what should run where", (_API, _AFTER_API), _CONFINED),
    # Without limits of its rights: it runs the administrator's notify_command, which may need them.
    Unit("haven-api", "api", "haven: answers people and programs"),
)

_TEXT = """# Written by `haven {mark_word}`, again at each upgrade. To change it: systemctl edit {unit.name}
[Unit]
Description={unit.description}
Documentation=man:haven(8)
# Started after libvirt and libvirt-guests, haven is stopped before them: when the host goes down it is gone before
# libvirt-guests shuts the guests down one by one, and takes none of that for a crash or for somebody's wish.
After=libvirtd.service libvirtd.socket virtqemud.service virtqemud.socket libvirt-guests.service remote-fs.target
{wants}# There is no number of restarts after which nobody keeps the VMs running.
StartLimitIntervalSec=0

[Service]
Type=notify
ExecStart={program} {unit.word}
Environment={variable}=%N
# Of glibc (mallopt(3)): else a heap for each thread that waits for libvirt. What a busy minute took is given back.
Environment=MALLOC_ARENA_MAX=1 MALLOC_TRIM_THRESHOLD_=65536 MALLOC_MMAP_THRESHOLD_=65536
Restart=always
RestartSec=1
# A haven.toml that cannot be used: nothing but a person can mend that. Then: systemctl start {unit.name}
RestartPreventExitStatus=78
# Fed by the loop that does the work, every 20 s: one that hangs is ended, with a trace in the journal.
WatchdogSec=60
TimeoutStartSec=90
TimeoutStopSec=10
# Only haven's own process is ever killed from here, whatever may have been started below it.
KillMode=process
OOMScoreAdjust=-900
OOMPolicy=continue
RuntimeDirectory=haven
RuntimeDirectoryMode=0700
RuntimeDirectoryPreserve=yes
UMask=0077
{options}
[Install]
WantedBy=multi-user.target
"""


def text(unit: Unit, program: str = PROGRAM) -> str:
    """The unit's file."""
    from haven.daemons.journal import UNIT_VARIABLE

    return _TEXT.format(
        unit=unit,
        program=program,
        mark_word=MARK.partition(" ")[2],
        wants="".join(f"{line}\n" for line in unit.wants),
        options="".join(f"{line}\n" for line in unit.options),
        variable=UNIT_VARIABLE,
    )


# What a person or a unit starts is a shell script: it must be able to say what is wrong when the Python that haven
# was installed with is gone, and to start the repair with another one.
PROGRAM_TEXT = """#!/bin/sh
# Written by `haven setup`.
here=/opt/haven/current
if [ -x "$here/venv/bin/python" ]; then
    {run}
fi
{gone}"""

_REPAIR = """if [ "$1" = setup ]; then
    for python in /usr/bin/python3 python3; do
        if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            PYTHONPATH="$here/source/src" exec "$python" -P -m haven "$@"
        fi
    done
    echo "haven: this needs Python 3.11 or newer: apt install python3" >&2
    exit 1
fi
"""
_GONE = """echo "{name}: the Python it was installed with is gone (a system upgrade?): haven setup --repair" >&2
exit {status}
"""


def program_text(name: str) -> str:
    """The script /usr/local/bin/NAME."""
    status = 78 if name == "haven" else 255
    gone = (_REPAIR if name == "haven" else "") + _GONE.format(name=name, status=status)
    return PROGRAM_TEXT.format(run=f'exec "$here/venv/bin/{name}" "$@"', gone=gone)
