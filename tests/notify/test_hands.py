"""The hands that tell people, on real receivers: they take it, refuse, hang, dribble, or are not there."""

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haven.core.masking import masked
from haven.core.words import Level
from haven.notify.apprise_url import AppriseUrl, read
from haven.notify.command import Command
from haven.notify.masking import key_of, scrubbed
from haven.notify.protocol import Delivery, NotifyError
from haven.notify.push import push, push_url
from haven.notify.webhook import Webhook
from tests.notify.receivers import dribbling, free_port, letter, listening

# -- webhook


def test_a_webhook_gets_each_message_as_json_in_order() -> None:
    with listening() as ear:
        assert Webhook(ear.url()).deliver([letter("one"), letter("two")]) == Delivery(2)
    assert ear.bodies == [{"id": "one", "title": "one"}, {"id": "two", "title": "two"}]


def test_a_receiver_that_refuses_is_told_with_its_answer_and_without_its_secret() -> None:
    with listening(status=500, says="database is locked, TOKEN-123") as ear:
        delivery = Webhook(ear.url()).deliver([letter()])
    assert delivery == Delivery(0, "answered 500 Internal Server Error: database is locked, ***")


def test_a_redirect_is_not_followed() -> None:
    with listening(status=302) as ear:
        assert "write the final address" in Webhook(ear.url()).deliver([letter()]).why
    assert len(ear.heard) == 1


def test_nobody_listens() -> None:
    delivery = Webhook(f"http://127.0.0.1:{free_port()}/TOKEN-123").deliver([letter()])
    assert delivery.why == "connection refused: nobody listens there"


def test_a_receiver_that_hangs_is_given_up_in_time() -> None:
    began_s = time.monotonic()
    with listening(wait=threading.Event()) as ear:
        delivery = Webhook(ear.url(), timeout_s=0.3).deliver([letter()])
        assert time.monotonic() - began_s < 20
    assert delivery.why.endswith("no answer within 0.3 s")


def test_a_receiver_that_dribbles_is_given_up_in_time() -> None:
    began_s = time.monotonic()
    with dribbling() as url:
        delivery = Webhook(url, timeout_s=0.5).deliver([letter()])
        assert time.monotonic() - began_s < 20
    assert delivery.why.endswith("no answer within 0.5 s")


def test_a_name_that_cannot_be_resolved() -> None:
    why = Webhook("http://nowhere.invalid/TOKEN-123").deliver([letter()]).why
    assert "cannot be resolved" in why
    assert "TOKEN" not in why


@pytest.mark.parametrize("url", ["ftp://host/x", "host/x", "http://", "http://[::1/x", "http://host:port/x", ""])
def test_what_is_no_url_is_an_error_in_words(url: str) -> None:
    assert "http://" in Webhook(url).deliver([letter()]).why


# -- push monitors


def test_a_push_replaces_the_example_of_kuma_and_keeps_what_else_is_there() -> None:
    url = "http://kuma:3001/api/push/abc?status=up&msg=OK&ping=&key=1"
    assert (
        push_url(url, up=False, message="vm:102 is down & out", ping_ms=412.4)
        == "http://kuma:3001/api/push/abc?key=1&status=down&msg=vm%3A102+is+down+%26+out&ping=412"
    )


def test_a_push_is_heard() -> None:
    with listening() as ear:
        push(ear.url("/api/push/abc?status=up&msg=OK&ping="), up=True, message="2 of 2 VMs run")
        assert ear.queries() == [{"status": "up", "msg": "2 of 2 VMs run"}]


def test_a_push_to_a_monitor_that_is_not_there_says_so() -> None:
    says = '{"ok":false,"msg":"Monitor not found or not active."}'
    with listening(status=404, says=says) as ear, pytest.raises(NotifyError) as raised:
        push(ear.url("/api/push/abcdef"), up=True, message="x")
    assert str(raised.value).endswith(f"answered 404 Not Found: {says}")


# -- the command


