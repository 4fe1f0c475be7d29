"""Reading messages and values at the edge."""

import time

import pytest

from pbx.sip.bodies import find_part, has_foreign_body, read_sdp
from pbx.sip.causes import get_cause, read_cause, read_reason_text
from pbx.sip.commands import Flow
from pbx.sip.dialog import read_contact
from pbx.sip.endpoint import flow_of
from pbx.sip.wire import (
    HeaderTable,
    Packet,
    PeerFault,
    parse_name_addr,
    parse_packet,
    parse_params,
    parse_uri,
    parse_via,
    read_packet,
    split_list,
    split_uri_headers,
)
from pbx.sip.writer import get_reason, stamp_via
from tests.unit.sip.peer import FLOW, Peer

HEAD = (
    b"OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx\r\n"
    b"From: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\nCall-ID: x\r\nCSeq: 1 OPTIONS\r\n"
)


def packet(extra: bytes = b"", body: bytes = b"", flow: Flow = FLOW) -> Packet:
    return parse_packet(HEAD + extra + b"\r\n" + body, flow)


@pytest.mark.parametrize(
    ("text", "name", "uri", "params"),
    [
        ("<sip:a@b>", "", "sip:a@b", {}),
        ("sip:a@b;tag=x", "", "sip:a@b", {"tag": "x"}),
        ('"A \\" <B>" <sip:a@b;lr> ; tag = "q\\"x" ;Flag', 'A " <B>', "sip:a@b;lr", {"tag": 'q"x', "flag": ""}),
        ("Two Words<tel:+49>", "Two Words", "tel:+49", {}),
    ],
)
def test_name_addr(text: str, name: str, uri: str, params: dict[str, str]) -> None:
    assert parse_name_addr(text) == (name, uri, params)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<sip:a@b",
        '"open <sip:a@b>',
        '"x" y <sip:a@b>',
        'x "y <sip:a@b>',
        "<sip:a@b> tag=1",
        "sip:a@b?Route=x",
        "sip:a@b,sip:c@d",
        "no-scheme",
        "< sip:a@b>",
        "<sip:a@b>;=x",
        "<sip:a@b>;;",
        '<sip:a@b>;x="',
    ],
)
def test_bad_name_addr(text: str) -> None:
    with pytest.raises(PeerFault) as fault:
        parse_name_addr(text)
    assert fault.value.status == 400


def test_lists_split_outside_quotes_and_brackets() -> None:
    assert split_list(['"a, b" <sip:x,y@z>, <sip:c@d>;p="1,2"', "sip:e@f,"]) == [
        '"a, b" <sip:x,y@z>',
        '<sip:c@d>;p="1,2"',
        "sip:e@f",
    ]


def test_params_take_the_first_of_two() -> None:
    assert parse_params(";a=1;A=2;b") == {"a": "1", "b": ""}
    with pytest.raises(PeerFault):
        parse_params("x;a=1")
    with pytest.raises(PeerFault):
        parse_params(' ;"')


@pytest.mark.parametrize(
    ("text", "user", "host", "port"),
    [
        ("sip:a%20b:pw@h.example:5070;transport=tcp", "a b", "h.example", 5070),
        ("SIP:x@h", "x", "h", None),
        ("sip:*21#100@my_host7", "*21#100", "my_host7", None),
        ("sip:u@sbc1;lr;x=%20", "u", "sbc1", None),
        ("sips:[2001:db8::1]:5061", None, "[2001:db8::1]", 5061),
        ("sip:a@b?Replaces=x", "a", "b", None),
        ("sip:h?Subject=x", None, "h", None),
        ("tel:+4930123;phone-context=x", "+4930123", "", None),
    ],
)
def test_uris(text: str, user: str | None, host: str, port: int | None) -> None:
    uri = parse_uri(text)
    assert (uri.user, uri.host, uri.port) == (user, host, port)


@pytest.mark.parametrize(
    "text", ["", "sip:", "http://x", "sip:a b@c", "sip:a@b:port", "sip:a@" + "h" * 3000, "tel:" + "1" * 200]
)
def test_bad_uris(text: str) -> None:
    with pytest.raises(ValueError):
        parse_uri(text)


def test_uri_headers_come_off_behind_the_host() -> None:
    assert split_uri_headers("sip:a?b@c?x=y&z") == ("sip:a?b@c", "x=y&z")
    assert split_uri_headers("sip:c?x=y") == ("sip:c", "x=y")
    assert split_uri_headers("sip:a@c") == ("sip:a@c", "")


def test_via() -> None:
    via = parse_via('SIP / 2.0 / tls  [2001:db8::1] : 5061 ; branch = z9hG4bKa ;x="a,b", SIP/2.0/UDP h')
    assert (via.transport, via.host, via.port, via.params["branch"], via.params["x"]) == (
        "TLS",
        "[2001:db8::1]",
        5061,
        "z9hG4bKa",
        "a,b",
    )
    assert via.rest.startswith(",")
    for bad in ("SIP/2.0/UDP", "SIP/1.0/UDP h", "SIP/2.0/UDP h:70000", "SIP/2.0/UDP h:0", "SIP/2.0/UDP h;;"):
        with pytest.raises(PeerFault):
            parse_via(bad)


