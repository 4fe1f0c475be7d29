"""New offers inside a dialog: re-INVITE (RFC 3261 section 14) and UPDATE (RFC 3311), either way, one at a time."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from .bodies import has_foreign_body, read_sdp
from .dialog import Dialog
from .endpoint import ALLOW_LINE
from .events import Acknowledged, ReofferAnswered, Reoffered, ReofferRefused
from .transactions import Transaction
from .usage_accept import Acceptance
from .usage_timer import read_delta
from .wire import Packet

if TYPE_CHECKING:
    from .leg import Leg

IDLE = "idle"
OFFERING = "offering"
"""A request of ours is out."""
UNACKNOWLEDGED = "unacknowledged"
"""Our re-INVITE without offer was answered; ``Acknowledge`` will bring our answer."""
DECIDING = "deciding"
"""The peer's request waits for AnswerReoffer or RefuseReoffer."""
ACCEPTING = "accepting"
"""Our 2xx to a re-INVITE waits for its ACK."""
MAX_QUEUE = 8
MAX_GLARES = 4
MAX_DECISION = 180.0
"""Seconds for the peer to decide about an offer after its first provisional response."""
MAX_WAIT = 10
"""Seconds of Retry-After that are waited out before the switch is told."""


def read_retry_after(packet: Packet) -> int:
    """Seconds of Retry-After; -1 where there is none."""
    value = packet.header("Retry-After").partition("(")[0].partition(";")[0].strip()
    return int(value) if value.isascii() and value.isdigit() and len(value) < 9 else -1


REFRESH = "refresh"
REOFFER = "reoffer"