def script(folder: Path, text: str) -> Path:
    path = folder / "tell it"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_the_command_gets_the_message_on_its_input_and_no_shell_reads_its_words(tmp_path: Path) -> None:
    path = script(tmp_path, f'cat > {tmp_path}/said; printf "%s|" "$@" > {tmp_path}/words')
    line = f"'{path}' --to 'a person' ';' '$HOME' `x`"
    assert Command(line).deliver([letter("one")]) == Delivery(1)
    assert json.loads((tmp_path / "said").read_text()) == {"id": "one", "title": "one"}
    assert (tmp_path / "words").read_text() == "--to|a person|;|$HOME|`x`|"


def test_a_command_that_reads_nothing_is_no_trouble(tmp_path: Path) -> None:
    big = letter("x" * 500_000)
    assert Command(f"'{script(tmp_path, 'exit 0')}'").deliver([big]) == Delivery(1)


def test_a_command_that_fails_says_why(tmp_path: Path) -> None:
    path = script(tmp_path, "echo first >&2; echo no such person >&2; exit 3")
    assert Command(f"'{path}'").deliver([letter()]) == Delivery(0, "ended with exit status 3: no such person")


def test_a_command_that_does_not_end_is_killed_with_what_it_started(tmp_path: Path) -> None:
    path = script(tmp_path, f"sleep 60 & echo $! > {tmp_path}/pid; wait")
    assert Command(f"'{path}'", timeout_s=3.0).deliver([letter()]) == Delivery(0, "no end within 3 s: killed")
    pid = int((tmp_path / "pid").read_text())
    until_s = time.monotonic() + 20
    while _runs(pid) and time.monotonic() < until_s:
        time.sleep(0.01)
    assert not _runs(pid)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_command_that_leaves_something_running_is_not_waited_for(tmp_path: Path) -> None:
    began_s = time.monotonic()
    assert Command(f"'{script(tmp_path, 'sleep 20 & exit 0')}'").deliver([letter()]) == Delivery(1)
    assert time.monotonic() - began_s < 15


def test_a_command_that_floods_its_output(tmp_path: Path) -> None:
    path = script(tmp_path, "head -c 3000000 /dev/zero | tr '\\0' x >&2; echo >&2; echo the end >&2; exit 1")
    assert Command(f"'{path}'").deliver([letter()]).why == "ended with exit status 1: the end"


@pytest.mark.parametrize("line", ["/no/such/program", "'unfinished"])
def test_a_command_that_cannot_be_run(line: str) -> None:
    assert "cannot be" in Command(line).deliver([letter()]).why


def test_a_command_of_blanks_names_no_program() -> None:
    assert Command("  ").deliver([letter()]) == Delivery(0, "notify_command names no program")


# -- Apprise, the real one


def test_apprise_sends_each_letter_in_a_process_of_its_own() -> None:
    with listening() as ear:
        receiver = AppriseUrl(f"json://127.0.0.1:{ear.port}/TOKEN-123", 1)
        assert receiver.deliver([letter("one", Level.ERR), letter("two")]) == Delivery(2)
    assert [(body["title"], body["type"]) for body in ear.bodies] == [("one", "failure"), ("two", "info")]
    assert receiver.label == "notify 1 (json://***)"
    assert "apprise" not in sys.modules


def test_apprise_says_why_without_the_address() -> None:
    with listening(status=500) as ear:
        delivery = AppriseUrl(f"json://user:hunter22@127.0.0.1:{ear.port}/TOKEN-123", 1).deliver([letter()])
    assert delivery.delivered == 0
    assert delivery.why
    assert not any(secret in delivery.why for secret in ("hunter22", "TOKEN-123"))
    unknown = AppriseUrl("nosuchservice://TOKEN-123", 2).deliver([letter()])
    assert unknown.why.startswith("Apprise cannot make anything of this address")


def test_apprise_is_given_up_in_time() -> None:
    began_s = time.monotonic()
    with listening(wait=threading.Event()) as ear:
        delivery = AppriseUrl(f"json://127.0.0.1:{ear.port}/TOKEN-123?rto=60", 1, timeout_s=3.0).deliver(
            [letter()]
        )
        assert time.monotonic() - began_s < 25
    assert delivery.delivered == 0
    assert delivery.why


