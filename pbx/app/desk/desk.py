"""Desktops' commands carried out. Roles were checked before; whose call, agent or queue it is, is checked here."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec

from pbx.app.desk import moving, queues
from pbx.app.desk.refusal import Refusal
from pbx.app.sessions.clicks import begin_click
from pbx.app.sessions.dial import Dial
from pbx.app.sessions.queue import Queue
from pbx.app.sessions.talk import Talk
from pbx.app.telephony import digits
from pbx.call.model import Call, Leg
from pbx.cti import commands as cti
from pbx.cti.actor import Actor
from pbx.cti.commands import Accepted, CommandDone, CommandRejected, CommandResult, ErrorCode
from pbx.events import catalogue as facts
from pbx.sip.commands import RequestAnswer

if TYPE_CHECKING:
    from pbx.app.exchange import Exchange

WIDE: frozenset[str] = frozenset(("administrator", "quality"))


class Desk:
    def __init__(self, ex: Exchange) -> None:
        self.ex = ex

    def execute(self, actor: Actor, command: cti.AnyCommand, request: str) -> None:
        result: CommandResult
        try:
            data = _ACTIONS[type(command)](self, actor, command)
            result = Accepted(data=data or {})
        except Refusal as refusal:
            result = CommandRejected(code=refusal.code, message=refusal.message)
        self.ex.out.append(CommandDone(request_id=request, result=result))

    # --- whom and what it is about ----------------------------------------------------------------------------

    def _team_of(self, agent: str) -> str:
        entry = self.ex.settings.configuration.agents.get(agent)
        return entry.team or "" if entry else ""

    def _may_manage(self, actor: Actor, agent: str) -> bool:
        if actor.role == "administrator" or agent == actor.agent:
            return True
        return actor.role == "supervisor" and self._team_of(agent) in actor.teams

    def agent(self, actor: Actor, agent: str) -> str:
        """The agent a command is about: the one named, if the actor may manage him, else the actor."""
        name = agent or actor.agent
        if not name:
            raise Refusal("bad_request", "no agent was named and this user is none")
        if name not in self.ex.settings.configuration.agents or not self._may_manage(actor, name):
            raise Refusal("unknown_object", f"no agent {name}")
        return name

    def device(self, actor: Actor, device: str) -> str:
        if device:
            device = device if ":" in device else f"extension:{device}"
            own = self.ex.agents.device_of(actor.agent) if actor.agent else ""
            if device != own and actor.role == "agent":
                raise Refusal("forbidden", "agents use their own phone")
            return device
        found = self.ex.agents.device_of(actor.agent) if actor.agent else ""
        if not found:
            raise Refusal("bad_request", "no phone was named and this user has none")
        return found

    def call(self, actor: Actor, name: str) -> Call:
        call = self.ex.calls.get(name)
        if call is None or not self._may_touch(actor, call):
            raise Refusal("unknown_object", f"no call {name}")
        return call

    def _may_touch(self, actor: Actor, call: Call) -> bool:
        if actor.role in WIDE:
            return True
        agents = {leg.agent for leg in call.legs.values() if leg.agent}
        if actor.agent in agents and actor.agent:
            return True
        if actor.agent and any(leg.device == self.ex.agents.device_of(actor.agent) for leg in call.live()):
            return True
        if actor.role != "supervisor":
            return False
        teams = {self._team_of(agent) for agent in agents}
        return bool(teams & set(actor.teams)) or bool(call.queue and not agents)

    def _leg(self, actor: Actor, call: Call, name: str) -> Leg:
        """The connection a command means: the one named, or that of the actor's phone."""
        if name:
            leg = call.legs.get(name)
            if leg is None or leg.state == "ended":
                raise Refusal("unknown_object", f"no connection {name} in this call")
            if actor.role == "agent" and leg.agent != actor.agent:
                raise Refusal("forbidden", "agents act on their own connection")
            return leg
        device = self.ex.agents.device_of(actor.agent) if actor.agent else ""
        for leg in call.live():
            if leg.agent and leg.agent == actor.agent or device and leg.device == device:
                return leg
        raise Refusal("unknown_object", "this user has no connection in the call; name one")

    def _talk(self, call: Call, leg: Leg) -> Talk:
        session = self.ex.owner(call, leg.id)
        if not isinstance(session, Talk):
            raise Refusal("wrong_state", "this connection is in no conversation")
        return session

    def own_talk(self, actor: Actor, command: cti.CallCommand) -> tuple[Call, Leg, Talk]:
        call = self.call(actor, command.call)
        leg = self._leg(actor, call, command.leg)
        return call, leg, self._talk(call, leg)

    @staticmethod
    def check(refused: str) -> None:
        if refused:
            code: ErrorCode = "unknown_object" if refused.startswith("unknown") else "wrong_state"
            raise Refusal(code, refused.replace("_", " "))

    # --- agents -----------------------------------------------------------------------------------------------

    def _set_agent_state(self, actor: Actor, command: cti.SetAgentState) -> None:
        agent = self.agent(actor, command.agent)
        agents = self.ex.agents
        if command.state == "log_on":
            device = command.device
            if device and ":" not in device:
                device = f"extension:{device}"
            self.check(agents.log_on(agent, device))
        elif command.state == "log_off":
            self.check(agents.log_off(agent))
        elif command.state == "wrap_up_done":
            self.check(agents.wrap_up(agent, command.disposition, command.note))
        else:
            self.check(agents.set_state(agent, command.state, command.reason))

    def _get_agent_state(self, actor: Actor, command: cti.GetAgentState) -> dict[str, Any]:
        view = self.ex.acd.view_agent(self.agent(actor, command.agent))
        data: dict[str, Any] = msgspec.to_builtins(view)
        return data

    def _extend_wrap_up(self, actor: Actor, command: cti.ExtendWrapUp) -> None:
        self.check(self.ex.agents.extend_wrap_up(self.agent(actor, command.agent), command.seconds))

    def _supervisor_state(self, actor: Actor, command: cti.SupervisorSetAgentState) -> None:
        agent = self.agent(actor, command.agent)
        agents = self.ex.agents
        if command.state == "log_off":
            self.check(agents.log_off(agent, forced=True))
        elif command.state == "wrap_up_done":
            self.check(agents.wrap_up(agent))
        else:
            reason = command.reason or self.ex.settings.configuration.system_reasons.supervisor
            self.check(agents.set_state(agent, command.state, reason if command.state == "not_ready" else ""))
        self.audit(actor, f"agent {command.state}", f"agent:{agent}", command.reason)

    # --- calls ------------------------------------------------------------------------------------------------

    def _make_call(self, actor: Actor, command: cti.MakeCall) -> dict[str, Any]:
        ex = self.ex
        if ex.stack.draining:
            raise Refusal("draining", "the server is about to stop")
        agent = self.agent(actor, command.agent) if command.agent or actor.agent else ""
        device = self.device(actor, command.device) if command.device or not agent else ex.agents.device_of(agent)
        if not device:
            raise Refusal("unreachable", f"agent {agent} has no phone")
        gateway = ex.media.choose()
        if not gateway:
            raise Refusal("unreachable", "no media gateway")
        number = device.partition(":")[2]
        call = Call(
            id=ex.ids.token("call-"),
            direction="outbound",
            caller=number,
            called=command.destination,
            language=ex.settings.language,
            gateway=gateway,
            started_at=ex.wall,
            data=dict(command.data),
        )
        ex.calls[call.id] = call
        ex.log(facts.ServiceInitiated(call=call.id, device=device, agent=agent, called=command.destination))
        if command.data:
            ex.log(facts.CallInformation(call=call.id, data=dict(command.data)))
        failure = begin_click(ex, call, device, agent, command.destination)
        if failure:
            raise Refusal("unreachable", failure)
        return {"call": call.id}

    def _answer(self, actor: Actor, command: cti.AnswerCall) -> None:
        call = self.call(actor, command.call)
        leg = self._leg(actor, call, command.leg)
        if leg.direction != "out" or leg.state not in ("dialing", "alerting"):
            raise Refusal("wrong_state", "this phone does not ring")
        # Phones of most makers answer on an in-dialog NOTIFY "talk" (BroadSoft remote control).
        self.ex.sip(RequestAnswer(leg=leg.id))

    def _clear_connection(self, actor: Actor, command: cti.ClearConnection) -> None:
        call = self.call(actor, command.call)
        self.ex.legs.hangup(self._leg(actor, call, command.leg), cause=16)

    def _clear_call(self, actor: Actor, command: cti.ClearCall) -> None:
        call = self.call(actor, command.call)
        self.ex.end_call(call, cause=16, reason=f"ended by {actor.user}")

    def _hold(self, actor: Actor, command: cti.HoldCall) -> None:
        call, leg, talk = self.own_talk(actor, command)
        for other in talk.legs:
            if other != leg.id:
                talk.park(self.ex, call, call.legs[other], leg, True)

    def _retrieve(self, actor: Actor, command: cti.RetrieveCall) -> None:
        call, leg, talk = self.own_talk(actor, command)
        for other in talk.legs:
            if other != leg.id:
                talk.park(self.ex, call, call.legs[other], leg, False)

    def _consult(self, actor: Actor, command: cti.ConsultationCall) -> None:
        call, leg, talk = self.own_talk(actor, command)
        if talk.consulting:
            raise Refusal("wrong_state", "a consultation is already going on")
        self._set_data(call, command.data)
        plan = self.ex.router.plan(call, command.destination, by=leg.device, anchor=leg, joins=True)
        if plan is None or not isinstance(plan.session, Dial):
            raise Refusal("unknown_object", f"{command.destination} cannot be consulted")
        talk.consult(self.ex, call, leg, plan.session)

    def _consulting(self, actor: Actor, command: cti.CallCommand, answered: bool = True) -> tuple[Call, Talk]:
        call, leg, talk = self.own_talk(actor, command)
        if talk.consulting != leg.id or (answered and not talk.consulted):
            raise Refusal("wrong_state", "there is no consultation")
        return call, talk

    def _alternate(self, actor: Actor, command: cti.AlternateCall) -> None:
        call, talk = self._consulting(actor, command)
        talk.alternate(self.ex, call)

    def _reconnect(self, actor: Actor, command: cti.ReconnectCall) -> None:
        call, talk = self._consulting(actor, command, answered=False)
        if talk.consulted:
            self.ex.legs.hangup(call.legs[talk.consulted], cause=16)
        else:
            self.ex.stop_above(call, talk, "reconnected")
            talk.consult_failed(self.ex, call)

    def _transfer(self, actor: Actor, command: cti.TransferCall) -> None:
        call = self.call(actor, command.call)
        leg = self._leg(actor, call, command.leg)
        talk = self._talk(call, leg)
        if talk.consulting == leg.id and talk.consulted:
            talk.complete_transfer(self.ex, call)
            return
        other = self._other_call(actor, call, leg, command.consultation)
        if other is None or not self.ex.transfers.join(call, leg, talk, *other):
            raise Refusal("wrong_state", "there is no consultation to transfer to")

    def _other_call(self, actor: Actor, call: Call, leg: Leg, named: str) -> tuple[Call, Leg] | None:
        for other in self.ex.calls.values():
            if other is call or (named and named not in (other.id, *other.legs)):
                continue
            for mine in other.live():
                if mine.device == leg.device and mine.state == "connected":
                    return other, mine
        return None

    def _conference(self, actor: Actor, command: cti.ConferenceCall) -> None:
        call, talk = self._consulting(actor, command)
        talk.join(self.ex, call)

    def _single_step_transfer(self, actor: Actor, command: cti.SingleStepTransferCall) -> None:
        call, leg, talk = self.own_talk(actor, command)
        self._set_data(call, command.data)
        if not talk.transfer(self.ex, call, leg, command.destination):
            raise Refusal("unknown_object", f"{command.destination} cannot take the call")

    def _single_step_conference(self, actor: Actor, command: cti.SingleStepConferenceCall) -> None:
        call, leg, talk = self.own_talk(actor, command)
        plan = self.ex.router.plan(call, command.destination, by=leg.device, anchor=leg, joins=True)
        if plan is None or not isinstance(plan.session, Dial):
            raise Refusal("unknown_object", f"{command.destination} cannot be called")
        plan.session.quiet = True
        self.ex.push(call, plan.session)

    def _deflect(self, actor: Actor, command: cti.DeflectCall) -> None:
        call = self.call(actor, command.call)
        leg = self._leg(actor, call, command.leg)
        session = self.ex.owner(call, leg.id)
        if isinstance(session, Queue):
            self.ex.agents.decline(leg.offer, "refused")
        elif isinstance(session, Dial):
            session.deflect(self.ex, call, command.destination)
        else:
            raise Refusal("wrong_state", "this connection does not ring")

    def _digits(self, actor: Actor, command: cti.GenerateDigits) -> None:
        call, leg, talk = self.own_talk(actor, command)
        ex = self.ex
        for name in talk.legs:
            if name != leg.id:
                digits.send(ex, call.legs[name], command.digits, command.duration_ms)
                ex.log(facts.DigitsGenerated(call=call.id, leg=name, digits="*" * len(command.digits)))

    def _set_call_data(self, actor: Actor, command: cti.SetCallData) -> None:
        self._set_data(self.call(actor, command.call), command.data)

    def _set_data(self, call: Call, data: dict[str, str]) -> None:
        if not data:
            return
        for key, value in data.items():
            if value:
                call.data[key] = value
            else:
                call.data.pop(key, None)
        self.ex.log(facts.CallInformation(call=call.id, data=dict(data)))

    def _snapshot_call(self, actor: Actor, command: cti.SnapshotCall) -> dict[str, Any]:
        return self._describe(self.call(actor, command.call))

    def _snapshot_device(self, actor: Actor, command: cti.SnapshotDevice) -> dict[str, Any]:
        calls = [
            self._describe(call)
            for call in self.ex.calls.values()
            if self._may_touch(actor, call) and any(leg.device == command.device for leg in call.live())
        ]
        return {"device": command.device, "calls": calls}

    def _describe(self, call: Call) -> dict[str, Any]:
        return {
            "call": call.id,
            "direction": call.direction,
            "caller": call.caller,
            "called": call.called,
            "data": dict(call.data),
            "queue": call.queue,
            "legs": [
                {
                    "leg": leg.id,
                    "device": leg.device,
                    "agent": leg.agent,
                    "state": leg.state,
                    "held": leg.held or leg.parked,
                    "supervision": leg.supervision,
                }
                for leg in call.live()
            ],
            "sessions": [session.describe() for session in self.ex.stack_of(call)],
            "recordings": {note.id: note.state for note in call.recordings.values()},
        }

    # --- recording --------------------------------------------------------------------------------------------

    def _recordings(self, actor: Actor, command: cti.RecordingCommand) -> tuple[Call, list[str]]:
        call = self.call(actor, command.call)
        names = (
            [command.recording]
            if command.recording
            else [note.id for note in call.recordings.values() if note.state != "stopping"]
        )
        if not names or any(name not in call.recordings for name in names):
            raise Refusal("unknown_object", "no such recording in this call")
        return call, names

    def _start_recording(self, actor: Actor, command: cti.StartRecording) -> dict[str, Any]:
        call = self.call(actor, command.call)
        legs = [leg for leg in call.connected() if not leg.supervision]
        legs.sort(key=lambda leg: leg.kind != "trunk")
        note = self.ex.recording.start(call, legs[0]) if legs else None
        if note is None:
            raise Refusal("wrong_state", "the call is already recorded, or cannot be")
        return {"recording": note.id}

    def _stop_recording(self, actor: Actor, command: cti.StopRecording) -> None:
        call, names = self._recordings(actor, command)
        for name in names:
            self.ex.recording.stop(call, name)
        self.audit(actor, "recording stopped", f"call:{call.id}", "")

    def _pause_recording(self, actor: Actor, command: cti.PauseRecording) -> None:
        call, names = self._recordings(actor, command)
        for name in names:
            self.ex.recording.pause(call, name, mask=command.masked)

    def _resume_recording(self, actor: Actor, command: cti.ResumeRecording) -> None:
        call, names = self._recordings(actor, command)
        for name in names:
            self.ex.recording.resume(call, name)

    # --- supervision ------------------------------------------------------------------------------------------

    def _supervised(self, actor: Actor, command: cti.SupervisionCommand) -> tuple[Call, Leg]:
        calls = [self.call(actor, command.call)] if command.call else list(self.ex.calls.values())
        for call in calls:
            for leg in call.connected():
                if leg.agent and not leg.supervision and (not command.agent or leg.agent == command.agent):
                    if not self._may_manage(actor, leg.agent) and actor.role != "quality":
                        continue
                    return call, leg
        raise Refusal("unknown_object", "no such agent in a conversation")

    def _supervise(self, actor: Actor, command: cti.SupervisionCommand) -> dict[str, Any]:
        call, leg = self._supervised(actor, command)
        modes: dict[type, Any] = {cti.SilentMonitor: "monitor", cti.Whisper: "whisper", cti.BargeIn: "barge"}
        take_over = isinstance(command, cti.TakeOver)
        mode = modes.get(type(command), "monitor")
        device = self.device(actor, command.device)
        present = next((other for other in call.connected() if other.device == device and other.supervision), None)
        if present is not None and take_over:
            self.ex.supervision.take_over(call, present, leg)
        elif present is not None:
            self.ex.supervision.change(call, present, mode, actor.user)
        else:
            failure = self.ex.supervision.begin(call, leg, device, mode, actor.user, take_over)
            if failure:
                raise Refusal("unreachable", failure)
        return {"call": call.id}

    def _stop_supervision(self, actor: Actor, command: cti.StopSupervision) -> None:
        device = self.device(actor, command.device)
        for call in self.ex.calls.values():
            for leg in call.live():
                if leg.supervision and leg.device == device and (not command.call or call.id == command.call):
                    self.ex.legs.hangup(leg, cause=16)
                    return
        raise Refusal("wrong_state", "this phone supervises nothing")

    # --- more ----------------------------------------------------------------------------------------------

    def audit(self, actor: Actor, action: str, object: str, detail: str) -> None:
        self.ex.log(facts.AuditEntry(user=actor.user, action=action, object=object, detail=detail))

    def _unsupported(self, actor: Actor, command: cti.AnyCommand) -> None:
        raise Refusal("not_supported", f"{type(command).__name__} is not offered by this server")


