"""Arguments that several of haven's commands take."""

from typing import Annotated

import typer

from haven.cli.text import shortened

_SID_CHARS = 255
_SID_HELP = "The VM: vm:102, 102 or its libvirt name."


def _checked_sid(text: str | None) -> str | None:
    if text is None:
        return None
    if not text or not text.isprintable():
        raise typer.BadParameter("expected vm:102, 102 or the VM's name, without line breaks")
    if "/" in text:  # libvirt has no such name either
        raise typer.BadParameter(f"'{shortened(text)}': expected vm:102, 102 or the VM's name, which has no slash")
    if len(text) > _SID_CHARS:
        raise typer.BadParameter(f"a name has at most {_SID_CHARS} characters, this one has {len(text)}")
    return text


AnySid = Annotated[str | None, typer.Argument(metavar="[SID]", callback=_checked_sid, help=_SID_HELP)]
OneSid = Annotated[str, typer.Argument(metavar="SID", callback=_checked_sid, help=_SID_HELP)]
