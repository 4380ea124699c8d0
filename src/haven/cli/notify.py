"""`haven notify`: who is told, what waits for them, and whether a message arrives."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer

from haven.cli.console import complain
from haven.cli.session import connect
from haven.cli.text import printable
from haven.cli.times import ago, moment

EXIT_TROUBLE = 1
NOBODY = "nobody is told: name somebody in haven.toml (notify, webhook_url or notify_command), then restart haven"

app = typer.Typer(add_completion=False, rich_markup_mode=None, help="Show who is told of outages, and try it.")
Json = Annotated[bool, typer.Option("--json", help="Print the API's answer as JSON.")]


@app.callback(invoke_without_command=True)
def shown(context: typer.Context) -> int | None:
    """Show who is told of outages, and try it."""
    return None if context.invoked_subcommand else status()


@app.command()
def test(as_json: Json = False) -> int:
    """Send a test message to each receiver now, and say which took it.

    Exit status: 0 when all took it; 1 when one did not, or when nobody is named.
    """
    tried = connect("haven notify test").post("/haven/notify/test")
    if as_json:
        _print_json(tried)
    else:
        for line in test_lines(tried):
            print(line)
    if not any(_is_receiver(one) for one in tried):
        complain(NOBODY)
        return EXIT_TROUBLE
    return 0 if all(one["ok"] for one in tried) else EXIT_TROUBLE


@app.command()
def status(as_json: Json = False) -> int:
    """Show what waits for each receiver, and when it last took a message.

    Exit status: 0; 1 when a receiver does not take its messages.
    """
    seen = connect("haven notify status").get("/haven/notify")
    if as_json:
        _print_json(seen)
    else:
        for line in status_lines(seen):
            print(line)
    return EXIT_TROUBLE if seen["trouble"] or any(one["trouble"] for one in seen["receivers"]) else 0


def test_lines(tried: list[dict[str, Any]]) -> Iterator[str]:
    """A line for each: whom, whether it arrived, why not."""
    width = max((len(one["receiver"]) for one in tried), default=0)
    for one in tried:
        how = f"ok, after {one['took_s']:.1f} s" if one["ok"] else f"FAILED: {printable(one['why'])}"
        yield f"{printable(one['receiver']):<{width}}  {how}"


def status_lines(seen: Mapping[str, Any]) -> Iterator[str]:
    """First the receivers, then the push monitors."""
    now_s = float(seen["now"])
    if not seen["receivers"]:
        yield NOBODY[0].upper() + NOBODY[1:] + "."
    for one in seen["receivers"]:
        yield from _receiver_lines(one, now_s)
    if seen["trouble"]:
        yield f"Messages wait: {printable(seen['trouble'])}"
    for name, beat in {"heartbeat": seen["heartbeat"], **seen["pushes"]}.items():
        if beat:
            how = "not called yet" if beat["ok"] is None else "ok" if beat["ok"] else printable(beat["why"])
            yield f"{name if name == 'heartbeat' else f'push of {name}'}: {how}"


def _receiver_lines(one: Mapping[str, Any], now_s: float) -> Iterator[str]:
    last = f"last took one {moment(one['last_ok'], now_s)}" if one["last_ok"] else "took none so far"
    yield f"{printable(one['receiver'])}: {last}; {one['delivered']} delivered beside tests"
    if one["waiting"]:
        yield f"    {one['waiting']} waiting, the oldest from {moment(one['oldest'], now_s)}"
    if one["given_up"]:
        yield f"    {one['given_up']} given up; it is told of them with the next message"
    if one["trouble"]:
        yield f"    {printable(one['trouble'])} (since {ago(one['trouble_since'], now_s)}; haven tries on)"


def _is_receiver(one: Mapping[str, Any]) -> bool:
    """Somebody who is told, and no monitor that is called."""
    return one["receiver"] != "heartbeat" and not str(one["receiver"]).startswith("push of ")


def _print_json(data: Any) -> None:
    import json

    print(json.dumps(data, indent=2, ensure_ascii=False))