class Modification:
    """The running exchange of one leg, and those that wait for it."""

    __slots__ = (
        "_acceptance",
        "_attempts",
        "_current",
        "_glares",
        "_is_backing_off",
        "_leg",
        "_min_se",
        "_nonce_counts",
        "_peer_offered",
        "_queue",
        "_tx",
        "state",
    )

    def __init__(self, leg: Leg) -> None:
        self._leg = leg
        self.state = IDLE
        self._queue: deque[tuple[str, bytes | None]] = deque()
        self._current: tuple[str, bytes | None] | None = None
        self._tx: Transaction | None = None
        self._acceptance: Acceptance | None = None
        self._attempts = 0
        self._min_se = 0
        self._nonce_counts: dict[str, int] = {}
        self._glares = 0
        self._is_backing_off = False
        self._peer_offered = True
        """The peer's request that is being decided carried an offer."""

    # --- ours ---------------------------------------------------------------------------------------------------

    def request(self, sdp: bytes | None) -> None:
        """Command ``Reoffer``."""
        if len(self._queue) >= MAX_QUEUE:
            self._leg.endpoint.emit(ReofferRefused(leg=self._leg.id, status=500))
            return
        self._queue.append((REOFFER, sdp))
        self.resume()

    def refresh(self) -> None:
        """The session timer wants a refresh; any exchange already under way will do."""
        if self.state == IDLE and not self._queue:
            self._queue.append((REFRESH, self._leg.local_sdp))
            self.resume()

    def resume(self) -> None:
        """Start what waits, if nothing is in its way."""
        if self.state != IDLE or self._is_backing_off or not self._queue:
            return
        if not self._leg.is_confirmed and not self._can_update_early():
            return
        self._current = self._queue.popleft()
        self._attempts = 0
        self._nonce_counts = {}
        self._send("")

    def _can_update_early(self) -> bool:
        leg = self._leg
        complete = leg.local_sdp is not None and leg.remote_sdp is not None and bool(leg.dialog.remote_tag)
        return complete and leg.may_update and leg.phase == "early" and self._queue[0][1] is not None

    def _send(self, proof: str) -> None:
        leg, endpoint = self._leg, self._leg.endpoint
        assert self._current is not None
        kind, sdp = self._current
        update = not leg.is_confirmed or (kind == REFRESH and leg.may_update)
        if kind == REFRESH and update:
            sdp = None
        timer = leg.session.offer(self._min_se)
        headers = (
            f"{endpoint.get_contact_line(leg.dialog.flow)}{ALLOW_LINE}Supported: timer, replaces\r\n{timer}{proof}"
        )
        self.state = OFFERING
        if sdp is not None:
            leg.local_sdp = sdp
        method = "UPDATE" if update else "INVITE"
        self._tx = endpoint.request(leg.dialog, method, self._on_answer, headers, sdp or b"", leg=leg.id)

    def _on_answer(self, tx: Transaction, packet: Packet | None, failure: str) -> None:
        leg = self._leg
        if packet is None:
            if not leg.is_over and tx is self._tx:
                self._on_silence(tx, failure)
            return
        status = packet.status
        if status < 200:
            # An INVITE that was answered provisionally may wait for ever (section 17.1.1); this one may not.
            wait = leg.endpoint.transactions.timing.limit if leg.is_over else MAX_DECISION
            leg.endpoint.transactions.set_timer(tx, "B", wait)
            return
        if tx.ack:
            leg.endpoint.transactions.transmit(leg.dialog.flow, tx.ack, leg.id, "retransmission")
        elif leg.is_over:
            if tx.method == "INVITE" and status < 300:
                self._send_ack(tx, b"")
        elif tx is self._tx and self.state == OFFERING:
            if status < 300:
                self._on_success(tx, packet)
            else:
                self._on_failure(tx, packet)

    def _on_silence(self, tx: Transaction, failure: str) -> None:
        """No answer ends the call (section 12.2.1.2, as a 408); a lost connection only refuses the offer (a 503)."""
        assert self._current is not None
        kind, _ = self._current
        self._finish()
        if failure == "timeout":
            self._leg.break_off("timeout", 102, f"{tx.method}: no answer")
            return
        if kind == REOFFER:
            self._leg.endpoint.emit(ReofferRefused(leg=self._leg.id, status=503))
        self.resume()

    def _on_success(self, tx: Transaction, packet: Packet) -> None:
        leg = self._leg
        assert self._current is not None
        kind, sdp = self._current
        self._glares = 0
        leg.dialog.refresh_target(packet)
        if leg.endpoint.settings.symmetric:
            leg.dialog.flow = packet.flow
        leg.read_allow(packet)
        body = read_sdp(packet)
        if body is not None:
            leg.remote_sdp = body
        leg.session.take_answer(packet)
        if leg.is_confirmed:
            leg.session.start()
        if tx.method == "INVITE" and sdp is None:
            # Our answer to the offer in this 2xx comes with the command Acknowledge.
            self.state = UNACKNOWLEDGED
        else:
            if tx.method == "INVITE":
                self._send_ack(tx, b"")
            self._finish()
        if kind == REOFFER:
            leg.endpoint.emit(ReofferAnswered(leg=leg.id, sdp=body))
        self.resume()

    def _on_failure(self, tx: Transaction, packet: Packet) -> None:
        leg = self._leg
        assert self._current is not None
        kind, _ = self._current
        status = packet.status
        self._attempts += 1
        delay = self._read_delay(packet)
        if delay is not None and self._glares < MAX_GLARES:
            self._glares += 1
            self._queue.appendleft(self._current)
            self._is_backing_off = True
            self._finish()
            leg.endpoint.transactions.set_timer(leg, "modify retry", round(delay, 2))
            return
        if status in (401, 407) and self._attempts <= 2:
            proof = leg.endpoint.answer(packet, tx.method, leg.dialog.target, leg.credentials, self._nonce_counts)
            if proof:
                self._send(proof)
                return
        if status == 422 and self._attempts == 1:
            self._min_se = read_delta(packet.header("Min-SE"))
            self._send("")
            return
        self._finish()
        self._glares = 0
        if status in (408, 481):
            # The dialog is gone at the other end (section 12.2.1.2).
            leg.break_off("remote", 41, f"{tx.method}: {status}")
            return
        if kind == REOFFER:
            leg.endpoint.emit(ReofferRefused(leg=leg.id, status=status))
        elif leg.session.interval:
            # A refused refresh changes nothing; try again before the session expires.
            leg.endpoint.transactions.set_timer(leg, "session refresh", leg.session.interval / 4)
        self.resume()

    def _read_delay(self, packet: Packet) -> float | None:
        """How long to wait before the same offer is sent again; None: it was refused for good."""
        uniform = self._leg.endpoint.ids.uniform
        if packet.status == 491:
            # Section 14.1: the owner of the Call-ID waits longer, so that the two do not collide again.
            return uniform(2.1, 4.0) if self._leg.owns_call_id else uniform(0.0, 2.0)
        if packet.status == 500 and 0 <= (seconds := read_retry_after(packet)) <= MAX_WAIT:
            # Section 14.2: an INVITE of the peer is still being decided.
            return seconds + uniform(0.0, 0.5)
        return None

    def _finish(self) -> None:
        self.state = IDLE
        self._tx = None
        self._current = None

    def acknowledge(self, sdp: bytes) -> None:
        """Command ``Acknowledge`` for a re-INVITE that carried no offer."""
        if self.state == UNACKNOWLEDGED and self._tx is not None:
            self._leg.local_sdp = sdp
            self._send_ack(self._tx, sdp)
            self._finish()
            self.resume()

    def _send_ack(self, tx: Transaction, sdp: bytes) -> None:
        endpoint, dialog = self._leg.endpoint, self._leg.dialog
        cseq = int(tx.data.partition(b"\r\nCSeq: ")[2].partition(b" ")[0])
        tx.ack = endpoint.build_in_dialog(dialog, "ACK", cseq, endpoint.make_branch(), "", sdp)
        endpoint.transactions.transmit(dialog.flow, tx.ack, self._leg.id)

    # --- the peer's ---------------------------------------------------------------------------------------------

    def on_invite(self, tx: Transaction, packet: Packet, dialog: Dialog) -> None:
        """A re-INVITE arrived."""
        leg, endpoint = self._leg, self._leg.endpoint
        if leg.phase == "accepted":
            leg.assume_ack()
        if not leg.is_confirmed:
            endpoint.respond(tx, 491 if leg.owns_call_id else 500, headers=self._retry_after())
            return
        if self.state == ACCEPTING and self._peer_offered:
            # The ACK is late or lost but the exchange it ends is complete (RFC 5407 section 3.1.4).
            self._end_acceptance()
        if self._refuse_glare(tx):
            return
        if has_foreign_body(packet):
            endpoint.respond(tx, 415, headers="Accept: application/sdp\r\n")
            return
        if leg.session.is_too_small(packet):
            endpoint.respond(tx, 422, headers=f"Min-SE: {endpoint.settings.min_se}\r\n")
            return
        endpoint.respond(tx, 100)
        self._decide(tx, packet, dialog, read_sdp(packet))

    def on_update(self, tx: Transaction, packet: Packet, dialog: Dialog) -> None:
        """An UPDATE arrived: a new offer, or just a session refresh."""
        leg, endpoint = self._leg, self._leg.endpoint
        if leg.session.is_too_small(packet):
            endpoint.respond(tx, 422, headers=f"Min-SE: {endpoint.settings.min_se}\r\n")
            return
        if has_foreign_body(packet):
            endpoint.respond(tx, 415, headers="Accept: application/sdp\r\n")
            return
        sdp = read_sdp(packet)
        if sdp is None:
            dialog.refresh_target(packet)
            timer = leg.session.accept(packet)
            endpoint.respond(tx, 200, headers=self._answer_headers(timer))
            if leg.is_confirmed:
                leg.session.start()
            return
        if leg.phase == "early" and (leg.local_sdp is None or leg.remote_sdp is None):
            # RFC 3311 section 5.2: an offer/answer exchange is still open.
            endpoint.respond(tx, 491 if leg.owns_call_id else 500, headers=self._retry_after())
            return
        if not self._refuse_glare(tx):
            self._decide(tx, packet, dialog, sdp)

    def _refuse_glare(self, tx: Transaction) -> bool:
        if self.state in (OFFERING, UNACKNOWLEDGED):
            self._leg.endpoint.respond(tx, 491)
            return True
        if self.state in (DECIDING, ACCEPTING):
            self._leg.endpoint.respond(tx, 500, headers=self._retry_after())
            return True
        return False

    def _retry_after(self) -> str:
        return f"Retry-After: {round(self._leg.endpoint.ids.uniform(0, 10))}\r\n"

    def _decide(self, tx: Transaction, packet: Packet, dialog: Dialog, sdp: bytes | None) -> None:
        leg = self._leg
        dialog.refresh_target(packet)
        leg.read_allow(packet)
        self.state, self._tx = DECIDING, tx
        tx.handler = self._on_server_event
        self._peer_offered = sdp is not None
        if sdp is not None and sdp == leg.remote_sdp and leg.local_sdp is not None:
            # Nothing changed: a session refresh by re-INVITE (RFC 4028 section 7.4), answered as before.
            self.answer(leg.local_sdp)
            return
        if sdp is not None:
            leg.remote_sdp = sdp
        leg.endpoint.emit(Reoffered(leg=leg.id, sdp=sdp))

    def answer(self, sdp: bytes) -> None:
        """Command ``AnswerReoffer``."""
        tx = self._tx
        if self.state != DECIDING or tx is None or tx.packet is None:
            return
        leg, endpoint = self._leg, self._leg.endpoint
        leg.local_sdp = sdp
        timer = leg.session.accept(tx.packet)
        data = endpoint.respond(tx, 200, headers=self._answer_headers(timer), body=sdp)
        if leg.is_confirmed:
            leg.session.start()
        if tx.method == "INVITE":
            self.state = ACCEPTING
            self._acceptance = Acceptance(endpoint, tx, tx.packet.cseq, data, self._on_ack_lost)
        else:
            self._finish()
            self.resume()

    def refuse(self, status: int) -> None:
        """Command ``RefuseReoffer``."""
        if self.state == DECIDING and self._tx is not None:
            self._leg.endpoint.respond(self._tx, status)
            self._finish()
            self.resume()

    def _answer_headers(self, timer: str) -> str:
        contact = self._leg.endpoint.get_contact_line(self._leg.dialog.flow)
        return f"{contact}{ALLOW_LINE}Supported: timer, replaces\r\n{timer}"

    def _on_server_event(self, tx: Transaction, packet: Packet | None, failure: str) -> None:
        if failure == "cancel":
            if tx is self._tx and self.state == DECIDING:
                self._leg.endpoint.respond(tx, 487)
                self._finish()
                self.resume()
        elif packet is not None:
            self.on_ack(packet)
        elif tx is self._tx and self.state == DECIDING:
            self._finish()

    def on_ack(self, packet: Packet) -> None:
        """The ACK of a 2xx to a re-INVITE."""
        if self._acceptance is None or packet.cseq != self._acceptance.cseq:
            return
        self._end_acceptance()
        sdp = read_sdp(packet)
        if sdp is not None and not self._peer_offered:
            self._leg.remote_sdp = sdp
            self._leg.endpoint.emit(Acknowledged(leg=self._leg.id, sdp=sdp))
        self.resume()

    def _end_acceptance(self) -> None:
        if self._acceptance is not None:
            self._acceptance.stop()
            self._acceptance = None
        if self.state == ACCEPTING:
            self._finish()

    def _on_ack_lost(self) -> None:
        self._end_acceptance()
        self._leg.break_off("timeout", 102, "no ACK")

    # --- both ---------------------------------------------------------------------------------------------------

    def on_timer(self, name: str) -> None:
        """The wait after a 491 is over."""
        self._is_backing_off = False
        self.resume()

    def close(self) -> None:
        """The leg is over: refuse what the peer still waits for, forget what waits here."""
        if self.state == DECIDING and self._tx is not None:
            self._leg.endpoint.respond(self._tx, 487)
        if self._acceptance is not None:
            self._acceptance.stop()
            self._acceptance = None
        transactions = self._leg.endpoint.transactions
        transactions.stop_timer(self._leg, "modify retry")
        if self.state == OFFERING and self._tx is not None and not self._tx.is_done:
            transactions.set_timer(self._tx, "B" if self._tx.method == "INVITE" else "F", transactions.timing.limit)
        self._queue.clear()
        if self.state != UNACKNOWLEDGED:
            self._finish()
        elif self._tx is not None:
            self._send_ack(self._tx, b"")
            self._finish()
