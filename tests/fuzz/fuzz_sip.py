"""Coverage-guided fuzzing of everything that parses SIP and SDP, by atheris.

    pip install atheris && python -m tests.fuzz.fuzz_sip -max_total_time=600

Seeds are the RFC 4475 and RFC 5118 messages and whole conversations. The invariant is one sentence: whatever arrives,
the stack answers or drops it and what it sends can be read; SDP is read or refused with ``SdpError``. A crash is
written to a file in the current folder; put it into ``REGRESSIONS`` once it is fixed.
"""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
from pathlib import Path

from pbx import sdp
from pbx.sip.commands import Accept, Hangup
from pbx.sip.events import IncomingCall, Transmit
from pbx.sip.wire import PeerFault, parse_name_addr, parse_uri, parse_via, read_packet, split_list
from tests.unit.sip.peer import ANSWER, FLOW, OFFER, Peer
from tests.vectors.sip_torture import RFC4475, RFC5118

REGRESSIONS: tuple[bytes, ...] = ()


def fuzz_one(data: bytes) -> None:
    """First byte: which parser. The rest: what it is given."""
    if not data:
        return
    kind, rest = data[0] % 4, data[1:]
    if kind == 0:
        fuzz_packets(rest)
    elif kind == 1:
        fuzz_sdp(rest)
    elif kind == 2:
        fuzz_values(rest.decode("utf-8", "replace"))
    else:
        fuzz_conversation(rest)


def fuzz_packets(data: bytes) -> None:
    """One datagram into a fresh stack."""
    for output in Peer().stack.receive(data, FLOW, 0.0):
        if isinstance(output, Transmit):
            packet, fault = read_packet(output.data, FLOW)
            assert packet is not None, output.data
            assert fault is None or fault.status == 0, (fault.reason, output.data)


def fuzz_sdp(data: bytes) -> None:
    """An offer, answered."""
    try:
        session = sdp.parse(data)
        formats = (sdp.Format("PCMU", 0), sdp.Format("OPUS", 96, 48000, 2))
        agreed = sdp.answer_offer(session, "192.0.2.2", 4000, formats, session=sdp.SessionId(1, 1))
    except (sdp.SdpError, sdp.NegotiationError):
        return
    assert len(sdp.parse(agreed.sdp).media) == len(session.media)


def fuzz_values(text: str) -> None:
    """Header values on their own."""
    for parse in (parse_name_addr, parse_via, lambda value: split_list([value])):
        try:
            parse(text)
        except PeerFault as fault:
            assert fault.status == 400
    try:
        str(parse_uri(text))
    except ValueError:
        return


def fuzz_conversation(data: bytes) -> None:
    """Several datagrams, cut at NUL NUL, into a stack with a call in progress."""
    peer = Peer()
    leg = peer.call_in("Supported: 100rel, timer")
    peer.command(Accept(leg=leg, sdp=ANSWER))
    peer.ack()
    for piece in data.split(b"\0\0")[:8]:
        for output in peer.stack.receive(piece.replace(b"@TAG@", peer.to_tag.encode()), FLOW, peer.now):
            if isinstance(output, IncomingCall):
                peer.stack.command(Hangup(leg=output.leg), peer.now)
    peer.stack.command(Hangup(leg=leg), peer.now)
    while (deadline := peer.stack.next_deadline()) is not None:
        peer.now = max(peer.now, deadline.at)
        peer.stack.expire(peer.now)
    assert not any(peer.stack.live().values()), peer.stack.live()


def list_seeds() -> list[bytes]:
    """Inputs to begin with, each with the byte that says what it is for."""
    messages = [case.data for case in RFC4475 + RFC5118]
    peer = Peer()
    peer.to_tag = "@TAG@"
    inside = [
        peer.request("INVITE", body=OFFER + b"a=sendonly\r\n"),
        peer.request("UPDATE", "Session-Expires: 300;refresher=uac"),
        peer.request("REFER", "Refer-To: <sip:300@192.0.2.2?Replaces=a%3Bto-tag%3Db%3Bfrom-tag%3Dc>"),
        peer.request("INFO", body=b"Signal=5\r\nDuration=100\r\n", content_type="application/dtmf-relay"),
        peer.request("NOTIFY", "Event: refer", body=b"SIP/2.0 200 OK", content_type="message/sipfrag"),
        peer.request("BYE", 'Reason: Q.850;cause=16;text="x"'),
    ]
    seeds = [b"\0" + message for message in messages]
    seeds += [b"\1" + OFFER, b"\1" + ANSWER + b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + b"A" * 40 + b"\r\n"]
    seeds += [b"\2" + b'"A \\" B" <sip:a%20b@[2001:db8::1]:5060;lr?x=y>;tag=1', b"\2SIP/2.0/UDP h:1;branch=z9hG4bKx"]
    seeds += [b"\3" + message for message in inside] + [b"\3" + b"\0\0".join(inside)]
    return [*seeds, *REGRESSIONS]


def main() -> None:
    # The fuzzer is not needed to import the targets, and has no place in the other tests' environment.
    atheris = importlib.import_module("atheris")
    with tempfile.TemporaryDirectory() as folder:
        for number, seed in enumerate(list_seeds()):
            Path(folder, f"seed{number:03}").write_bytes(seed)
        atheris.instrument_all()
        atheris.Setup(
            [*sys.argv, "-max_len=6000", "-timeout=5", folder, *os.environ.get("CORPUS", "").split()], fuzz_one
        )
        atheris.Fuzz()


if __name__ == "__main__":
    main()
