"""Whatever peers send and whenever: the stack answers or drops, ends every leg once, and keeps nothing."""

from __future__ import annotations

import re

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pbx import sdp
from pbx.sip.commands import (
    Accept,
    Acknowledge,
    AnswerRefer,
    AnswerReoffer,
    AnyCommand,
    Hangup,
    Invite,
    NotifyRefer,
    Progress,
    RefuseReoffer,
    Reoffer,
    SendNotify,
    SendRefer,
)
from pbx.sip.events import Acknowledged, Answered, Dropped, Ended, IncomingCall, Subscribed, Transmit
from pbx.sip.wire import Packet, PeerFault, parse_name_addr, parse_params, parse_uri, parse_via, read_packet, split_list
from tests.unit.sip.peer import ANSWER, FLOW, OFFER, PEER, Peer
from tests.vectors.sip_torture import RFC4475, RFC5118

SEEDS = [case.data for case in RFC4475 + RFC5118]
EXAMPLES = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@EXAMPLES
@given(st.binary(max_size=300))
def test_noise_is_dropped_with_a_reason(data: bytes) -> None:
    outputs = Peer().stack.receive(data, FLOW, 0.0)
    assert outputs and all(isinstance(output, Dropped | Transmit) for output in outputs)


@EXAMPLES
@given(st.sampled_from(SEEDS), st.integers(0, 2000), st.integers(0, 40), st.binary(max_size=30))
def test_damaged_messages_never_raise(data: bytes, at: int, cut: int, insert: bytes) -> None:
    at %= len(data)
    outputs = Peer().stack.receive(data[:at] + insert + data[at + cut :], FLOW, 0.0)
    assert outputs
    for output in outputs:
        if isinstance(output, Transmit):
            packet, fault = read_packet(output.data, FLOW)
            assert packet is not None and not packet.is_request
            assert fault is None or fault.status == 0


@EXAMPLES
@given(st.text(max_size=80))
def test_value_parsers_raise_nothing_but_faults(text: str) -> None:
    for parse in (parse_name_addr, parse_params, parse_via, lambda value: split_list([value])):
        try:
            parse(text)
        except PeerFault as fault:
            assert fault.status == 400
    try:
        parse_uri(text)
    except ValueError:
        pass


@EXAMPLES
@given(st.sampled_from([OFFER, ANSWER]), st.integers(0, 200), st.integers(0, 20), st.binary(max_size=20))
def test_damaged_sdp_is_read_or_refused(data: bytes, at: int, cut: int, insert: bytes) -> None:
    at %= len(data)
    try:
        session = sdp.parse(data[:at] + insert + data[at + cut :])
        agreed = sdp.answer_offer(session, "192.0.2.2", 4000, (sdp.Format("PCMU", 0),), session=sdp.SessionId(1, 1))
    except (sdp.SdpError, sdp.NegotiationError):
        return
    answer = sdp.parse(agreed.sdp)
    assert len(answer.media) == len(session.media)


FORMATS = st.lists(
    st.sampled_from(
        [
            sdp.Format("PCMU", 0),
            sdp.Format("PCMA", 8),
            sdp.Format("G722", 9),
            sdp.Format("OPUS", 96, 48000, 2),
            sdp.Format("L16", 97, 16000),
        ]
    ),
    min_size=1,
    unique=True,
)
DIRECTIONS = st.sampled_from(["sendrecv", "sendonly", "recvonly", "inactive"])


@EXAMPLES
@given(FORMATS, FORMATS, DIRECTIONS, DIRECTIONS, st.booleans())
def test_both_sides_of_a_negotiation_agree(
    theirs: list[sdp.Format], ours: list[sdp.Format], offered: sdp.Direction, wanted: sdp.Direction, single: bool
) -> None:
    """RFC 3264: same codecs on both sides, and directions that mirror each other."""
    session = sdp.SessionId(1, 1)
    offer = sdp.make_offer("192.0.2.1", 4000, tuple(theirs), session=session, direction=offered)
    common = {item.name for item in theirs} & {item.name for item in ours}
    try:
        answerer = sdp.answer_offer(
            sdp.parse(offer), "192.0.2.2", 5000, tuple(ours), session=session, direction=wanted, single=single
        )
    except sdp.NegotiationError:
        assert not common
        return
    offerer = sdp.read_answer(offer, answerer.sdp)
    assert offerer.codecs == answerer.codecs and {item.name for item in answerer.codecs} <= common
    assert (offerer.send, offerer.receive) == (answerer.receive, answerer.send)
    assert offerer.dtmf_payload_type == answerer.dtmf_payload_type == 101
    # An answer may not take more than was offered.
    assert not answerer.send or offered in ("sendrecv", "recvonly")


