"""The registrar's answers and changes, request by request."""

from __future__ import annotations

import tracemalloc
from itertools import count as numbers

import pytest
from sipmessage import Request

from pbx.sip.commands import Flow
from pbx.sip.events import Origin, Output, Registered, Unregistered
from pbx.sip.policy import RegisterReply
from pbx.sip.registrar import Registrar, RegistrarLimits
from pbx.sip.wire import parse_packet, parse_uri

ORIGIN = Origin("extension", "1001")
UDP = Flow("udp", "192.0.2.7", 5062, "main")
TCP = Flow("tcp", "192.0.2.7", 40001, "tcp", 7)
WS = Flow("wss", "192.0.2.7", 40002, "web", 8)
PHONE = "<sip:1001@192.0.2.7:5062>"
NUMBERS = numbers(1)


def make_register(
    *contacts: str, call_id: str = "a", cseq: int | None = None, to: str = "sip:1001@tandem", extra: str = ""
) -> Request:
    lines = [
        "REGISTER sip:tandem SIP/2.0",
        "Via: SIP/2.0/UDP 192.0.2.7:5062;branch=z9hG4bK1",
        f"From: <{to}>;tag=1",
        f"To: <{to}>",
        f"Call-ID: {call_id}",
        f"CSeq: {next(NUMBERS) if cseq is None else cseq} REGISTER",
        *(f"Contact: {contact}" for contact in contacts),
        *extra.splitlines(),
        "Content-Length: 0",
    ]
    return parse_packet(("\r\n".join(lines) + "\r\n\r\n").encode(), UDP).request


def send(
    registrar: Registrar, request: Request, flow: Flow = UDP, now: float = 100.0, origin: Origin = ORIGIN
) -> tuple[RegisterReply, list[Output]]:
    reply, outputs = registrar.register(request, origin, flow, now)
    return reply, list(outputs)


def values(reply: RegisterReply, name: str) -> list[str]:
    return [value for key, value in reply.headers if key == name]


def uris(registrar: Registrar, now: float = 100.0) -> list[str]:
    return [binding.contact for binding in registrar.contacts("1001", now)]


def test_a_contact_is_added_listed_and_expires() -> None:
    registrar = Registrar()
    reply, outputs = send(registrar, make_register(PHONE + ";expires=120", extra="User-Agent: Phone/1"))
    assert reply.status == 200
    assert values(reply, "Contact") == [PHONE + ";expires=120"]
    (event,) = outputs
    assert isinstance(event, Registered)
    assert (event.extension, event.contact, event.flow, event.expires_at) == ("1001", PHONE[1:-1], UDP, 220.0)
    assert (event.user_agent, event.refreshed) == ("Phone/1", False)
    deadline = registrar.next_deadline()
    assert deadline is not None
    assert deadline.at == 220.0
    assert registrar.expire(219.9) == []
    assert uris(registrar, 220.0) == []
    assert registrar.expire(220.0) == [Unregistered(extension="1001", contact=PHONE[1:-1], reason="expired")]
    assert registrar.next_deadline() is None
    assert len(registrar) == 0


def test_a_refresh_moves_the_time_and_says_so() -> None:
    registrar = Registrar()
    send(registrar, make_register(PHONE))
    _, outputs = send(registrar, make_register("<SIP:1001@192.0.2.7:5062>"), now=200.0)
    assert [(e.refreshed, e.expires_at) for e in outputs if isinstance(e, Registered)] == [(False, 3800.0)]
    assert isinstance(outputs[0], Unregistered)
    _, outputs = send(registrar, make_register("<SIP:1001@192.0.2.7:5062>"), now=300.0)
    assert [(e.refreshed, e.expires_at) for e in outputs if isinstance(e, Registered)] == [(True, 3900.0)]
    assert len(registrar) == 1


