"""Corners of the edge that the stories in the other files pass by."""

from __future__ import annotations

import ipaddress

import pytest
from sipmessage import URI, Request

from pbx.core.ids import SeededIds
from pbx.sip.auth import DigestAuthenticator, answer_challenge, make_account
from pbx.sip.bindings import reroute
from pbx.sip.capture import write_pcap
from pbx.sip.commands import Credentials, Flow
from pbx.sip.digest import compute_response, quote
from pbx.sip.events import Origin, Registered, Unregistered
from pbx.sip.identity import Listener, LocalIdentity
from pbx.sip.ladder import LadderEntry
from pbx.sip.policy import Challenged, Rejected
from pbx.sip.registrar import Registrar
from pbx.sip.stun import answer_binding
from pbx.sip.trunk_spec import RegistrationSpec, TrunkSpec
from pbx.sip.trunks import Trunks

FLOW = Flow("udp", "192.0.2.7", 5060)


def test_an_authenticator_needs_a_real_key_and_known_algorithms() -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        DigestAuthenticator({}, b"short")
    with pytest.raises(ValueError, match="algorithms"):
        DigestAuthenticator({}, b"k" * 16, algorithms=("CRC-32",))


@pytest.mark.parametrize("nonce", ["", "n", "é", "AAAA", "A" * 36, "%%%"])
@pytest.mark.parametrize("nc", ["00000001", "0000000g", "00000000"])
def test_foreign_nonces_and_odd_counts_never_raise(nonce: str, nc: str) -> None:
    server = DigestAuthenticator({"1": make_account("1", "t", "p", Origin("extension", "1"))}, b"k" * 16)
    request = Request("REGISTER", URI.parse("sip:t"))
    request.headers.add(
        "Authorization",
        f'Digest username="1", realm="t", nonce={quote(nonce)}, uri="sip:t", response="x", '
        f'qop=auth, nc={nc}, cnonce="c"',
    )
    assert isinstance(server.authenticate(request, "t", FLOW, 1.0), Challenged | Rejected)


def test_sha_512_256_is_known_to_the_client() -> None:
    from sipmessage import Response

    response = Response(401, "")
    response.headers.add("WWW-Authenticate", 'Digest realm="r", nonce="n", algorithm=SHA-512-256')
    header = answer_challenge(response, "REGISTER", "sip:r", Credentials("u", "p"), {}, "c")
    assert header is not None
    assert "algorithm=SHA-512-256" in header[1]
    assert len(compute_response("SHA-512-256", "00", "REGISTER", "sip:r", "n")) == 64


def test_stun_tells_the_address_masked_as_the_rfc_says() -> None:
    transaction = bytes(range(12))
    packet = b"\0\1\0\0\x21\x12\xa4\x42" + transaction
    answer = answer_binding(packet, "192.0.2.7", 5060)
    assert answer is not None
    assert answer[:20] == b"\1\1\0\x0c\x21\x12\xa4\x42" + transaction
    assert answer[20:24] == b"\0\x20\0\x08"
    masked = int.from_bytes(answer[28:32], "big") ^ 0x2112A442
    assert str(ipaddress.IPv4Address(masked)) == "192.0.2.7"
    v6 = answer_binding(packet, "fe80::1%eth0", 5060)
    assert v6 is not None
    key = b"\x21\x12\xa4\x42" + transaction
    assert bytes(a ^ b for a, b in zip(v6[28:], key, strict=True)) == ipaddress.IPv6Address("fe80::1").packed
    assert answer_binding(b"\0\1\0\x04\x21\x12\xa4\x42" + transaction, "192.0.2.7", 1) is None
    assert answer_binding(b"\1\1\0\0\x21\x12\xa4\x42" + transaction, "192.0.2.7", 1) is None


def test_a_contact_that_is_no_uri_cannot_be_reached_another_way() -> None:
    assert reroute(Flow("tcp", "192.0.2.7", 1, "", 5), "sip:%%%", 0) is None
    assert reroute(Flow("tls", "192.0.2.7", 1, "", 5), "sip:a@192.0.2.7", 0) == Flow("tls", "192.0.2.7", 5061, "")


def test_a_stored_binding_that_is_broken_is_dropped() -> None:
    broken = Registered(
        extension="1", contact="mailto:x", flow=FLOW, path=(), expires_at=100.0, call_id="c", cseq=1, user_agent="x"
    )
    registrar = Registrar()
    assert registrar.restore([broken], 1.0) == [Unregistered(extension="1", contact="mailto:x", reason="expired")]
    assert len(registrar) == 0


def test_a_capture_of_odd_addresses_is_still_a_capture() -> None:
    entries = [
        LadderEntry(1.0, "in", Flow("udp", "no address", 99_999), ("::", 5060), b"x"),
        LadderEntry(-5.0, "out", Flow("udp", "2001:db8::1%eth0", 5060), ("192.0.2.1", 5060), b"odd"),
    ]
    assert len(write_pcap(entries, 0.0)) == 24 + 16 + 29 + 16 + 51


def test_registering_without_an_address_fails_and_tries_again() -> None:
    local = LocalIdentity((Listener("udp", "udp", "192.0.2.1", 5060),))
    trunks = Trunks(SeededIds(1), local)
    spec = TrunkSpec(
        name="c",
        host="sip.example.com",
        health_interval=10.0,
        registration=RegistrationSpec(domain="sip.example.com", username="u"),
    )
    trunks.configure([spec], 0.0)
    assert trunks.stop(1.0) == []
    assert trunks.configure([], 2.0) == []
