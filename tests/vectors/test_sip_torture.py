"""RFC 4475 and RFC 5118 through the whole stack, and what becomes of good messages that are cut or bent."""

import re

import pytest
from sipmessage import Request

from pbx import sdp
from pbx.core.ids import SeededIds
from pbx.sip.commands import Flow
from pbx.sip.events import Dropped, IncomingCall, Origin, Output, Transmit
from pbx.sip.identity import Listener, LocalIdentity
from pbx.sip.policy import Trusted
from pbx.sip.registrar import Registrar
from pbx.sip.stack import Stack
from pbx.sip.wire import parse_name_addr, parse_uri
from tests.vectors.sip_torture import RFC4475, RFC5118, Case

FLOW = Flow("udp", "192.0.2.1", 5060, "udp")
CASES = RFC4475 + RFC5118
VALID = [case for case in CASES if case.outcome in (200, 202, "call", "stray")]


class TrustEverybody:
    def identify(self, request: Request, flow: Flow) -> Trusted:
        try:
            name = parse_uri(parse_name_addr(request.headers["To"]).uri).user or ""
        except ValueError:
            name = ""
        return Trusted(Origin("extension", name))


def make_stack() -> Stack:
    local = LocalIdentity(listeners=(Listener("udp", "udp", "192.0.2.2", 5060),))
    return Stack(TrustEverybody(), local, SeededIds(1), registrar=Registrar())


def answers(outputs: list[Output]) -> list[int]:
    return [int(output.data[8:11]) for output in outputs if isinstance(output, Transmit)]


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_outcome(case: Case) -> None:
    stack = make_stack()
    outputs = stack.receive(case.data, FLOW, 0.0)
    calls = [output for output in outputs if isinstance(output, IncomingCall)]
    reasons = [output.reason for output in outputs if isinstance(output, Dropped)]
    if isinstance(case.outcome, int):
        assert answers(outputs)[-1] == case.outcome
        assert not calls
    elif case.outcome == "call":
        assert answers(outputs) == [100] and len(calls) == 1 and calls[0].sdp
    elif case.outcome == "stray":
        assert not answers(outputs) and reasons == ["stray response"]
    else:
        assert not answers(outputs) and reasons and reasons != ["stray response"]
    text = b"".join(output.data for output in outputs if isinstance(output, Transmit)).decode()
    assert case.contains in text


def test_all_cases_of_both_documents_are_here() -> None:
    names = {case.name for case in RFC4475}
    assert len(names) == 50  # the 49 of the RFC, one of them in two forms
    assert len({case.name for case in RFC5118}) == 11


def test_fields_of_the_white_space_case() -> None:
    """RFC 4475 section 3.1.1.1: every odd form is understood, not just let through."""
    case = next(case for case in CASES if case.name == "wsinv-new")
    outputs = make_stack().receive(case.data, FLOW, 0.0)
    call = next(output for output in outputs if isinstance(output, IncomingCall))
    assert call.called == "vivekg" and call.caller == "jdrosen" and call.caller_name == 'J Rosenberg \\"'
    reply = next(output.data for output in outputs if isinstance(output, Transmit)).decode()
    assert re.search(r"(?m)^CSeq: 0009 +INVITE\r?$", reply)
    assert reply.count("Via:") == 2 and "192.168.255.111" in reply
    assert sdp.parse(call.sdp or b"").media[0].port == 49217


def test_escapes_are_read_once() -> None:
    case = next(case for case in CASES if case.name == "esc01")
    call = next(output for output in make_stack().receive(case.data, FLOW, 0.0) if isinstance(output, IncomingCall))
    # What could break out of a URI that we make of it later stays escaped.
    assert call.called == "sips:user%40example.com" and call.caller == "I%20have%20spaces"


@pytest.mark.parametrize("case", VALID, ids=[case.name for case in VALID])
def test_cut_at_every_byte(case: Case) -> None:
    """No piece of a message is anything but an answer or a drop with a reason, and none is taken for the whole."""
    stack = make_stack()
    step = max(1, len(case.data) // 1500)
    for end in range(0, len(case.data), step):
        outputs = stack.receive(case.data[:end], FLOW, 0.0)
        assert outputs, end
        assert not any(isinstance(output, IncomingCall) for output in outputs) or case.name == "dblreq", end
        for output in outputs:
            assert isinstance(output, Transmit | Dropped) or case.name == "dblreq", output


@pytest.mark.parametrize("case", VALID, ids=[case.name for case in VALID])
@pytest.mark.parametrize("change", ["remove", "repeat", "oversize", "empty"])
def test_every_header_bent(case: Case, change: str) -> None:
    head, _, body = case.data.partition(b"\r\n\r\n")
    lines = re.split(rb"\r\n(?![ \t])", head)
    for index in range(1, len(lines)):
        bent = list(lines)
        name = bent[index].partition(b":")[0]
        if change == "remove":
            del bent[index]
        elif change == "repeat":
            bent.insert(index, bent[index])
        elif change == "oversize":
            bent[index] += b"x" * 70_000
        else:
            bent[index] = name + b":"
        outputs = make_stack().receive(b"\r\n".join(bent) + b"\r\n\r\n" + body, FLOW, 0.0)
        assert outputs
        key = name.strip().lower()
        mandatory = key in (b"from", b"to", b"call-id", b"cseq", b"f", b"t", b"i")
        if mandatory or change == "oversize":
            assert not any(isinstance(output, IncomingCall) for output in outputs), name
            assert all(status >= 400 for status in answers(outputs)), name
