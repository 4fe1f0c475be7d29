"""Listening to a caller for a flow: the gateway cuts out what he says, a recogniser says what it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

from media import protocol as media
from pbx.app.outputs import Recognise
from pbx.app.sessions.flow import FlowSession
from pbx.call.model import Call
from pbx.ivr import messages as ivr

if TYPE_CHECKING:
    from pbx.app.exchange import Exchange


class Listening:
    def __init__(self, ex: Exchange) -> None:
        self._ex = ex

    def start(self, call: Call, session: FlowSession, asked: ivr.Listen) -> None:
        ex = self._ex
        leg = call.legs[session.anchor]
        if leg.configured is None:
            ex.flows.later(call, session, ivr.Recognised(request=asked.request, failure="the leg has no audio"))
            return
        session.listening = asked
        ex.media.send(
            leg.gateway,
            media.StartListening(
                id=ex.media.next_id(),
                leg=leg.id,
                listening=_name(session, asked.request),
                pause_ms=int(asked.pause * 1000),
                max_ms=int(asked.most * 1000),
            ),
        )

    def stop(self, call: Call, session: FlowSession, request: str) -> None:
        """No effect where the flow listens for something else, or for nothing."""
        if session.listening is None or session.listening.request != request:
            return
        session.listening = None
        ex, leg = self._ex, call.legs[session.anchor]
        name = _name(session, request)
        ex.media.send(leg.gateway, media.StopListening(id=ex.media.next_id(), leg=leg.id, listening=name))

    def heard(self, call: Call, event: media.SpeechStarted | media.UtteranceHeard) -> None:
        """Something was said on the leg of a flow."""
        ex = self._ex
        session = self._find(call, event.listening)
        asked = session.listening if session is not None else None
        if session is None or asked is None or event.listening != _name(session, asked.request):
            return
        if isinstance(event, media.SpeechStarted):
            ex.flows.feed(call, session, ivr.SpeechStarted(request=asked.request))
            return
        session.listening = None
        if not event.samples:
            ex.flows.feed(call, session, ivr.Recognised(request=asked.request, confidence=0.0))
            return
        ex.out.append(
            Recognise((call.id, asked.request), asked.language, asked.phrases, asked.digits, event.rate, event.samples)
        )

    def refused(self, call: Call, name: str, reason: str) -> None:
        """The gateway cannot listen."""
        session = self._find(call, name)
        if session is not None:
            self._ex.flows.feed(call, session, ivr.Recognised(request=name.partition("/")[2], failure=reason))

    def _find(self, call: Call, name: str) -> FlowSession | None:
        session = self._ex.find_session(call, name.partition("/")[0])
        return session if isinstance(session, FlowSession) else None


def _name(session: FlowSession, request: str) -> str:
    """Of a listening: tells whose it is when the gateway speaks of it."""
    return f"{session.sid}/{request}"
