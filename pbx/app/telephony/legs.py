"""What is done with one leg: open, ring, answer, change, hang up; and what its phone does by itself."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

import msgspec

from pbx.app.exchange import CallOver
from pbx.app.sessions.dial import Target
from pbx.app.sessions.talk import Talk
from pbx.app.telephony import digits
from pbx.call import negotiation
from pbx.call.model import Call, Leg
from pbx.core.destination import HANGUP_CAUSES
from pbx.events import catalogue as facts
from pbx.sdp import Agreed
from pbx.sip import commands, events
from pbx.sip.commands import Credentials, Flow

if TYPE_CHECKING:
    from pbx.app.exchange import Exchange

Failure = tuple[int, int, str]
"""SIP status, Q.850 cause, reason."""
UNREACHABLE: Failure = (480, 20, "not registered")
BUSY: Failure = (486, 17, "busy")
NO_GATEWAY: Failure = (503, 34, "no media gateway")
_QUALITY_MEMORY = 10_000


class Launch(msgspec.Struct, frozen=True, kw_only=True):
    """An INVITE that waits for its media port."""

    uri: str
    flow: Flow
    route: tuple[str, ...] = ()
    from_uri: str
    from_name: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    credentials: Credentials | None = None
    alternatives: tuple[Flow, ...] = ()
    timeout: float = 60.0
    late_offer: bool = False


class LegControl:
    def __init__(self, ex: Exchange) -> None:
        self._ex = ex
        self._launches: dict[str, Launch] = {}
        self._ended: OrderedDict[str, tuple[str, str]] = OrderedDict()
        """(call, device) of legs that ended, for their last media report."""

    # --- outgoing ---------------------------------------------------------------------------------------------

    def dial(
        self, call: Call, target: Target, *, timeout: float, agent: str = "", offer: str = ""
    ) -> tuple[list[str], Failure | None]:
        """Ring ``target``: one leg per registered phone, or one to a trunk. Returns the legs, or why there is none."""
        if call.id in self._ex.ending:
            return [], NO_GATEWAY
        launches = self._ex.router.launches(call, target, timeout)
        if not isinstance(launches, list):
            return [], launches
        legs = []
        for launch in launches:
            leg = self.create(call, target.device, "out", target.number, agent=agent, offer=offer)
            self._launches[leg.id] = launch
            self._ex.media.open(call, leg)
            legs.append(leg.id)
        return legs, None

    def create(
        self,
        call: Call,
        device: str,
        direction: str,
        number: str,
        *,
        id: str = "",
        agent: str = "",
        offer: str = "",
        name: str = "",
    ) -> Leg:
        leg = Leg(
            id=id or self._ex.ids.token("leg-"),
            call=call.id,
            device=device,
            direction=direction,  # type: ignore[arg-type]
            number=number,
            name=name,
            agent=agent,
            offer=offer,
            started_at=self._ex.wall,
            sdp_id=int(self._ex.ids.token(), 16) >> 2,
        )
        call.legs[leg.id] = leg
        self._ex.leg_calls[leg.id] = call.id
        self._ex.device_legs.add(device, leg.id)
        self._ex.agents.leg_started(call, leg)
        return leg

    def opened(self, call: Call, leg: Leg) -> None:
        """The gateway has a port for ``leg``."""
        if leg.state == "connected":
            self._reopened(call, leg)
            return
        if leg.direction == "in":
            leg.state = "offered"
            self._ex.router.begin(call, leg)
            return
        launch = self._launches.pop(leg.id)
        leg.state = "dialing"
        leg.peer = launch.flow.host
        leg.address = self._ex.settings.media_address(leg.address, leg.peer)
        if not launch.late_offer:
            leg.local_sdp = self._make_offer(leg, self._preferred(call, leg))
        quirks = self._ex.settings.quirks_of(leg.device)
        self._ex.log(facts.Originated(call=call.id, leg=leg.id, device=leg.device, called=leg.number, agent=leg.agent))
        self._ex.sip(
            commands.Invite(
                leg=leg.id,
                uri=launch.uri,
                flow=launch.flow,
                alternatives=launch.alternatives,
                route=launch.route,
                from_uri=launch.from_uri,
                from_name=launch.from_name,
                sdp=leg.local_sdp or None,
                headers=launch.headers,
                credentials=launch.credentials,
                timeout=launch.timeout,
                # A call that came in with its last hop is refused by the stack: there is always one to take off.
                max_forwards=call.max_forwards - 1 if call.max_forwards else self._ex.settings.max_forwards,
                session_id=call.session_id,
                reliable=quirks.reliable_provisional,
                update=quirks.update,
            )
        )

    def not_opened(self, call: Call, leg: Leg, reason: str) -> None:
        """The gateway refused a port."""
        self._launches.pop(leg.id, None)
        self._ex.note("error", "no media port", call.id, reason=reason)
        if leg.direction == "in":
            self._ex.end_call(call, status=503, cause=34, reason="no media port")
            return
        owner = self._ex.owner(call, leg.id)
        self._finish(call, leg)
        self._ex.log(
            facts.Failed(
                call=call.id, leg=leg.id, device=leg.device, status=503, cause=34, reason=reason, agent=leg.agent
            )
        )
        if owner is not None:
            owner.media_failed(self._ex, call, leg)

    def _preferred(self, call: Call, leg: Leg) -> str:
        """The codec that lets this leg be relayed without transcoding."""
        for other in call.legs.values():
            if other is not leg and other.state != "ended":
                if other.codec:
                    return other.codec
                if other.direction == "in" and other.remote_sdp:
                    return negotiation.first_codec(other.remote_sdp)
        return ""

    # --- what outgoing legs report ----------------------------------------------------------------------------

    def ringing(self, call: Call, leg: Leg, event: events.Ringing) -> None:
        if event.sdp:
            self._take_answer(call, leg, event.sdp)
        owner = self._ex.owner(call, leg.id)
        if owner is not None:
            owner.ringing(self._ex, call, leg, event)

    def answered(self, call: Call, leg: Leg, event: events.Answered) -> None:
        if event.sdp is None and leg.configured is None:
            self._hang_up_silently(call, leg, "answered without a description of its media")
            return
        if event.sdp is not None and not leg.local_sdp:
            if not self._answer_late(call, leg, event.sdp):
                return
        elif event.sdp is not None and not self._take_answer(call, leg, event.sdp):
            return
        self._connected(call, leg)
        self._ex.agents.leg_answered(leg)
        if self._ex.supervision.owns(leg.id):
            self._ex.supervision.answered(call, leg)
            return
        owner = self._ex.owner(call, leg.id)
        if owner is not None:
            owner.answered(self._ex, call, leg)
        else:
            # Answered in the moment it was given up: nobody waits for it.
            self.hangup(leg, cause=16)

    def _answer_late(self, call: Call, leg: Leg, offer: bytes) -> bool:
        """Our INVITE had no offer: the 200 brings it, the ACK our answer."""
        agreed = self._make_answer(leg, offer, self._preferred(call, leg))
        if agreed is None:
            self._hang_up_silently(call, leg, "no codec in common")
            return False
        leg.local_sdp = agreed.sdp
        self._configure(leg, agreed)
        self._ex.sip(commands.Acknowledge(leg=leg.id, sdp=agreed.sdp))
        return True

    def _take_answer(self, call: Call, leg: Leg, sdp: bytes) -> bool:
        if sdp == leg.remote_sdp and leg.configured is not None:
            return True
        agreed = negotiation.read_answer(leg, sdp)
        if agreed is None:
            self._hang_up_silently(call, leg, "unusable answer to our offer")
            return False
        leg.remote_sdp = sdp
        self._configure(leg, agreed)
        self._ex.touch(call)
        return True

    def _hang_up_silently(self, call: Call, leg: Leg, reason: str) -> None:
        self._ex.note("warning", "leg given up", call.id, leg=leg.id, reason=reason)
        self.hangup(leg, status=488, cause=88, reason=reason)

    def _connected(self, call: Call, leg: Leg) -> None:
        leg.state = "connected"
        leg.answered_at = self._ex.wall
        self._ex.log(facts.Established(call=call.id, leg=leg.id, device=leg.device, agent=leg.agent))
        self._ex.recording.leg_connected(call, leg)
        self._ex.touch(call)

    # --- incoming ---------------------------------------------------------------------------------------------

    def progress(self, leg: Leg, status: int, media_from: Leg | None = None) -> None:
        """Tell the caller that it rings; with ``media_from`` he hears its early media (RFC 3960)."""
        if leg.direction != "in" or leg.state not in ("offered", "alerting"):
            return
        if media_from is not None and leg.remote_sdp:
            if not leg.answer_sent and not self._negotiate(leg, media_from.codec):
                return
            leg.state = "alerting"
            quirks = self._ex.settings.quirks_of(leg.device)
            self._ex.sip(
                commands.Progress(leg=leg.id, status=183, sdp=leg.local_sdp, reliable=quirks.reliable_provisional)
            )
        elif leg.state == "offered":
            leg.state = "alerting"
            self._ex.sip(commands.Progress(leg=leg.id, status=status))

    def answer(self, leg: Leg, media_from: Leg | None = None) -> None:
        """Answer an incoming leg; does nothing where that is done. The codec of ``media_from`` is preferred."""
        if leg.direction != "in" or leg.state not in ("offered", "alerting"):
            return
        call = self._ex.calls[leg.call]
        if leg.remote_sdp is None:
            leg.local_sdp = self._make_offer(leg, media_from.codec if media_from else "")
        elif not leg.answer_sent and not self._negotiate(leg, media_from.codec if media_from else ""):
            return
        update = self._ex.settings.quirks_of(leg.device).update
        self._ex.sip(commands.Accept(leg=leg.id, sdp=leg.local_sdp, update=update))
        if not call.answered_at:
            call.answered_at = self._ex.wall
        self._connected(call, leg)

    def _negotiate(self, leg: Leg, prefer: str) -> bool:
        call = self._ex.calls[leg.call]
        assert leg.remote_sdp is not None
        agreed = self._make_answer(leg, leg.remote_sdp, prefer)
        if agreed is None:
            self._ex.end_call(call, status=488, cause=88, reason="no codec in common", outcome="client")
            return False
        leg.local_sdp, leg.answer_sent = agreed.sdp, True
        self._configure(leg, agreed)
        return True

    # --- descriptions -----------------------------------------------------------------------------------------

    def _make_offer(self, leg: Leg, prefer: str) -> bytes:
        return negotiation.make_offer(leg, self._ex.settings.media_of(leg.device), prefer, self._ex.make_key)

    def _make_answer(self, leg: Leg, offer: bytes, prefer: str) -> Agreed | None:
        return negotiation.answer(leg, offer, self._ex.settings.media_of(leg.device), prefer, self._ex.make_key)

    def _configure(self, leg: Leg, agreed: Agreed) -> None:
        choice, settings = self._ex.settings.media_of(leg.device), self._ex.settings
        command = self._ex.media.next_id()
        self._ex.media.configure(leg, negotiation.configure(leg, agreed, command, choice, settings))
        self._ex.recording.leg_configured(self._ex.calls[leg.call], leg)

    def acknowledged(self, call: Call, leg: Leg, event: events.Acknowledged) -> None:
        if event.sdp is not None:
            self._take_answer(call, leg, event.sdp)

    def establish(self, leg: Leg, media_from: list[Leg]) -> None:
        """``leg`` enters a conversation: it is answered if it was not, and whatever plays on it stops."""
        self.answer(leg, media_from[0] if media_from else None)
        self._ex.stop_play(leg)
        leg.waiting = ""

    # --- changes while it lives -------------------------------------------------------------------------------

    def reoffered(self, call: Call, leg: Leg, event: events.Reoffered) -> None:
        """re-INVITE from the phone: hold, retrieve, a new address or codec."""
        if event.sdp is None:
            leg.sdp_version += 1
            leg.local_sdp = self._make_offer(leg, leg.codec)
            self._ex.sip(commands.AnswerReoffer(leg=leg.id, sdp=leg.local_sdp))
            return
        leg.sdp_version += 1
        agreed = self._make_answer(leg, event.sdp, leg.codec)
        if agreed is None:
            leg.sdp_version -= 1
            self._ex.sip(commands.RefuseReoffer(leg=leg.id, status=488))
            return
        leg.remote_sdp, leg.local_sdp = event.sdp, agreed.sdp
        self._configure(leg, agreed)
        self._ex.sip(commands.AnswerReoffer(leg=leg.id, sdp=agreed.sdp))
        self._set_held(call, leg, agreed.is_held)

    def _set_held(self, call: Call, leg: Leg, held: bool) -> None:
        if held != leg.held:
            leg.held = held
            fact = facts.Held if held else facts.Retrieved
            self._ex.log(fact(call=call.id, leg=leg.id, device=leg.device, agent=leg.agent))
        self._ex.touch(call)

    def reoffer_answered(self, call: Call, leg: Leg, event: events.ReofferAnswered) -> None:
        if event.sdp is not None:
            self._take_answer(call, leg, event.sdp)

    def anchor_again(self, gateway: str) -> None:
        """The gateway was restarted: every leg gets a new port there and its peer a re-INVITE."""
        for call in self._ex.calls.values():
            if call.gateway != gateway:
                continue
            call.bridge = ()
            self._ex.recording.gateway_lost(call)
            for leg in call.live():
                leg.configured, leg.background = None, ""
                self._ex.media.open(call, leg)

    def _reopened(self, call: Call, leg: Leg) -> None:
        """A connected leg has a port on its restarted gateway."""
        leg.sdp_version += 1
        leg.local_sdp = self._make_offer(leg, "")
        self._ex.sip(commands.Reoffer(leg=leg.id, sdp=leg.local_sdp))

    def silent(self, call: Call, leg: Leg, silent_ms: int) -> None:
        """No packet for a while. A phone on hold may be silent; one in conversation that vanished is hung up."""
        if leg.held or leg.timed_out or leg.state != "connected":
            return
        leg.timed_out = True
        self._ex.log(facts.MediaLost(call=call.id, leg=leg.id, device=leg.device, silent_ms=silent_ms))
        self.hangup(leg, cause=27, reason="no audio from the phone")

    def digit(self, call: Call, leg: Leg, digit: str, *, by_info: bool = False) -> None:
        sessions = self._ex.sessions.get(call.id)
        if not sessions:
            return
        session = self._ex.owner(call, leg.id) or sessions[-1]
        if isinstance(session, Talk):
            digits.carry(self._ex, call, session, leg, digit, by_info=by_info)
        session.digit(self._ex, call, leg, digit)

    # --- endings ----------------------------------------------------------------------------------------------

    def hangup(self, leg: Leg, *, status: int = 480, cause: int = 16, reason: str = "") -> None:
        """End ``leg`` whatever its state; its end is reported as any other."""
        if leg.state == "ended":
            return
        if leg.state == "opening" and leg.direction == "out":
            # Nothing was sent yet: it ends here.
            self._launches.pop(leg.id, None)
            self._ex.inbox.append(events.Ended(leg=leg.id, by="local", status=487, cause=cause, reason=reason))
            return
        self._ex.sip(commands.Hangup(leg=leg.id, status=status, cause=cause, reason=reason))

    def hangup_word(self, leg: Leg, word: str) -> None:
        status, cause = HANGUP_CAUSES[word]
        self.hangup(leg, status=status, cause=cause)

    def ended(self, call: Call, leg: Leg, event: events.Ended) -> None:
        """The SIP side of ``leg`` is over."""
        if leg.state == "ended":
            return
        ex = self._ex
        answered = leg.state == "connected"
        owner = ex.owner(call, leg.id)
        self._finish(call, leg)
        if leg.direction == "out" and not answered:
            ex.log(
                facts.Failed(
                    call=call.id,
                    leg=leg.id,
                    device=leg.device,
                    status=event.status,
                    cause=event.cause,
                    reason=event.reason,
                    agent=leg.agent,
                )
            )
        else:
            ex.log(
                facts.ConnectionCleared(
                    call=call.id,
                    leg=leg.id,
                    device=leg.device,
                    by=event.by,
                    cause=event.cause,
                    reason=event.reason,
                    agent=leg.agent,
                )
            )
        if call.id not in ex.ending:
            if owner is not None:
                owner.ended(ex, call, leg, event)
            elif leg.id == call.anchor:
                self._anchor_left(call, event)
        ex.touch(call)
        if call.id in ex.calls and not call.live():
            ex.end_call(call, cause=event.cause, reason=event.reason)
            ex.inbox.append(CallOver(call.id))

    def _anchor_left(self, call: Call, event: events.Ended) -> None:
        """The one that was being served is gone while it waited, listened to a flow or heard it ring."""
        ex = self._ex
        waiting = ex.top(call)
        stage = waiting.describe().get("stage", "") if waiting else ""
        abandoned = stage in ("queue", "ringing") and not call.talked_at
        if abandoned:
            call.abandoned = True
        ex.end_call(
            call,
            status=event.status or 487,
            cause=event.cause,
            reason=event.reason or f"left by {call.legs[call.anchor].device}",
            outcome="abandoned" if abandoned else "",
        )

    def _finish(self, call: Call, leg: Leg) -> None:
        ex = self._ex
        leg.state = "ended"
        leg.player, leg.playing, leg.background = "", None, ""
        call.talkers = [talker for talker in call.talkers if talker != leg.id]
        ex.device_legs.remove(leg.device, leg.id)
        ex.recording.leg_ended(call, leg)
        ex.media.close(leg)
        ex.agents.leg_ended(call, leg)
        ex.supervision.leg_ended(call, leg)
        self._ended[leg.id] = (call.id, leg.device)
        if len(self._ended) > _QUALITY_MEMORY:
            self._ended.popitem(last=False)

    def forget(self, call: Call, leg: Leg) -> None:
        """A leg whose SIP side does not exist any more: close what is left of it."""
        self._finish(call, leg)

    def take_quality(self, leg: str) -> tuple[str, str] | None:
        """(call, device) a leg that ended belonged to; asked once, for its last media report."""
        found = self._ex.find(leg)
        if found is not None:
            self._ended.pop(leg, None)
            return found[0].id, found[1].device
        return self._ended.pop(leg, None)