def test_received_replaces_what_the_peer_claims() -> None:
    seen = parse_packet(
        HEAD.replace(b"192.0.2.1;branch", b"10.0.0.1;received=1.2.3.4;rport;branch") + b"\r\n",
        Flow("udp", "203.0.113.5", 4444),
    )
    assert stamp_via(seen) == "SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKx;received=203.0.113.5;rport=4444"


def test_second_via_value_of_a_line_is_kept() -> None:
    seen = parse_packet(HEAD.replace(b"bKx\r\n", b"bKx, SIP/2.0/TCP next\r\n") + b"\r\n", Flow("udp", "203.0.113.5", 1))
    assert stamp_via(seen) == "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx;received=203.0.113.5, SIP/2.0/TCP next"


def test_bad_via_is_answered_as_it_stands() -> None:
    seen, fault = read_packet(HEAD.replace(b"UDP 192.0.2.1", b"UDP ???") + b"\r\n", FLOW)
    assert seen is not None and fault is not None and fault.status == 400
    assert stamp_via(seen) == "SIP/2.0/UDP ???;branch=z9hG4bKx"


def test_header_table_is_what_sipmessage_expects() -> None:
    table = HeaderTable()
    table.add("X-A", "1")
    table.add("x-a", "2")
    table.set("Y", "3")
    table.setlist("y", ["4", "5"])
    assert (table["X-a"], table.get("none"), table.get("none", "d")) == ("1", None, "d")
    assert (table.getlist("X-A"), table.getlist("none"), table.keys()) == (["1", "2"], [], ["X-A", "Y"])
    assert str(table) == "X-A: 1\r\nX-A: 2\r\nY: 4\r\nY: 5\r\n\r\n"
    table.remove("x-a")
    table.remove("x-a")
    assert table.keys() == ["Y"]
    with pytest.raises(KeyError):
        table["x-a"]


def test_typed_accessors_of_sipmessage_work_on_our_messages() -> None:
    seen = packet(b"Contact: <sip:c@d>, <sip:e@f>\r\nMax-Forwards: 7\r\n")
    assert [str(address.uri) for address in seen.request.contact] == ["sip:c@d", "sip:e@f"]
    assert seen.request.max_forwards == 7 and seen.request.cseq.sequence == 1


@pytest.mark.parametrize(
    ("old", "new", "status", "reason"),
    [
        (b"To: <sip:a@b>\r\n", b"", 400, "Missing To"),
        (b"Call-ID: x", b"Call-ID: a b", 400, "Bad Call-ID"),
        (b"Call-ID: x\r\n", b"Call-ID: x\r\ni: y\r\n", 400, "Repeated Call-ID"),
        (b"CSeq: 1 OPTIONS", b"CSeq: 1", 400, "Bad CSeq"),
        (b"CSeq: 1 OPTIONS\r\n", b"", 400, "Missing CSeq"),
        (b"CSeq: 1 ", b"CSeq: 4294967296 ", 400, "CSeq Out Of Range"),
        (b"Call-ID", b"Call ID", 400, "Bad Header"),
        (b"sip:a@b SIP", b"sip:a@b:99x SIP", 400, "Bad Request-URI"),
        (b"sip:a@b SIP", b"sip:a@" + b"b" * 5000 + b" SIP", 414, "Request-URI Too Long"),
        (b"SIP/2.0\r\nVia", b"SIP/3.0\r\nVia", 505, "Version Not Supported"),
        (b"From: <sip:a@b>", b"From: \xff\xfe <sip:a@b>", 400, "Bad Encoding"),
    ],
)
def test_faults_say_what_to_answer(old: bytes, new: bytes, status: int, reason: str) -> None:
    assert old in HEAD
    with pytest.raises(PeerFault) as fault:
        parse_packet(HEAD.replace(old, new, 1) + b"\r\n", FLOW)
    assert (fault.value.status, fault.value.reason) == (status, reason)


@pytest.mark.parametrize("data", [b"", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"SIP/2.0 99 Low\r\n\r\n", b"x" * 70_000])
def test_hopeless_packets(data: bytes) -> None:
    seen, fault = read_packet(data, FLOW)
    assert seen is None and fault is not None and fault.status in (0, 400)


def test_streams_need_a_content_length_and_datagrams_do_not() -> None:
    assert packet(body=b"xyz").body == b"xyz"
    with pytest.raises(PeerFault, match="Content-Length"):
        packet(flow=Flow("tcp", "192.0.2.1", 1))
    assert packet(b"Content-Length: 2\r\n", b"xyz").body == b"xy"