def test_the_same_contact_written_differently_replaces_what_storage_knows() -> None:
    registrar = Registrar()
    send(registrar, make_register("<sip:1001@Host.example>"))
    _, outputs = send(registrar, make_register("<sip:1001@host.EXAMPLE>"))
    assert outputs[0] == Unregistered(extension="1001", contact="sip:1001@Host.example", reason="replaced")
    assert [o.contact for o in outputs if isinstance(o, Registered)] == ["sip:1001@host.EXAMPLE"]


def test_a_new_address_behind_nat_is_a_change_of_the_same_contact() -> None:
    registrar = Registrar()
    send(registrar, make_register(PHONE))
    moved = Flow("udp", "198.51.100.9", 33333, "main")
    _, outputs = send(registrar, make_register(PHONE), flow=moved)
    assert [e.refreshed for e in outputs if isinstance(e, Registered)] == [False]
    assert [binding.flow for binding in registrar.contacts("1001", 100.0)] == [moved]


@pytest.mark.parametrize(
    ("contact", "extra", "expires"),
    [
        (PHONE, "", 3600),
        (PHONE, "Expires: 90", 90),
        (PHONE + ";expires=300", "Expires: 90", 300),
        (PHONE + ";expires=999999999", "", 3600),
        (PHONE + ";expires=soon", "", 3600),
        (PHONE + ";expires=" + "9" * 6000, "", 3600),
    ],
)
def test_expires(contact: str, extra: str, expires: int) -> None:
    reply, _ = send(Registrar(), make_register(contact, extra=extra))
    assert values(reply, "Contact") == [f"{PHONE};expires={expires}"]


@pytest.mark.parametrize(
    ("contact", "flow", "extra", "expires"),
    [
        ("<sip:1001@10.0.0.5>", UDP, "", 90),
        ("<sip:1001@10.0.0.5>;expires=70", UDP, "", 70),
        ("<sip:1001@192.0.2.7>", UDP, "", 3600),
        ("<sip:1001@[2001:db8::1]>", UDP._replace(host="2001:db8::1"), "", 3600),
        ("<sip:1001@10.0.0.5;transport=tcp>", TCP, "", 3600),
        ("<sip:1001@10.0.0.5>", UDP, "Path: <sip:edge.example;lr>", 3600),
    ],
)
def test_phones_behind_nat_come_back_soon(contact: str, flow: Flow, extra: str, expires: int) -> None:
    reply, _ = send(Registrar(), make_register(contact, extra=extra), flow)
    assert values(reply, "Contact")[0].endswith(f";expires={expires}")


def test_too_brief_is_423_with_the_minimum_and_changes_nothing() -> None:
    registrar = Registrar()
    reply, outputs = send(registrar, make_register("<sip:a@192.0.2.7>", PHONE + ";expires=59"))
    assert reply.status == 423
    assert values(reply, "Min-Expires") == ["60"]
    assert outputs == []
    assert len(registrar) == 0


def test_expires_zero_removes_one() -> None:
    registrar = Registrar()
    send(registrar, make_register(PHONE, "<sip:1001@192.0.2.8>"))
    reply, outputs = send(registrar, make_register(PHONE + ";expires=0"))
    assert outputs == [Unregistered(extension="1001", contact=PHONE[1:-1], reason="request")]
    assert len(values(reply, "Contact")) == 1
    assert uris(registrar) == ["sip:1001@192.0.2.8"]


def test_wildcard_removes_all() -> None:
    registrar = Registrar()
    send(registrar, make_register(PHONE, "<sip:1001@192.0.2.8>"))
    reply, outputs = send(registrar, make_register("*", extra="Expires: 0"))
    assert reply.status == 200
    assert values(reply, "Contact") == []
    assert len(outputs) == 2
    assert uris(registrar) == []


@pytest.mark.parametrize(("contacts", "extra"), [(("*",), ""), (("*",), "Expires: 60"), (("*", PHONE), "Expires: 0")])
def test_bad_wildcard_is_400(contacts: tuple[str, ...], extra: str) -> None:
    registrar = Registrar()
    send(registrar, make_register(PHONE))
    reply, outputs = send(registrar, make_register(*contacts, extra=extra))
    assert reply.status == 400
    assert outputs == []
    assert uris(registrar) == [PHONE[1:-1]]