class Conversation(RuleBasedStateMachine):
    """A peer and a switch that do anything at any time, in a dialog or not."""

    def __init__(self) -> None:
        super().__init__()
        self.peer = Peer()
        self.calls = 0
        self.packets: list[Packet] = []
        self.branches: list[str] = []
        self.dialogs: list[tuple[str, str, str]] = []
        self.rack = "RAck: 1 1 INVITE"

    def _legs(self) -> list[str]:
        return self.peer.stack.leg_ids()

    def _note(self) -> None:
        """Take down what can be answered, and check every message on the way."""
        for packet in self.peer.sent:
            if packet.is_request:
                self.packets.append(packet)
            elif packet.to_tag and packet.method == "INVITE":
                self.dialogs.append((packet.call_id, packet.from_tag, packet.to_tag))
                if packet.header("RSeq"):
                    self.rack = f"RAck: {packet.header('RSeq')} {packet.cseq} INVITE"
        self.peer.sent.clear()

    @rule(late=st.booleans(), rel=st.booleans())
    def peer_calls(self, late: bool, rel: bool) -> None:
        self.calls += 1
        self.peer.call_id, self.peer.tag, self.peer.to_tag = f"call-{self.calls}", f"tag-{self.calls}", ""
        branch = self.peer.branch()
        self.branches.append(branch)
        demand = "Require: 100rel" if late else "Supported: 100rel, timer"
        headers = [demand, "Allow: UPDATE, INVITE"] if rel else []
        self.peer.receive(self.peer.request("INVITE", *headers, body=b"" if late else OFFER, branch=branch))
        self._note()

    @rule(late=st.booleans())
    def we_call(self, late: bool) -> None:
        self.calls += 1
        self.peer.command(
            Invite(
                leg=f"out-{self.calls}",
                uri=f"sip:200@{PEER}",
                flow=FLOW,
                from_uri="sip:100@192.0.2.2",
                sdp=None if late else OFFER,
                timeout=60.0,
            )
        )
        self._note()

    @precondition(lambda self: self._legs())
    @rule(data=st.data())
    def switch_acts(self, data: st.DataObject) -> None:
        leg = data.draw(st.sampled_from(self._legs()))
        choices: list[AnyCommand] = [
            Progress(leg=leg, status=180),
            Progress(leg=leg, status=183, sdp=ANSWER),
            Accept(leg=leg, sdp=ANSWER),
            Acknowledge(leg=leg, sdp=ANSWER),
            Hangup(leg=leg),
            Reoffer(leg=leg, sdp=OFFER + b"a=sendonly\r\n"),
            Reoffer(leg=leg, sdp=None),
            AnswerReoffer(leg=leg, sdp=ANSWER),
            RefuseReoffer(leg=leg),
            SendRefer(leg=leg, target="sip:x@y"),
            AnswerRefer(leg=leg),
            NotifyRefer(leg=leg, status=200),
        ]
        self.peer.command(data.draw(st.sampled_from(choices)))
        self._note()

    @precondition(lambda self: self.packets)
    @rule(data=st.data(), status=st.sampled_from([100, 180, 183, 200, 202, 302, 401, 408, 422, 481, 486, 491, 500]))
    def peer_answers(self, data: st.DataObject, status: int) -> None:
        packet = data.draw(st.sampled_from(self.packets))
        if packet.method == "ACK":
            return
        tag = data.draw(st.sampled_from(["fork-a", "fork-b"]))
        body = ANSWER if packet.method == "INVITE" and 100 < status < 300 else b""
        rel = ["Require: 100rel", "RSeq: 1"] if status == 183 else []
        self.peer.receive(self.peer.response(packet, status, *rel, tag=tag, body=body))
        if packet.method == "INVITE" and status < 300:
            self.dialogs.append((packet.call_id, packet.to_tag or tag, packet.from_tag))
        self._note()

    @precondition(lambda self: self.dialogs)
    @rule(
        data=st.data(),
        method=st.sampled_from(["ACK", "BYE", "INVITE", "UPDATE", "PRACK", "INFO", "REFER", "NOTIFY", "MESSAGE"]),
        cseq=st.integers(1, 30),
        body=st.sampled_from([b"", OFFER, OFFER + b"a=inactive\r\n"]),
    )
    def peer_requests(self, data: st.DataObject, method: str, cseq: int, body: bytes) -> None:
        self.peer.call_id, self.peer.tag, self.peer.to_tag = data.draw(st.sampled_from(self.dialogs))
        headers = {"REFER": ["Refer-To: <sip:300@x>"], "PRACK": [self.rack]}.get(method, [])
        self.peer.receive(self.peer.request(method, *headers, body=body, cseq=cseq))
        self._note()

    @precondition(lambda self: self.branches)
    @rule(data=st.data(), method=st.sampled_from(["CANCEL", "ACK"]))
    def peer_touches_an_invite(self, data: st.DataObject, method: str) -> None:
        self.peer.receive(self.peer.request(method, branch=data.draw(st.sampled_from(self.branches))))
        self._note()

    @rule(number=st.integers(0, 2))
    def peer_subscribes(self, number: int) -> None:
        self.peer.call_id, self.peer.tag, self.peer.to_tag = f"sub-{number}", "watcher", ""
        self.peer.receive(self.peer.request("SUBSCRIBE", "Event: dialog", "Expires: 60"))
        subscribed = [event for event in self.peer.events if isinstance(event, Subscribed)]
        if subscribed:
            self.peer.command(SendNotify(subscription=subscribed[-1].subscription, body=b"x"))
        self._note()

    @rule()
    def network_fails(self) -> None:
        self.peer.take(self.peer.stack.flow_closed(FLOW, self.peer.now))
        self._note()

    @rule(seconds=st.sampled_from([0.1, 0.6, 3.0, 33.0, 100.0]))
    def time_passes(self, seconds: float) -> None:
        self.peer.wait(seconds)
        self._note()

    @invariant()
    def every_leg_ends_at_most_once_and_says_nothing_after(self) -> None:
        ended: set[str] = set()
        for event in self.peer.events:
            leg = "" if isinstance(event, Dropped) else getattr(event, "leg", "")
            assert not leg or leg not in ended, event
            if isinstance(event, Ended):
                ended.add(leg)
        assert ended.isdisjoint(self._legs())

    def teardown(self) -> None:
        for leg in self._legs():
            self.peer.command(Hangup(leg=leg))
        known = {event.leg for event in self.peer.events if isinstance(event, IncomingCall)}
        known |= {event.leg for event in self.peer.events if isinstance(event, Answered | Acknowledged)}
        ended = [event.leg for event in self.peer.events if isinstance(event, Ended)]
        assert known <= set(ended) and len(ended) == len(set(ended))
        self.peer.wait(400.0)
        assert not any(self.peer.stack.live().values()), self.peer.stack.live()


TestConversation = Conversation.TestCase
TestConversation.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


def test_lines_of_the_torture_messages_are_all_read() -> None:
    """The table keeps every value of every header that a naive reading finds."""
    for case in RFC4475:
        packet, _ = read_packet(case.data, FLOW)
        if packet is None or case.name == "multi01":
            continue
        head = re.sub(rb"\r\n[ \t]+", b" ", case.data.partition(b"\r\n\r\n")[0])
        values = [line.partition(b":")[2].strip().decode() for line in head.split(b"\r\n")[1:]]
        found = [value for name in packet.headers.keys() for value in packet.headers.getlist(name)]
        if case.name not in ("mcl01",):
            assert sorted(found) == sorted(values), case.name