def test_no_message_takes_long_to_read() -> None:
    """Patterns that would make a backtracking expression take seconds."""
    start = time.process_time()
    for name in ("Via", "From", "Contact", "Reason", "X"):
        for part in ('"', "<", ";", "a-", "a.", "1 ", "SIP/2.0/", "Q.850 "):
            data = HEAD + f"{name}: {(part * 60000)[:60000]}\r\n\r\n".encode()
            seen, _ = read_packet(data, FLOW)
            if seen is not None:
                read_cause(seen.headers.getlist("reason"))
                read_contact(seen)
    for prefix in ("sip:", "tel:", "sip:u@", "sip:h;"):
        for part in ("a", "1", "1.", "a-", "%41", ":"):
            try:
                parse_uri(prefix + part * 20_000 + "\x01")
            except ValueError:
                continue
    assert time.process_time() - start < 5.0


def test_contact_that_cannot_be_used() -> None:
    assert read_contact(packet(b"Contact: *\r\n")) == ""
    assert read_contact(packet()) == ""
    assert read_contact(packet(b"Contact: <tel:+49>\r\n")) == ""
    assert read_contact(packet(b"Contact: <sip:x\r\n")) == ""
    assert read_contact(packet(b"Contact: <sip:x@y>, <sip:z@y>\r\n")) == "sip:x@y"


@pytest.mark.parametrize(
    ("uri", "flow"),
    [
        ("sip:h", Flow("udp", "h", 5060)),
        ("sips:h", Flow("tls", "h", 5061)),
        ("sip:h;transport=TCP", Flow("tcp", "h", 5060)),
        ("sip:h;transport=ws", Flow("ws", "h", 80)),
        ("sip:h;transport=wss", Flow("wss", "h", 443)),
        ("sip:[2001:db8::1]:99;transport=sctp", Flow("udp", "2001:db8::1", 99)),
    ],
)
def test_flow_of_a_uri(uri: str, flow: Flow) -> None:
    assert flow_of(parse_uri(uri)) == flow


def test_flow_keeps_the_listener_of_the_same_transport() -> None:
    current = Flow("udp", "old", 1, "main", 0)
    assert flow_of(parse_uri("sip:h"), current).listener == "main"
    assert flow_of(parse_uri("sip:h;transport=tcp"), current).listener == ""


def test_causes() -> None:
    assert (get_cause(200), get_cause(486), get_cause(499)) == (16, 17, 31)
    assert read_cause(["SIP;cause=200", "q.850 ; cause=42"], 503) == 42
    assert read_cause(["Q.850;cause=999"], 404) == 1
    assert read_reason_text(["Q.850;cause=1", 'SIP;cause=2;text="a \\"b\\""']) == 'a \\"b\\"'
    assert read_reason_text([]) == ""


def test_phrases() -> None:
    assert (get_reason(486), get_reason(499), get_reason(799)) == ("Busy Here", "Bad Request", "Error")


def body_packet(kind: bytes, body: bytes, extra: bytes = b"") -> Packet:
    return packet(b"Content-Type: " + kind + b"\r\n" + extra, body)


def test_bodies() -> None:
    assert read_sdp(packet()) is None and not has_foreign_body(packet())
    assert read_sdp(packet(body=b"v=0")) == b"v=0", "no type is taken for SDP, as RFC 2543 senders do"
    assert read_sdp(body_packet(b"Application/SDP; charset=x", b"v=0")) == b"v=0"
    assert read_sdp(body_packet(b"text/plain", b"v=0")) is None
    assert has_foreign_body(body_packet(b"text/plain", b"x"))
    assert not has_foreign_body(body_packet(b"text/plain", b"x", b"Content-Disposition: x; handling=optional\r\n"))
    assert has_foreign_body(body_packet(b"application/sdp", b"x", b"Content-Encoding: gzip\r\n"))


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/mixed", b"--b\r\n\r\nx\r\n--b--"),
        ("multipart/mixed;boundary=b", b"no parts"),
        ("multipart/mixed;boundary=b", b"--b\r\nbroken\r\n--b--"),
        (
            "multipart/mixed;boundary=b",
            b"--b\r\nContent-Type: text/plain\r\n\r\nx\r\n--b--\r\nc: application/sdp\r\n\r\ny",
        ),
        ("multipart/mixed;boundary=b", b"--b\r\nContent-Type: multipart/x;boundary=c\r\n\r\n--c\r\n\r\nx\r\n--b--"),
    ],
)
def test_multiparts_without_sdp(kind: str, body: bytes) -> None:
    assert find_part(kind, body, "application/sdp") is None


def test_multipart_with_sdp_and_compact_type() -> None:
    body = b"--b\r\nc: application/sdp\r\n\r\nv=0\r\n\r\n--b--"
    assert find_part('multipart/mixed; boundary="b"', body, "application/sdp") == b"v=0\r\n"


def test_rubbish_with_a_sip_shape_gets_one_answer() -> None:
    peer = Peer()
    outputs = peer.receive(HEAD.replace(b"CSeq: 1 OPTIONS", b"CSeq: 1 INVITE") + b"\r\n")
    assert len(outputs) == 2 and peer.lines() == ["400 INVITE"]
