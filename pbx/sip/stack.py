"""The SIP stack as one value: five entry points, each taking the time and returning ordered outputs.

``receive`` takes packets, ``command`` what the switch wants, ``expire`` the time, ``flow_closed`` the end of a
connection; ``next_deadline`` says when to call ``expire``. Registrar, trunk registrations, guard and authentication
are machines of their own behind ``policy``; the façade feeds them and passes their outputs on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sipmessage import Request

from pbx.core.ids import IdSource
from pbx.core.timers import Deadline

from . import commands as c
from . import fsm
from .commands import AnyCommand, Flow
from .endpoint import Endpoint, TextAdmission
from .events import Dropped, Output
from .exchange import Exchange
from .identity import LocalIdentity, Settings
from .incoming import Incoming
from .leg import CONFIRMED, Leg
from .policy import Authenticator, ChallengeAnswerer, Guard, Policy, Registrar, Requester, SendRequest
from .timing import Timing
from .transactions import Transactions
from .usage_subscribe import Admission, Subscriptions
from .usage_uac import OutgoingLeg
from .usage_uas import IncomingLeg
from .wire import Packet, PeerFault, read_packet
from .writer import build_response, get_response_flow


class Stack:
    """Transactions, dialogs and usages of one SIP endpoint. Not re-entrant; never raises for what peers send."""

    def __init__(
        self,
        policy: Policy,
        local: LocalIdentity,
        ids: IdSource,
        timing: Timing | None = None,
        *,
        settings: Settings | None = None,
        authenticator: Authenticator | None = None,
        registrar: Registrar | None = None,
        requester: Requester | None = None,
        guard: Guard | None = None,
        answer_challenge: ChallengeAnswerer | None = None,
    ) -> None:
        self._transactions = Transactions(timing or Timing())
        self._endpoint = Endpoint(self._transactions, local, settings or Settings(), ids, answer_challenge)
        self._subscriptions = Subscriptions(self._endpoint)
        self._exchange = Exchange(self._endpoint)
        self._incoming = Incoming(self._endpoint, self._subscriptions, policy, authenticator, registrar)
        self._registrar = registrar
        self._requester = requester
        self._guard = guard
        self._commands: dict[type, Callable[[Any], None]] = self._list_commands()

    # --- configuration ------------------------------------------------------------------------------------------

    @property
    def draining(self) -> bool:
        """New calls and OPTIONS are answered 503 with Retry-After; calls in progress go on."""
        return self._incoming.draining

    @draining.setter
    def draining(self, value: bool) -> None:
        self._incoming.draining = value

    def configure(self, policy: Policy, local: LocalIdentity) -> None:
        """Take a new policy and identity; calls in progress go on."""
        self._incoming.policy = policy
        self._endpoint.replace_local(local)

    def set_admission(self, admit: Admission) -> None:
        """Who may subscribe to what; by default everybody whom the policy knows, to everything."""
        self._subscriptions.admit = admit

    def set_text_admission(self, admit: TextAdmission) -> None:
        """Whose MESSAGE is delivered to whom; by default all are given to the switch."""
        self._endpoint.admit_text = admit

    # --- entry points -------------------------------------------------------------------------------------------

    def receive(self, packet: bytes, flow: Flow, now: float) -> list[Output]:
        """One datagram, or one message cut from a stream. Never raises."""
        out = self._begin(now)
        if self._guard is not None:
            reason = self._guard.admit(packet, flow, now)
            out.extend(self._guard.drain())
            if reason:
                out.append(Dropped(flow=flow, reason=reason))
                return out
        if not packet.strip(b"\r\n\x00"):
            out.append(Dropped(flow=flow, reason="keep-alive"))
            return out
        message, fault = read_packet(packet, flow)
        if fault is not None:
            self._refuse(message, fault, flow)
        elif message is not None and message.is_request:
            self._receive_request(message)
        elif message is not None:
            self._receive_response(message)
        return self._finish(now)

    def command(self, command: AnyCommand, now: float) -> list[Output]:
        """What the switch wants. Commands for legs that are over, or too late for their state, do nothing."""
        self._begin(now)
        self._commands[type(command)](command)
        return self._finish(now)

    def send_request(self, key: str, request: Request, flow: Flow, now: float) -> list[Output]:
        """A request of ours outside dialogs; the result goes to the ``Requester`` as ``RequestDone``."""
        self._begin(now)
        self._exchange.send(SendRequest(key=key, request=request, flow=flow))
        return self._finish(now)

    def expire(self, now: float) -> list[Output]:
        """Do what is due."""
        self._begin(now)
        timers = self._transactions.timers
        while (due := timers.pop(now)) is not None:
            owner, name = due
            owner.on_timer(name)
        for machine in (self._registrar, self._requester, self._guard):
            if machine is not None:
                self._take(machine.expire(now))
        return self._finish(now)

    def flow_closed(self, flow: Flow, now: float) -> list[Output]:
        """A stream connection is gone: its transactions fail, its dialogs will open another one."""
        self._begin(now)
        self._transactions.fail_flow(flow)
        self._endpoint.note_closed(flow)
        for machine in (self._registrar, self._requester):
            if machine is not None:
                self._take(machine.flow_closed(flow, now))
        return self._finish(now)

    def next_deadline(self) -> Deadline | None:
        """When ``expire`` has something to do, and what."""
        best: Deadline | None = None
        first = self._transactions.timers.peek()
        if first is not None:
            best = Deadline(first[0], f"{type(first[1][0]).__name__} {first[1][1]}")
        for machine in (self._registrar, self._requester, self._guard):
            deadline = machine.next_deadline() if machine is not None else None
            if deadline is not None and (best is None or deadline.at < best.at):
                best = deadline
        return best

    # --- looking in ---------------------------------------------------------------------------------------------

    def leg_ids(self) -> list[str]:
        """Legs whose ``Ended`` has not been given out."""
        return list(self._endpoint.legs)

    def live(self) -> dict[str, int]:
        """What is held, for leak checks: all zero once every call is over and its last timers have fired."""
        return {
            "legs": len(self._endpoint.legs),
            "dialogs": len(self._endpoint.dialogs),
            "client_transactions": len(self._transactions.clients),
            "server_transactions": len(self._transactions.servers),
            "subscriptions": len(self._subscriptions),
            "requests": len(self._exchange),
            "timers": len(self._transactions.timers),
        }

    def get_flow(self, leg: str) -> Flow | None:
        """Where the leg's next request goes."""
        found = self._endpoint.legs.get(leg)
        return found.dialog.flow if found is not None else None

    def get_dialog(self, leg: str) -> tuple[str, str, str] | None:
        """(Call-ID, our tag, the peer's tag) of a leg, as a Replaces header or dialog-info names it (RFC 3891, 4235).

        The peer's tag is empty until it has answered something.
        """
        found = self._endpoint.legs.get(leg)
        return found.get_dialog_key() if found is not None else None

    def export_leg(self, leg: str) -> dict[str, Any] | None:
        """Plain data of a confirmed leg, for a journal; None where there is nothing worth keeping."""
        found = self._endpoint.legs.get(leg)
        return found.to_state() if found is not None and found.phase == CONFIRMED else None

    def import_leg(self, state: dict[str, Any], now: float) -> list[Output]:
        """Take a confirmed leg back after a restart: its session timer starts anew, its CSeq leaves a gap."""
        self._begin(now)
        self._incoming.restore(state)
        return self._finish(now)

    def export_subscription(self, subscription: str) -> dict[str, Any] | None:
        """Plain data of a subscription, for a journal; ``expires_at`` in it is monotonic seconds."""
        return self._subscriptions.export(subscription)

    def import_subscription(self, state: dict[str, Any], now: float) -> bool:
        """Take a subscription back after a restart, ``expires_at`` on the clock of ``now``. False: it cannot be."""
        self._begin(now)
        return self._subscriptions.restore(state)

    # --- inside -------------------------------------------------------------------------------------------------

    def _begin(self, now: float) -> list[Output]:
        self._transactions.now = now
        self._transactions.out = []
        return self._transactions.out

    def _finish(self, now: float) -> list[Output]:
        """Hand finished requests to their owner until it is content."""
        done = self._exchange.done
        while done:
            result = done.pop(0)
            if self._requester is not None:
                self._take(self._requester.request_done(result, now))
        return self._transactions.out

    def _take(self, outputs: Sequence[Output]) -> None:
        for output in outputs:
            if isinstance(output, SendRequest):
                self._exchange.send(output)
            else:
                self._transactions.out.append(output)

    def _refuse(self, packet: Packet | None, fault: PeerFault, flow: Flow) -> None:
        if packet is not None and fault.status:
            data = build_response(packet, fault.status, fault.reason, self._endpoint.ids.token())
            self._transactions.transmit(get_response_flow(packet), data, note="refused")
        self._endpoint.emit(Dropped(flow=flow, reason=fault.reason))

    def _receive_response(self, packet: Packet) -> None:
        tx = self._transactions.find_client(packet)
        if tx is None:
            self._endpoint.emit(Dropped(flow=packet.flow, reason="stray response"))
        elif not self._transactions.receive_response(tx, packet):
            self._endpoint.emit(Dropped(flow=packet.flow, reason="repeated response", leg=tx.leg))

    def _receive_request(self, packet: Packet) -> None:
        transactions = self._transactions
        if packet.method == "ACK":
            self._receive_ack(packet)
            return
        known = transactions.find_server(packet, packet.method)
        if known is not None:
            transactions.feed(known, fsm.REQUEST, packet)
            return
        if len(transactions.servers) >= self._endpoint.settings.max_transactions:
            self._refuse(packet, PeerFault(503, "Overloaded"), packet.flow)
            return
        tx = transactions.start_server(packet)
        if packet.method == "CANCEL":
            self._incoming.cancel(tx, packet)
        elif packet.to_tag:
            self._incoming.route_in_dialog(tx, packet)
        else:
            self._incoming.route_new(tx, packet)

    def _receive_ack(self, packet: Packet) -> None:
        transactions = self._transactions
        tx = transactions.find_server(packet, "INVITE")
        if tx is not None and transactions.feed(tx, fsm.ACK, packet):
            return
        entry = self._endpoint.dialogs.get((packet.call_id, packet.to_tag, packet.from_tag))
        if entry is None:
            self._endpoint.emit(Dropped(flow=packet.flow, reason="stray ACK"))
        else:
            entry[1].on_ack(packet, entry[0])

    # --- commands -----------------------------------------------------------------------------------------------

    def _list_commands(self) -> dict[type, Callable[[Any], None]]:
        return {
            c.Invite: self._invite,
            c.Progress: lambda command: self._on_incoming(command, IncomingLeg.progress),
            c.Accept: lambda command: self._on_incoming(command, IncomingLeg.accept),
            c.Redirect: lambda command: self._on_incoming(command, IncomingLeg.redirect),
            c.Acknowledge: self._acknowledge,
            c.Hangup: lambda command: self._on_leg(command, lambda leg: leg.hangup(command)),
            c.Reoffer: lambda command: self._on_leg(command, lambda leg: leg.modification.request(command.sdp)),
            c.AnswerReoffer: lambda command: self._on_leg(command, lambda leg: leg.modification.answer(command.sdp)),
            c.RefuseReoffer: lambda command: self._on_leg(command, lambda leg: leg.modification.refuse(command.status)),
            c.SendRefer: lambda command: self._on_leg(
                command, lambda leg: leg.referrals.send(command.target, command.referred_by)
            ),
            c.AnswerRefer: lambda command: self._on_leg(command, lambda leg: leg.referrals.answer(command.status)),
            c.NotifyRefer: lambda command: self._on_leg(command, lambda leg: leg.referrals.notify(command.status)),
            c.RequestAnswer: lambda command: self._on_leg(command, _request_answer),
            c.SendInfo: lambda command: self._on_leg(
                command, lambda leg: leg.send_info(command.content_type, command.body)
            ),
            c.SendNotify: self._subscriptions.notify,
            c.SendMessage: self._exchange.send_message,
        }

    def _on_leg(self, command: Any, action: Callable[[Leg], None]) -> None:
        leg = self._endpoint.legs.get(command.leg)
        if leg is not None:
            action(leg)

    def _on_incoming(self, command: Any, action: Callable[[IncomingLeg, Any], None]) -> None:
        leg = self._endpoint.legs.get(command.leg)
        if isinstance(leg, IncomingLeg):
            action(leg, command)

    def _invite(self, command: c.Invite) -> None:
        if command.leg in self._endpoint.legs:
            raise ValueError(f"leg {command.leg!r} exists already")
        OutgoingLeg(self._endpoint, command)

    def _acknowledge(self, command: c.Acknowledge) -> None:
        leg = self._endpoint.legs.get(command.leg)
        if isinstance(leg, OutgoingLeg):
            leg.acknowledge(command)
        elif leg is not None:
            leg.modification.acknowledge(command.sdp)


def _request_answer(leg: Leg) -> None:
    if isinstance(leg, OutgoingLeg):
        leg.request_answer()
