"""Who is told, by the configuration."""

from haven.core.settings import Settings
from haven.notify.apprise_url import AppriseUrl
from haven.notify.command import Command
from haven.notify.protocol import Receiver
from haven.notify.webhook import Webhook


def receivers_of(settings: Settings) -> tuple[Receiver, ...]:
    """In the order of the file; an address that is named twice counts once."""
    named: list[Receiver] = [AppriseUrl(url, number) for number, url in enumerate(settings.notify, 1)]
    if settings.webhook_url:
        named.append(Webhook(settings.webhook_url))
    if settings.notify_command:
        named.append(Command(settings.notify_command))
    return tuple({receiver.key: receiver for receiver in reversed(named)}.values())[::-1]