def test_without_contact_it_is_a_query() -> None:
    registrar = Registrar()
    send(registrar, make_register(PHONE + ";q=0.5"))
    reply, outputs = send(registrar, make_register(), now=1100.0)
    assert values(reply, "Contact") == [PHONE + ";expires=2600;q=0.5"]
    assert outputs == []


def test_out_of_order_changes_nothing_but_another_call_id_may() -> None:
    registrar = Registrar()
    send(registrar, make_register(PHONE, call_id="x", cseq=10))
    for late in (make_register(PHONE + ";expires=0", call_id="x", cseq=9),
                 make_register(PHONE, call_id="x", cseq=10),
                 make_register("*", call_id="x", cseq=3, extra="Expires: 0")):  # fmt: skip
        reply, outputs = send(registrar, late)
        assert reply.status == 500
        assert outputs == []
    assert uris(registrar) == [PHONE[1:-1]]
    reply, _ = send(registrar, make_register(PHONE + ";expires=0", call_id="y", cseq=1))
    assert reply.status == 200
    assert uris(registrar) == []


def test_somebody_elses_address_is_403() -> None:
    registrar = Registrar()
    for request, origin in (
        (make_register(PHONE, to="sip:1002@tandem"), ORIGIN),
        (make_register(PHONE), Origin("trunk", "1001")),
    ):
        reply, outputs = send(registrar, request, origin=origin)
        assert reply.status == 403
        assert outputs == []
    assert len(registrar) == 0


@pytest.mark.parametrize(
    "contact",
    [
        "<tel:+861380000>",
        "<http://evil/>",
        "<sip:1001@192.0.2.7>;q=2",
        "<sip:1001@192.0.2.7>;q=nan",
        "<sip:1001@192.0.2.7",
        "<sip:" + "a" * 600 + "@192.0.2.7>",
        '<sip:1001@192.0.2.7>;+sip.instance="a\\"b"',
        "<sip:exa mple@192.0.2.7>",
    ],
)
def test_bad_contact_is_400(contact: str) -> None:
    registrar = Registrar()
    reply, outputs = send(registrar, make_register(contact))
    assert reply.status == 400
    assert outputs == []
    assert len(registrar) == 0


def test_order_is_q_then_newest() -> None:
    registrar = Registrar()
    send(registrar, make_register("<sip:a@h.example>;q=0.2", "<sip:b@h.example>;q=0.9"))
    send(registrar, make_register("<sip:c@h.example>;q=0.9"), now=101.0)
    assert uris(registrar, 102.0) == ["sip:c@h.example", "sip:b@h.example", "sip:a@h.example"]


def test_full_replaces_the_one_not_refreshed_for_longest() -> None:
    registrar = Registrar(max_contacts={"1001": 2})
    for n, host in enumerate("aba"):
        send(registrar, make_register(f"<sip:{host}.example>"), now=100.0 + n)
    _, outputs = send(registrar, make_register("<sip:c.example>"), now=110.0)
    assert Unregistered(extension="1001", contact="sip:b.example", reason="replaced") in outputs
    assert uris(registrar, 110.0) == ["sip:c.example", "sip:a.example"]


def test_full_refuses_where_configured() -> None:
    registrar = Registrar(RegistrarLimits(max_contacts=1, when_full="refuse"))
    send(registrar, make_register("<sip:a.example>"))
    reply, outputs = send(registrar, make_register("<sip:b.example>"))
    assert reply.status == 403
    assert outputs == []
    reply, _ = send(registrar, make_register("<sip:a.example>"))
    assert reply.status == 200
    reply, _ = send(registrar, make_register("<sip:a.example>;expires=0", "<sip:b.example>"))
    assert reply.status == 403


