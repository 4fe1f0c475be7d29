"""SUBSCRIBE and NOTIFY (RFC 6665)."""

import pytest

from pbx.sip.commands import SendNotify
from pbx.sip.events import Origin, Subscribed, Unsubscribed
from tests.unit.sip.peer import Peer

XML = "application/dialog-info+xml"


def subscribe(peer: Peer, *headers: str, expires: int | None = 600, event: str = "dialog") -> None:
    lines = [f"Event: {event}", *([] if expires is None else [f"Expires: {expires}"]), *headers]
    peer.receive(peer.request("SUBSCRIBE", *lines))
    answer = peer.sent[-1]
    if answer.status == 200:
        peer.to_tag = answer.to_tag


def start(**options: object) -> tuple[Peer, str]:
    peer = Peer(origin=Origin("extension", "200"))
    subscribe(peer, f"Accept: {XML}", **options)  # type: ignore[arg-type]
    return peer, peer.event(Subscribed).subscription


def test_subscription_and_its_notifies() -> None:
    peer, subscription = start(event="dialog;id=7")
    asked = peer.event(Subscribed)
    assert (asked.event, asked.target, asked.expires, asked.accept) == ("dialog", "100", 600.0, (XML,))
    assert peer.last("200 SUBSCRIBE").header("Expires") == "600"
    peer.wait(100)
    peer.command(SendNotify(subscription=subscription, body=b"<dialog-info/>"))
    notify = peer.last("NOTIFY")
    assert notify.header("Event") == "dialog;id=7" and notify.header("Content-Type") == XML
    assert notify.header("Subscription-State") == "active;expires=500"
    assert str(notify.request.uri) == "sip:peer@192.0.2.1:5060" and notify.body == b"<dialog-info/>"
    peer.receive(peer.response(notify, 200))


def test_refresh_keeps_the_id() -> None:
    peer, subscription = start()
    peer.wait(500)
    peer.events.clear()
    subscribe(peer)
    assert peer.event(Subscribed).subscription == subscription
    peer.wait(500)
    peer.command(SendNotify(subscription=subscription))
    assert "NOTIFY" in peer.lines()


def test_expiry_says_so_to_both() -> None:
    peer, subscription = start()
    peer.command(SendNotify(subscription=subscription, body=b"last"))
    peer.receive(peer.response(peer.last("NOTIFY"), 200))
    peer.wait(600)
    final = peer.last("NOTIFY")
    assert final.header("Subscription-State") == "terminated;reason=timeout" and final.body == b"last"
    assert peer.event(Unsubscribed).subscription == subscription
    assert peer.command(SendNotify(subscription=subscription)) == []
    peer.assert_idle()


def test_unsubscribe_gets_a_last_notify() -> None:
    peer, subscription = start()
    peer.events.clear()
    subscribe(peer, expires=0)
    assert peer.event(Subscribed).expires == 0
    peer.command(SendNotify(subscription=subscription, body=b"now"))
    assert peer.last("NOTIFY").header("Subscription-State") == "terminated;reason=timeout"
    assert peer.event(Unsubscribed).subscription == subscription
    peer.receive(peer.response(peer.last("NOTIFY"), 200))
    peer.assert_idle()


def test_one_look() -> None:
    peer, _ = start(expires=0)
    peer.wait(2)
    assert peer.last("NOTIFY").header("Subscription-State").startswith("terminated")
    peer.receive(peer.response(peer.last("NOTIFY"), 200))
    peer.assert_idle()


def test_we_end_it() -> None:
    peer, subscription = start()
    peer.command(SendNotify(subscription=subscription, state="terminated", reason="deactivated"))
    assert peer.last("NOTIFY").header("Subscription-State") == "terminated;reason=deactivated"
    subscribe(peer)
    assert peer.lines()[-1] == "481 SUBSCRIBE"


@pytest.mark.parametrize("answer", [481, None])
def test_subscriber_that_is_gone(answer: int | None) -> None:
    peer, subscription = start()
    peer.command(SendNotify(subscription=subscription))
    if answer:
        peer.receive(peer.response(peer.last("NOTIFY"), answer))
    else:
        peer.wait(33)
    assert peer.event(Unsubscribed).subscription == subscription
    peer.assert_idle()


@pytest.mark.parametrize(
    ("headers", "options", "status"),
    [
        ((), {"event": "conference"}, 489),
        (("Accept: text/html",), {}, 406),
        ((), {"expires": 5}, 423),
    ],
)
def test_refused(headers: tuple[str, ...], options: dict, status: int) -> None:
    peer = Peer()
    subscribe(peer, *headers, **options)
    assert peer.lines() == [f"{status} SUBSCRIBE"] and not peer.events
    peer.assert_idle()


def test_default_and_longest_expiry() -> None:
    peer, _ = start(expires=None)
    assert peer.last("200 SUBSCRIBE").header("Expires") == "3600"
    subscribe(peer, expires=999_999)
    assert peer.last("200 SUBSCRIBE").header("Expires") == "7200"


def test_wrong_requests_in_the_dialog() -> None:
    peer, _ = start()
    peer.receive(peer.request("INFO"))
    assert peer.lines()[-1] == "405 INFO"
    peer.receive(peer.request("SUBSCRIBE", "Event: dialog", cseq=1))
    assert peer.lines()[-1] == "500 SUBSCRIBE"
    peer.receive(peer.request("ACK"))
