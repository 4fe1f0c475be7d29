"""Where calls go: the first routing of new ones, and the session that serves any destination."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from pbx.app.sessions.base import Session
from pbx.app.sessions.dial import Dial, Round, Target
from pbx.app.sessions.flow import FlowSession
from pbx.app.sessions.queue import Queue
from pbx.app.telephony.outbound import Outbound
from pbx.call import negotiation
from pbx.call.model import Call, Leg
from pbx.call.numbers import rewrite
from pbx.call.routing import CalendarState, External, Feature, Unknown, route_inbound
from pbx.config.model import RingGroup, Trunk
from pbx.core.destination import HANGUP_CAUSES, Destination, parse_destination
from pbx.events import catalogue as facts
from pbx.sip.commands import Hangup
from pbx.sip.events import IncomingCall
from pbx.sip.party import Party, read_party, read_session_id

if TYPE_CHECKING:
    from pbx.app.exchange import Exchange
    from pbx.app.telephony.legs import Failure, Launch


MAX_DATA = 1000
"""Characters kept of a header that becomes call data."""

_NO_PROOF: Mapping[str, str] = {}


class Plan(NamedTuple):
    """The session that leads to a destination."""

    session: Session
    rings: bool
    """True: somebody's phone rings there and may not answer."""


class Router:
    def __init__(self, ex: Exchange) -> None:
        self._ex = ex
        self.outbound = Outbound(ex)
        self._dialled: dict[str, str] = {}
        """What was dialled in new calls whose records hide a part of it."""
        self._turns = math.inf
        """New calls that may begin at once."""
        self._turned = 0.0

    # --- new calls --------------------------------------------------------------------------------------------

    def incoming(self, event: IncomingCall, proof: Mapping[str, str] = _NO_PROOF) -> None:
        """An INVITE from a known origin: refuse it at once, or open its media and then route it. ``proof``: call data
        about who calls."""
        ex = self._ex
        refusal = self._refusal(event)
        if refusal is not None:
            self.refuse(event, *refusal)
            return
        call = self._make_call(event)
        call.data.update(proof)
        longest = ex.settings.configuration.limits.max_call_duration
        if longest:
            ex.timers.set((call.id, "call", ""), ex.now + longest)
        leg = ex.legs.create(
            call, f"{event.origin.kind}:{event.origin.name}", "in", call.caller, id=event.leg, name=event.caller_name
        )
        leg.peer = event.flow.host
        leg.remote_sdp = event.sdp
        call.anchor = leg.id
        ex.log(
            facts.Offered(
                call=call.id,
                leg=leg.id,
                direction=call.direction,
                device=leg.device,
                caller=call.caller,
                called=call.called,
                caller_name=call.caller_name,
                sip_call_id=event.request.call_id,
            )
        )
        if call.data:
            ex.log(facts.CallInformation(call=call.id, data=dict(call.data)))
        if event.replaces:
            ex.transfers.replaced(call, leg, event.replaces)
        ex.media.open(call, leg)

    def refuse(self, event: IncomingCall, status: int, cause: int, reason: str, phrase: str = "") -> None:
        """A new call is not taken; ``reason`` is for records, ``phrase`` for the caller's exchange."""
        ex = self._ex
        ex.note("warning", "call refused", "", caller=event.caller, called=self._conceal(event), reason=reason)
        retry_after = 10 if status == 503 else 0
        ex.sip(Hangup(leg=event.leg, status=status, cause=cause, reason=phrase, retry_after=retry_after))
        self._log_blocked(event, reason)

    @staticmethod
    def read_caller(event: IncomingCall, trunk: Trunk) -> str:
        """The caller's number as the trunk writes it."""
        return _read_party(event, trunk).number

    def _refusal(self, event: IncomingCall) -> Failure | None:
        ex = self._ex
        configuration = ex.settings.configuration
        emergency = event.origin.kind == "extension" and ex.settings.plan.is_emergency(event.called)
        if not emergency and len(ex.calls) >= configuration.limits.max_calls:
            return 503, 42, "too many calls"
        if not self._take_turn() and not emergency:
            return 503, 42, "too many calls a second"
        if not ex.media.choose():
            return 503, 34, "no media gateway"
        if not emergency and ex.recording.blocks(ex.media.choose(), **{event.origin.kind: event.origin.name}):
            return 503, 34, "no disk space for recordings that are required"
        if event.origin.kind == "trunk":
            trunk = configuration.trunks.get(event.origin.name)
            if trunk is None or not trunk.enabled:
                return 403, 21, "trunk disabled"
            if trunk.max_calls and ex.device_legs.count(f"trunk:{trunk.name}") >= trunk.max_calls:
                return 503, 34, f"trunk {trunk.name} is full"
            number = rewrite(_read_party(event, trunk).number, trunk.numbers_in, ex.settings.country)
            caller = ex.settings.caller_class(number)
            if caller is not None and caller.treatment == "block":
                return 603, 21, f"caller of class {caller.name}"
        if event.sdp is not None and not negotiation.readable(event.sdp):
            return 488, 88, "unreadable description of media"
        return None

    def _take_turn(self) -> bool:
        """Whether one more call begins within the configured rate: a bucket that holds one second's calls."""
        rate = self._ex.settings.configuration.limits.calls_per_second
        self._turns = min(max(rate, 1.0), self._turns + (self._ex.now - self._turned) * rate)
        self._turned = self._ex.now
        if self._turns < 1.0:
            return False
        self._turns -= 1.0
        return True

    def _log_blocked(self, event: IncomingCall, reason: str) -> None:
        """A call that was refused before it began is a call all the same (blocked-call rate)."""
        ex = self._ex
        call = ex.ids.token("call-")
        device = f"{event.origin.kind}:{event.origin.name}"
        direction = "inbound" if event.origin.kind == "trunk" else "internal"
        ex.log(
            facts.Offered(
                call=call,
                leg=event.leg,
                direction=direction,  # type: ignore[arg-type]
                device=device,
                caller=event.caller,
                called=self._conceal(event),
                sip_call_id=event.request.call_id,
            )
        )
        ex.log(facts.CallCleared(call=call, outcome="blocked", reason=reason))

    def _conceal(self, event: IncomingCall) -> str:
        """What was dialled, as records may hold it."""
        return event.called if event.origin.kind == "trunk" else self._ex.settings.plan.conceal(event.called)

    def forget(self, call: Call) -> None:
        """The call is over."""
        self._dialled.pop(call.id, None)

    def _make_call(self, event: IncomingCall) -> Call:
        ex = self._ex
        caller, called, name = event.caller, self._conceal(event), event.caller_name
        data: dict[str, str] = {}
        language = ex.settings.language
        trunk = ex.settings.configuration.trunks.get(event.origin.name) if event.origin.kind == "trunk" else None
        if trunk is not None:
            party = _read_party(event, trunk)
            # RFC 3323 section 4.1.4: who asked for privacy is shown to nobody.
            caller, name = ("anonymous", "") if party.private or not party.number else (party.number, party.name)
            caller = rewrite(caller, trunk.numbers_in, ex.settings.country)
            called = rewrite(party.called, trunk.numbers_in, ex.settings.country)
            data = _read_data(event, trunk, party)
            language = trunk.language or language
        call = Call(
            id=ex.ids.token("call-"),
            direction="inbound" if trunk is not None else "internal",
            caller=caller,
            called=called,
            caller_name=name,
            language=language,
            data=data,
            gateway=ex.media.choose(),
            started_at=ex.wall,
            max_forwards=event.max_forwards,
            session_id=read_session_id(event.request.headers),
        )
        ex.calls[call.id] = call
        if trunk is None and called != event.called:
            self._dialled[call.id] = event.called
        return call

    def begin(self, call: Call, leg: Leg) -> None:
        """The media port of a new incoming leg is open: decide where it goes."""
        if leg.state == "ended" or call.id in self._ex.ending:
            return
        if self._ex.transfers.take_replacement(call, leg):
            return
        if call.direction == "inbound":
            self._begin_inbound(call, leg)
        else:
            self._begin_internal(call, leg)

    def _begin_inbound(self, call: Call, leg: Leg) -> None:
        ex = self._ex
        trunk = leg.device.partition(":")[2]
        found = route_inbound(ex.settings.configuration, trunk, call.called, call.caller, self.calendar_state)
        call.route = found.rule
        caller = ex.settings.caller_class(call.caller)
        if caller is not None and caller.treatment == "priority":
            call.priority = caller.priority
        if found.route is not None:
            call.language = found.route.language or call.language
            call.priority += found.route.priority
            if found.route.data:
                call.data.update(found.route.data)
                ex.log(facts.CallInformation(call=call.id, data=dict(found.route.data)))
        ex.log(facts.Routed(call=call.id, destination=str(found.destination), rule=found.rule))
        self.go(call, leg, str(found.destination))

    def _begin_internal(self, call: Call, leg: Leg) -> None:
        ex = self._ex
        extension = ex.settings.configuration.extensions.get(leg.device.partition(":")[2])
        permissions = extension.permissions if extension else ()
        if extension is not None:
            call.caller_name = call.caller_name or extension.name
            call.language = extension.language or call.language
        dialled = self._dialled.pop(call.id, call.called)
        found = ex.settings.plan.resolve(dialled, permissions, self.calendar_state)
        if isinstance(found, Destination):
            ex.log(facts.Routed(call=call.id, destination=str(found), rule="internal number"))
            self.go(call, leg, str(found))
        elif isinstance(found, Feature):
            ex.log(facts.Routed(call=call.id, destination=f"feature:{found.code}", rule="feature code"))
            ex.features.dialled(call, leg, found)
        elif isinstance(found, Unknown):
            ex.end_call(call, status=found.status, cause=1 if found.status == 404 else 21, reason=found.reason)
        else:
            call.direction = "outbound"
            rule = found.route.name if found.route else "emergency"
            ex.log(facts.Routed(call=call.id, destination=f"number:{found.number}", rule=f"outbound {rule}"))
            refusal = self.outbound.refusal(call, leg.device, found)
            if refusal is not None:
                ex.end_call(call, status=403, cause=21, reason=refusal, outcome="rejected")
            else:
                ex.push(call, self.dial_out(call, found, leg))

    def go(self, call: Call, anchor: Leg, destination: str) -> None:
        """Serve ``anchor`` by ``destination``, or end the call where that leads nowhere."""
        plan = self.plan(call, destination, by=anchor.device, anchor=anchor)
        if plan is not None:
            self._ex.push(call, plan.session)

    # --- destinations -----------------------------------------------------------------------------------------

    def plan(self, call: Call, destination: str, *, by: str, anchor: Leg, joins: bool = False) -> Plan | None:
        """The session that leads ``anchor`` to ``destination`` (``kind:name`` or a number as ``by`` may dial it).

        None: it leads nowhere; unless the anchor is in a conversation the call is ended with the fitting cause.
        """
        ex = self._ex
        try:
            target = parse_destination(destination)
        except ValueError:
            target = Destination("number", destination)
        if target.kind == "number":
            resolved = self._resolve_number(target.name, by)
            if isinstance(resolved, External):
                return self._to_outside(call, resolved, by, anchor, joins)
            if isinstance(resolved, Unknown):
                return self._nowhere(call, anchor, resolved.status, resolved.reason)
            target = resolved
        if target.kind == "extension":
            return self._to_extension(call, target.name, anchor, joins)
        if target.kind == "agent":
            device = ex.agents.device_of(target.name)
            if not device:
                return self._nowhere(call, anchor, 480, f"agent {target.name} is not logged in")
            return self._to_extension(call, device.partition(":")[2], anchor, joins)
        if target.kind == "group":
            return self._to_group(call, target.name, anchor, joins)
        if target.kind == "queue":
            language = call.language
            return Plan(
                Queue(
                    call=call.id, queue=target.name, anchor=anchor.id, language=language, priority=call.priority or None
                ),
                False,
            )
        if target.kind == "flow":
            return Plan(FlowSession(call=call.id, flow=target.name, anchor=anchor.id, key=ex.ids.token("f")), False)
        if target.kind == "hangup":
            status, cause = HANGUP_CAUSES[target.name]
            ex.end_call(call, status=status, cause=cause, reason=target.name)
            return None
        plan = ex.features.plan(call, target, anchor, by)
        return plan if plan is not None else self._nowhere(call, anchor, 404, f"{destination} cannot take calls")

    def _to_outside(self, call: Call, external: External, by: str, anchor: Leg, joins: bool) -> Plan | None:
        # Forwards and transfers have limits too: a stolen password is mostly used to divert.
        refusal = self.outbound.refusal(call, by, external)
        if refusal is not None:
            return self._nowhere(call, anchor, 403, refusal)
        return Plan(self.dial_out(call, external, anchor, joins), True)

    def _nowhere(self, call: Call, anchor: Leg, status: int, reason: str) -> Plan | None:
        if anchor.id not in call.talkers:
            self._ex.end_call(call, status=status, cause=1 if status == 404 else 20, reason=reason)
        return None

    def _resolve_number(self, number: str, by: str) -> Destination | External | Unknown:
        kind, _, name = by.partition(":")
        extension = self._ex.settings.configuration.extensions.get(name) if kind == "extension" else None
        plan = self._ex.settings.plan
        if extension is None:
            # Configuration and flows may send calls anywhere; nobody outside chose this number.
            found = plan.resolve(number, (), self.calendar_state)
            if isinstance(found, Destination):
                return found
            return plan.resolve_external(number, None, self.calendar_state)
        found = plan.resolve(number, extension.permissions, self.calendar_state)
        if isinstance(found, Feature):
            if found.code == "park":
                return Destination("park", found.argument)
            return Unknown(404, "a feature code takes no transferred calls")
        return found

    def calendar_state(self, calendar: str) -> CalendarState:
        return self._ex.settings.calendar_state(calendar, self._ex.wall)[0]

    def _to_extension(self, call: Call, number: str, anchor: Leg, joins: bool) -> Plan | None:
        ex = self._ex
        entry = ex.settings.configuration.extensions.get(number)
        if entry is None:
            return self._nowhere(call, anchor, 404, f"no extension {number}")
        state = ex.features.extension_state(number)
        if state.always:
            ex.log(
                facts.Diverted(call=call.id, device=f"extension:{number}", destination=state.always, reason="always")
            )
            call.diversions += 1
            call.diverted.insert(0, (number, "unconditional"))
            if call.diversions <= 10:
                return self.plan(call, state.always, by=f"extension:{number}", anchor=anchor, joins=joins)
        device = f"extension:{number}"
        busy = state.do_not_disturb or (not entry.call_waiting and ex.device_legs.count(device) > 0)
        rounds = [] if busy else [Round(targets=(Target(device=device, number=number),), seconds=entry.ring_seconds)]
        mailbox = f"voicemail:{number}" if entry.voicemail else ""
        diversions = {
            "busy": state.busy or mailbox,
            "no_answer": state.no_answer or mailbox,
            "unreachable": state.unreachable or state.no_answer or mailbox,
        }
        dial = Dial(
            call=call.id,
            anchor=anchor.id,
            rounds=rounds,
            joins=joins,
            destination=device,
            diversions={kind: where for kind, where in diversions.items() if where},
        )
        if busy:
            dial.status, dial.cause, dial.reason = 486, 17, "busy"
        return Plan(dial, True)

    def _to_group(self, call: Call, name: str, anchor: Leg, joins: bool) -> Plan | None:
        group = self._ex.settings.configuration.ring_groups.get(name)
        if group is None:
            return self._nowhere(call, anchor, 404, f"no ring group {name}")
        dial = Dial(
            call=call.id,
            anchor=anchor.id,
            rounds=self._group_rounds(call, group, anchor),
            joins=joins,
            destination=f"group:{name}",
            diversions={"any": str(group.fallback)},
        )
        return Plan(dial, True)

    def _group_rounds(self, call: Call, group: RingGroup, anchor: Leg) -> list[Round]:
        members: list[list[Round]] = []
        for number, member in enumerate(group.members):
            delay = group.delays[number] if group.delays else 0.0
            if member in self._ex.settings.configuration.extensions:
                if self._ex.features.extension_state(member).do_not_disturb:
                    continue
                target = Target(device=f"extension:{member}", number=member, delay=delay)
                members.append([Round(targets=(target,), seconds=group.ring_seconds)])
                continue
            found = self._resolve_number(member, "")
            if isinstance(found, External):
                rounds = self.outbound.rounds(call, found, anchor.device)
                members.append(
                    [
                        msgspec.structs.replace(
                            r, targets=tuple(_delayed(t, delay) for t in r.targets), seconds=group.ring_seconds
                        )
                        for r in rounds
                    ]
                )
        if group.strategy == "in_turn":
            return [step for member in members for step in member]
        together = tuple(target for member in members for target in member[0].targets)
        return [Round(targets=together, seconds=group.ring_seconds)] if together else []

    def dial_out(self, call: Call, external: External, anchor: Leg, joins: bool = False) -> Dial:
        """Trunk after trunk to a number outside; whether that is allowed was asked before."""
        return Dial(
            call=call.id,
            anchor=anchor.id,
            rounds=self.outbound.rounds(call, external, anchor.device),
            joins=joins,
            destination=f"number:{external.number}",
            status=503,
            cause=34,
            reason="no trunk available",
        )

    # --- how a target is reached ------------------------------------------------------------------------------

    def launches(self, call: Call, target: Target, timeout: float) -> list[Launch] | Failure:
        """One INVITE per way to reach ``target``, or why there is none."""
        kind, _, name = target.device.partition(":")
        if kind == "extension":
            return self.outbound.to_phones(call, name, target, timeout)
        return self.outbound.to_trunk(call, name, target, timeout)


def _delayed(target: Target, delay: float) -> Target:
    return Target(
        device=target.device,
        number=target.number,
        caller=target.caller,
        caller_name=target.caller_name,
        delay=delay,
        rule=target.rule,
    )


def _read_party(event: IncomingCall, trunk: Trunk) -> Party:
    """Who calls whom, as far as the trunk is believed."""
    return read_party(
        event.request,
        trusted=trunk.trust_identity,
        caller_from=trunk.quirks.caller_from,
        called_from=trunk.quirks.called_from,
    )


def _read_data(event: IncomingCall, trunk: Trunk, party: Party) -> dict[str, str]:
    """What the INVITE says beside, as call data: chosen headers, User-to-User (RFC 7433), who diverted the call."""
    data: dict[str, str] = {}
    for name in trunk.data_headers:
        value = event.request.headers.get(name)
        if value:
            data[name] = value[:MAX_DATA]
    if party.user_data:
        data["user_to_user"] = party.user_data[0].data.decode("utf-8", "replace")[:MAX_DATA]
    if party.diverted:
        data["diverted_from"] = party.diverted[0].number
        data["diverted_why"] = party.diverted[0].reason
    return data