def test_path_is_kept_and_returned_to_those_who_know_it() -> None:
    registrar = Registrar()
    path = "<sip:edge.example;lr>"
    reply, _ = send(registrar, make_register(PHONE, extra=f"Path: {path}\nSupported: path"))
    assert values(reply, "Path") == [path]
    assert registrar.contacts("1001", 100.0)[0].path == (path,)
    reply, _ = send(registrar, make_register(PHONE, extra=f"Path: {path}"))
    assert values(reply, "Path") == []


INSTANCE = ';+sip.instance="<urn:uuid:00000000-0000-1000-8000-000A95A0E128>"'


def test_outbound_instance_and_reg_id_are_one_binding() -> None:
    registrar = Registrar()
    reply, _ = send(registrar, make_register(f"<sip:x@a.invalid;transport=ws>{INSTANCE};reg-id=1"), WS)
    assert values(reply, "Require") == ["outbound"]
    assert values(reply, "Flow-Timer") == ["120"]
    other = WS._replace(connection=9)
    _, outputs = send(registrar, make_register(f"<sip:y@b.invalid;transport=ws>{INSTANCE};reg-id=1"), other)
    assert outputs[0] == Unregistered(extension="1001", contact="sip:x@a.invalid;transport=ws", reason="replaced")
    assert len(outputs) == 2
    send(registrar, make_register(f"<sip:z@c.invalid;transport=ws>{INSTANCE};reg-id=2"), WS)
    assert uris(registrar) == ["sip:y@b.invalid;transport=ws", "sip:z@c.invalid;transport=ws"]
    assert registrar.flow_closed(other, 101.0) == [
        Unregistered(extension="1001", contact="sip:y@b.invalid;transport=ws", reason="flow_closed")
    ]
    assert registrar.flow_closed(other, 101.0) == []


def test_outbound_through_a_plain_proxy_is_an_ordinary_binding() -> None:
    registrar = Registrar()
    extra = "Via: SIP/2.0/UDP 10.0.0.9;branch=z9hG4bK2"
    reply, _ = send(registrar, make_register(f"{PHONE}{INSTANCE};reg-id=1", extra=extra))
    assert values(reply, "Require") == []
    reply, _ = send(registrar, make_register(f"{PHONE}{INSTANCE};reg-id=1", extra=f"{extra}\nPath: <sip:e;lr;ob>"))
    assert values(reply, "Require") == ["outbound"]


def test_a_restarted_phone_replaces_its_own_old_contact() -> None:
    registrar = Registrar()
    send(registrar, make_register(f"<sip:1001@10.0.0.5:1111>{INSTANCE}"))
    _, outputs = send(registrar, make_register(f"<sip:1001@10.0.0.5:2222>{INSTANCE}", call_id="new"))
    assert Unregistered(extension="1001", contact="sip:1001@10.0.0.5:1111", reason="replaced") in outputs
    assert uris(registrar) == ["sip:1001@10.0.0.5:2222"]


def test_closed_connection_keeps_only_what_can_be_connected_to() -> None:
    registrar = Registrar()
    send(registrar, make_register("<sip:1001@192.0.2.7:5062;transport=tcp>"), TCP)
    send(registrar, make_register("<sip:1001@10.0.0.1:5062;transport=tcp>"), TCP)
    outputs = registrar.flow_closed(TCP, 101.0)
    assert [type(output) for output in outputs] == [Unregistered, Registered]
    assert [b.flow for b in registrar.contacts("1001", 101.0)] == [Flow("tcp", "192.0.2.7", 5062, "tcp")]
    assert registrar.flow_closed(TCP, 101.0) == []


