"""Somebody is told: at once, by two ways; and later of what happened while the network was down."""

from __future__ import annotations

from collections.abc import Sequence

from haven.lab.demo.scene import Row, Scene, ms
from haven.lab.demo.stage import CONFIG, MAAS, Stage
from haven.lab.receiver import Received, Receiver

WEBHOOK, APPRISE = "webhook", "apprise"
_OLD_S = 6.0
"""For so long the receiver is away: long enough for its message to say how old it is."""


def play(stage: Stage) -> Sequence[Row]:
    stage.both_run()
    receiver = Receiver(stage.host)
    receiver.start()
    _named(stage, receiver)
    at_once = _at_once(stage, receiver)
    late = _network_down(stage, receiver)
    return [
        Row("102's QEMU killed", "", "", f"told after {ms(at_once)}, by webhook and by Apprise"),
        Row("again, with the receiver away", "", "", f"told when it was back, {late:.0f} s late"),
    ]


def _named(stage: Stage, receiver: Receiver) -> None:
    """haven reads its configuration at its start; no VM notices."""
    lines = f'webhook_url = "{receiver.url(WEBHOOK)}"\nnotify = ["{receiver.url(APPRISE, "json")}"]\n'
    stage.screen.deed("", "names two receivers in haven.toml, and restarts haven")
    stage.screen.output(lines)
    stage.host.configure(CONFIG + lines)
    stage.host.haven_stop()
    stage.host.haven_start()
    told = stage.type("haven notify test")
    stage.check(told.count("ok, after") == 2, "a test message arrives at both", told)


def _at_once(stage: Stage, receiver: Receiver) -> float:
    """Seconds from the VM's return to the message."""
    back = stage.recovery(stage.kill(MAAS), within_s=10.0, userland_s=None)
    incident = back.incident["id"]

    def about(path: str) -> list[Received]:
        return [one for one in receiver.received(path) if incident in str(one.body)]

    stage.wait(lambda: bool(about(WEBHOOK)), 10.0, "the message at the webhook")
    said = about(WEBHOOK)[0]
    _shown(stage, said)
    delay_s = said.wall_s - float(back.incident["recovered"])
    stage.check("is back after" in said.body["title"], f"the webhook had it {ms(delay_s)} after the VM", said.body)
    stage.check(said.body["incident"]["cause"] == "crash", "with the incident as haven tells it", said.body)
    title = said.body["title"]
    stage.wait(
        lambda: any(one.body["title"] == title for one in receiver.received(APPRISE)), 15.0, "Apprise's message"
    )
    stage.screen.checked("and so had the receiver that Apprise calls")
    return delay_s


def _network_down(stage: Stage, receiver: Receiver) -> float:
    """How old the late message is, in seconds."""
    stage.screen.deed("", "takes the receiver away, as a router that is down would")
    receiver.stop()
    kill = stage.kill(MAAS)
    back = stage.recovery(kill, within_s=10.0, userland_s=None)
    recovered_s = float(back.incident["recovered"])

    def noticed() -> bool:
        said = stage.feed.of("notification", "", kill.wall_s)
        return any("takes no messages" in event.sentence for event in said)

    stage.wait(noticed, 10.0, "haven's word that nobody takes its messages")
    stage.type("haven notify status", fails=True)
    old_s = stage.screen.begin_wall_s + stage.screen.elapsed_s()
    stage.wait(
        lambda: stage.screen.begin_wall_s + stage.screen.elapsed_s() > recovered_s + _OLD_S,
        _OLD_S + 1.0,
        "a while",
    )
    receiver.start()
    stage.screen.deed("", "brings the receiver back")

    def late() -> list[Received]:
        return [one for one in receiver.received(WEBHOOK) if one.wall_s > old_s]

    stage.wait(lambda: bool(late()), 15.0, "the message that waited")
    said = late()[0]
    _shown(stage, said)
    first = str(said.body["body"]).partition("\n")[0]
    stage.check("could not be told sooner" in first, "the late message says how old it is", said.body)
    right = said.body["incident"]["id"] == back.incident["id"]
    stage.check(right, "it is that outage's", said.body["incident"])
    return float(said.body["age_s"])


def _shown(stage: Stage, said: Received) -> None:
    stage.screen.output(f"{said.body['title']}\n{said.body['body']}")


SCENE = Scene("told", "somebody is told: at once, and later when the network was down", 45.0, play)