_ACTIONS: dict[type, Callable[..., dict[str, Any] | None]] = {
    cti.SetAgentState: Desk._set_agent_state,
    cti.GetAgentState: Desk._get_agent_state,
    cti.ExtendWrapUp: Desk._extend_wrap_up,
    cti.MakeCall: Desk._make_call,
    cti.AnswerCall: Desk._answer,
    cti.ClearConnection: Desk._clear_connection,
    cti.ClearCall: Desk._clear_call,
    cti.HoldCall: Desk._hold,
    cti.RetrieveCall: Desk._retrieve,
    cti.ConsultationCall: Desk._consult,
    cti.AlternateCall: Desk._alternate,
    cti.ReconnectCall: Desk._reconnect,
    cti.TransferCall: Desk._transfer,
    cti.SingleStepTransferCall: Desk._single_step_transfer,
    cti.ConferenceCall: Desk._conference,
    cti.SingleStepConferenceCall: Desk._single_step_conference,
    cti.DeflectCall: Desk._deflect,
    cti.GenerateDigits: Desk._digits,
    cti.SetCallData: Desk._set_call_data,
    cti.SnapshotCall: Desk._snapshot_call,
    cti.SnapshotDevice: Desk._snapshot_device,
    cti.ExplainCall: Desk._unsupported,
    cti.StartRecording: Desk._start_recording,
    cti.StopRecording: Desk._stop_recording,
    cti.PauseRecording: Desk._pause_recording,
    cti.ResumeRecording: Desk._resume_recording,
    cti.SilentMonitor: Desk._supervise,
    cti.Whisper: Desk._supervise,
    cti.BargeIn: Desk._supervise,
    cti.TakeOver: Desk._supervise,
    cti.StopSupervision: Desk._stop_supervision,
    cti.SupervisorSetAgentState: Desk._supervisor_state,
    **queues.ACTIONS,
    **moving.ACTIONS,
}