def test_behind_a_proxy_its_connection_may_end_and_is_opened_again_where_the_path_says() -> None:
    registrar = Registrar()
    path = "Path: <sip:192.0.2.7:5080;transport=tcp;lr;r2=on>, <sip:203.0.113.1;lr;r2=on>"
    _, registered = send(registrar, make_register(f"{PHONE}{INSTANCE};reg-id=1", extra=path), TCP)
    (event,) = registrar.flow_closed(TCP, 101.0)
    assert isinstance(event, Registered)
    assert event.flow == Flow("tcp", "192.0.2.7", 5080, "tcp")
    assert registrar.flow_closed(event.flow, 102.0) == []
    after_restart = Registrar()
    assert after_restart.restore([item for item in registered if isinstance(item, Registered)], 103.0) == []
    assert [binding.flow for binding in after_restart.contacts("1001", 103.0)] == [event.flow]


def test_bindings_survive_a_restart() -> None:
    registrar = Registrar()
    _, first = send(registrar, make_register(f"{PHONE}{INSTANCE};q=0.7;expires=100", call_id="k", cseq=5))
    _, second = send(registrar, make_register("<sip:web@x.invalid;transport=ws>"), WS)
    _, third = send(registrar, make_register("<sip:1001@192.0.2.9>;expires=60"))
    events = [event for event in (*first, *second, *third) if isinstance(event, Registered)]
    fresh = Registrar()
    dropped = fresh.restore(events, 161.0)
    assert dropped == [
        Unregistered(extension="1001", contact="sip:web@x.invalid;transport=ws", reason="flow_closed"),
        Unregistered(extension="1001", contact="sip:1001@192.0.2.9", reason="expired"),
    ]
    (binding,) = fresh.contacts("1001", 161.0)
    assert binding.to_event() == events[0]
    reply, _ = send(fresh, make_register(PHONE, call_id="k", cseq=5), now=161.0)
    assert reply.status == 500
    assert len(fresh.expire(200.0)) == 1


def test_forget_drops_a_deleted_extension() -> None:
    registrar = Registrar()
    send(registrar, make_register(PHONE, "<sip:1001@192.0.2.8>"))
    assert len(registrar.forget("1001")) == 2
    assert registrar.forget("1001") == []
    assert registrar.next_deadline() is None


def test_peers_are_known_while_somebody_is_registered_from_there() -> None:
    registrar = Registrar()
    send(registrar, make_register("<sip:1001@10.0.0.1>", "<sip:1001@10.0.0.2>"))
    assert registrar.knows_peer(UDP)
    assert not registrar.knows_peer(UDP._replace(port=5063))
    send(registrar, make_register("<sip:1001@10.0.0.1>;expires=0"))
    assert registrar.knows_peer(UDP)
    registrar.expire(100_000.0)
    assert not registrar.knows_peer(UDP)
    send(registrar, make_register("<sip:1001@192.0.2.7:5062;transport=tcp>"), TCP)
    registrar.flow_closed(TCP, 101.0)
    assert registrar.knows_peer(Flow("tcp", "192.0.2.7", 5062))
    assert not registrar.knows_peer(TCP)


@pytest.mark.bench
def test_a_hundred_thousand_phones_fit_in_half_a_gigabyte() -> None:
    """Measured on a sample of them: 5 KB each would be the limit, 2 KB are allowed here."""
    registrar, count = Registrar(), 1000

    def register(n: int) -> None:
        extension, flow = f"9{n:05}", Flow("udp", f"10.0.{n >> 8}.{n & 255}", 5060, "main")
        contact = f'<sip:{extension}@{flow.host}:5060>;+sip.instance="<urn:uuid:{n:032x}>"'
        request = make_register(contact, call_id=f"{n:032x}@{flow.host}", to=f"sip:{extension}@tandem")
        reply, _ = send(registrar, request, flow, origin=Origin("extension", extension))
        assert reply.status == 200

    register(count)
    tracemalloc.start()
    try:
        for n in range(count):
            register(n)
        # The parser keeps the last addresses of whoever; that is bounded and no cost of a binding.
        parse_uri.cache_clear()
        used = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert len(registrar) == count + 1
    assert used / count < 2048
