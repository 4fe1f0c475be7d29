"""Proof of who calls: the Identity headers of calls from trunks are judged before the calls are routed (STIR).

A call whose certificate has to be fetched waits for it; the shell answers within its time limit, or at once from its
cache. What came of it is call data (``stir``, ``stir_attestation``, ``stir_origin``, ``stir_reason``), so that flows,
desktops and call records see it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pbx.app.outputs import FetchCertificate
from pbx.call.numbers import rewrite
from pbx.config.model import Trunk
from pbx.sip.events import IncomingCall
from pbx.sip.passport import Passport, judge_passport, read_passport
from pbx.sip.stir_chain import Chain, StirFault, read_certificates
from pbx.sip.wire import PeerFault, get_user, parse_name_addr, parse_uri

if TYPE_CHECKING:
    from pbx.app.exchange import Exchange

MAX_WAITING = 1000
"""Calls that wait for certificates."""
_PHRASES = {
    403: "Stale Date",
    428: "Use Identity Header",
    436: "Bad Identity Info",
    437: "Unsupported Credential",
    438: "Invalid Identity Header",
}


class CallerProof:
    def __init__(self, ex: Exchange) -> None:
        self._ex = ex
        self._waiting: dict[str, dict[str, tuple[IncomingCall, Passport]]] = {}
        """Calls by the certificate they wait for, by leg."""
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def incoming(self, event: IncomingCall) -> None:
        """A new call: route it now, or once its certificate is here."""
        trunk = self._ex.settings.configuration.trunks.get(event.origin.name)
        if event.origin.kind != "trunk" or trunk is None or trunk.stir == "ignore":
            self._ex.router.incoming(event)
            return
        try:
            passport = read_passport(event.request.headers.getlist("Identity"))
            if passport is None:
                self._finish(event, trunk, None, StirFault(428, "no Identity header"))
                return
            self._wait(event, passport)
        except StirFault as fault:
            self._finish(event, trunk, None, fault)

    def _wait(self, event: IncomingCall, passport: Passport) -> None:
        if self._count >= MAX_WAITING:
            raise StirFault(436, "too many calls wait for certificates")
        waiting = self._waiting.get(passport.url)
        if waiting is None:
            waiting = self._waiting[passport.url] = {}
            self._ex.out.append(FetchCertificate(passport.url))
        waiting[event.leg] = (event, passport)
        self._count += 1

    def ended(self, leg: str) -> None:
        """``leg`` is over; where its caller waited here, there is nothing to route any more."""
        for waiting in self._waiting.values():
            if waiting.pop(leg, None) is not None:
                self._count -= 1
                return

    def fetched(self, url: str, pem: bytes, failure: str) -> None:
        """What is at ``url``, or why there is nothing."""
        waiting = self._waiting.pop(url, {})
        self._count -= len(waiting)
        for event, passport in waiting.values():
            trunk = self._ex.settings.configuration.trunks.get(event.origin.name)
            if trunk is None:
                self._ex.router.incoming(event)
                continue
            fault: StirFault | None = None
            try:
                if failure:
                    raise StirFault(436, failure)
                self._judge(event, passport, trunk, pem)
            except StirFault as found:
                fault = found
            self._finish(event, trunk, passport, fault)

    def _judge(self, event: IncomingCall, passport: Passport, trunk: Trunk, pem: bytes) -> None:
        """Raises ``StirFault``."""
        ex = self._ex
        settings = ex.settings
        # Whoever signed looked at To; the Request-URI is where it was sent on to since (RFC 8224 section 6.2).
        called = (event.called, _read_to(event))
        judge_passport(
            passport,
            Chain(read_certificates(pem), settings.stir_authorities),
            caller=rewrite(ex.router.read_caller(event, trunk), trunk.numbers_in, settings.country),
            called=[rewrite(number, trunk.numbers_in, settings.country) for number in called if number],
            wall=ex.wall,
            max_age=settings.configuration.sip.stir.max_age,
        )

    def _finish(self, event: IncomingCall, trunk: Trunk, passport: Passport | None, fault: StirFault | None) -> None:
        if fault is not None and trunk.stir == "refuse":
            self._ex.router.refuse(event, fault.status, 21, fault.reason, phrase=_PHRASES[fault.status])
            return
        if fault is not None:
            absent = fault.status == 428
            data = {"stir": "none"} if absent else {"stir": "failed", "stir_reason": fault.reason}
        else:
            assert passport is not None
            data = {"stir": "passed", "stir_attestation": passport.attestation, "stir_origin": passport.origin}
        self._ex.router.incoming(event, {name: value for name, value in data.items() if value})


def _read_to(event: IncomingCall) -> str:
    try:
        return get_user(parse_uri(parse_name_addr(event.request.headers["To"]).uri))
    except (PeerFault, ValueError):
        return ""