ANSWER = b'{"letter": 0, "why": ""}\n{"letter": 1, "why": ""}\n{"letter": 2, "why": "busy \xc3\xbc"}\n'


@given(st.integers(0, len(ANSWER)))
def test_an_answer_that_is_cut_anywhere_counts_as_far_as_its_lines_are_whole(end: int) -> None:
    whole = ANSWER[:end].count(b"\n")
    why = "busy \u00fc" if whole == 3 else "killed"
    assert read(ANSWER[:end], 3, "killed") == Delivery(min(whole, 2), why)


def test_a_process_that_breaks_off_after_its_last_word_has_taken_all() -> None:
    assert read(ANSWER[: ANSWER.index(b"\n") + 1], 1, "Apprise broke off") == Delivery(1)


@pytest.mark.parametrize("odd", [b"hello\n", b"[1]\n", b'{"letter": 0, "why": ""}\n', b"\xff\n"])
def test_a_line_that_is_not_of_the_next_letter_ends_the_answer(odd: bytes) -> None:
    answer = b'{"letter": 0, "why": ""}\n' + odd + b'{"letter": 1, "why": ""}\n'
    assert read(answer, 2, "") == Delivery(1)


CHATTY = """
import apprise, os
from apprise.decorators import notify
from haven.notify import send

@notify(on="chatty")
def tell(body, title, notify_type, *args, **kwargs):
    os.write(1, b'{"letter": 0, "why": "no')
    print("and more")
    if title == "last":
        os.kill(os.getpid(), 9)
    return True

send.main()
"""


def test_what_a_service_prints_and_how_it_ends_spoils_no_answer() -> None:
    letters = [{"title": title, "body": "b", "level": "info"} for title in ("one", "two", "last")]
    asked = json.dumps({"url": "chatty://", "timeout_s": 60, "letters": letters})
    done = subprocess.run([sys.executable, "-c", CHATTY], input=asked.encode(), capture_output=True)
    assert done.returncode == -9
    assert read(done.stdout, 3, "broke off") == Delivery(2, "broke off")


def test_the_process_of_apprise_ends_with_the_one_that_asked(tmp_path: Path) -> None:
    with listening(wait=threading.Event()) as ear:
        program = (
            "from haven.notify.apprise_url import AppriseUrl; from tests.notify.receivers import letter\n"
            f"AppriseUrl('json://127.0.0.1:{ear.port}/', 1).deliver([letter()])"
        )
        parent = subprocess.Popen([sys.executable, "-c", program])
        ear.wait_for(1)
        children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()
        parent.kill()
        parent.wait()
        until_s = time.monotonic() + 20
        while any(_runs(int(pid)) for pid in children) and time.monotonic() < until_s:
            time.sleep(0.01)
        assert children
        assert not any(_runs(int(pid)) for pid in children)


# -- secrets


def test_a_text_is_scrubbed_of_every_piece_of_the_address() -> None:
    url = "https://user:hunter%2022@host.lan/hook/TOKEN?key=abcd"
    said = scrubbed(f"cannot reach {url}\n: bad key (HUNTER 22, abcd) at host.lan", url)
    assert said == "cannot reach *** : bad key (***, ***) at host.lan"


@given(st.text("abcdefgh0123456789-_", min_size=8, max_size=30), st.text(max_size=40))
def test_no_token_passes(token: str, around: str) -> None:
    url = f"tgram://{token}/chat"
    assert token not in scrubbed(f"{around}{token}{around} {url}", url)
    assert token not in masked(url)
    assert token not in AppriseUrl(url, 1).label
    assert token not in key_of(url)


def test_the_api_does_not_load_apprise_or_prometheus() -> None:
    program = "import sys, haven.api.server, haven.api.opening, haven.notify.apprise_url; print(*sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=os.environ
    ).stdout.split()
    assert not {"apprise", "requests", "prometheus_client"} & set(loaded)
