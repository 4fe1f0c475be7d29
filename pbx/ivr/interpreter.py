"""The interpreter of one call's flow: inputs and the time in, an ordered list of outputs out.

It owns the way from step to step, sub-flows, the open requests and the one deadline; what a step does is its verb's
business. After ``FlowEnded`` every entry point returns nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec

from pbx.core.ids import IdSource
from pbx.core.timers import Deadline
from pbx.ivr import messages as m
from pbx.ivr.expressions import ExpressionError
from pbx.ivr.flow import Flow, Step
from pbx.ivr.run import EnterFlow, Finish, Outcome, ReturnFlow, Run
from pbx.ivr.state import Frame, State

MAX_AHEAD = 32
"""Digits typed ahead that are kept."""
MAX_STEPS_AT_ONCE = 500
"""Steps without waiting for anything; more is a loop that lint could not see."""
MAX_STEPS = 20_000
"""Steps of one call."""
MAX_STACK = 16
"""Sub-flows within sub-flows."""
HOLD_ON_SECONDS = 10.0

_CANCEL: dict[str, Callable[[str], m.Output]] = {
    # kind of request: what takes it back when its step is left without an answer
    "play": m.StopPlay,
    "listen": m.StopListening,
    "queue": m.LeaveQueue,
    "dial": m.CancelDial,
    "record": m.StopRecord,
    "fetch": m.Cancel,
    "query": m.Cancel,
    "lookup": m.Cancel,
    "conference": m.Cancel,
    "mailbox": m.Cancel,
    "message": m.Cancel,
    "pin": m.Cancel,
}

Trace = Callable[[str, str, str], None]
"""Called with flow, step and the branch it was left by; for tests and statistics of coverage."""


class Interpreter:
    """Runs one flow for one call. ``flow`` stays the version the call began with."""

    def __init__(self, flow: Flow, call: m.CallFacts, ids: IdSource, trace: Trace | None = None) -> None:
        language = call.language if call.language.split("-")[0] in flow.languages else flow.language
        state = State(flow=flow.name, version=flow.version, step=flow.start, language=language)
        self._run = Run(flow, call, ids, state)
        self._main = flow
        self._trace = trace

    # --- entry points

    def start(self, now: float, wall: datetime | None = None) -> list[m.Output]:
        """Begin at the first step. ``wall``: aware local time, unless the call facts hold it."""
        run = self._run
        run.now = run.started = now
        moment = wall or run.call.wall or datetime.fromtimestamp(0, UTC)
        run.state.wall = moment.isoformat()
        try:
            self._declare(run.flow, dict(run.call.data))
        except ExpressionError as error:
            self._fail(error.message)
            return self._drained()
        self._walk(run.flow.start)
        return self._drained()

    def handle(self, event: m.Input, now: float) -> list[m.Output]:
        """Take one input. Late answers, and anything after the end, have no effect."""
        run = self._run
        if run.state.ended:
            return []
        run.now = now
        if isinstance(event, m.HungUp):
            self._hang_up()
            return self._drained()
        request = getattr(event, "request", "")
        if request:
            if request not in run.state.open:
                return []
            if not _is_news(event):
                del run.state.open[request]
        if isinstance(event, m.Digit):
            if event.digit not in m.ALL_DIGITS or len(event.digit) != 1 or run.state.gone:
                return []
            if run.state.astray or not run.step.verb.takes_digits:
                run.state.ahead = (run.state.ahead + event.digit)[:MAX_AHEAD]
                return []
        self._resume(event)
        return self._drained()

    def expire(self, now: float) -> list[m.Output]:
        """The time came. No effect before the deadline."""
        run = self._run
        if run.state.ended:
            return []
        run.now = now
        if run.deadline is None or now < run.deadline:
            return []
        run.deadline = None
        if run.state.gone:
            self._end("hung_up")
        elif run.state.astray:
            run.state.astray = False
            self._walk(run.flow.start)
        else:
            self._resume(m.Expired())
        return self._drained()

    def next_deadline(self) -> Deadline | None:
        run = self._run
        if run.deadline is None or run.state.ended:
            return None
        return Deadline(run.deadline, f"ivr {run.state.flow}/{run.state.step}")

    # --- views

    @property
    def ended(self) -> str:
        """The reason the flow ended for, empty while it runs."""
        return self._run.state.ended

    @property
    def flow(self) -> Flow:
        return self._run.flow

    @property
    def language(self) -> str:
        return self._run.state.language

    @property
    def variables(self) -> dict[str, Any]:
        """The variables of the flow that runs, card data masked."""
        state = self._run.state
        return {k: m.MASK if k in state.secrets else v for k, v in state.variables.items()}

    @property
    def data(self) -> dict[str, Any]:
        """What was collected for the agent's screen."""
        return dict(self._run.state.data)

    def state(self) -> dict[str, Any]:
        """Plain data to store; card data is left out on purpose."""
        run = self._run
        run.state.elapsed = run.now - run.started
        run.state.remaining = None if run.deadline is None else max(0.0, run.deadline - run.now)
        plain: dict[str, Any] = msgspec.to_builtins(run.state)
        plain["variables"] = {k: v for k, v in plain["variables"].items() if k not in run.state.secrets}
        if run.state.secure:
            plain["local"] = {k: "" if k == "digits" else v for k, v in plain["local"].items()}
            plain["ahead"] = ""
        plain["call"] = msgspec.to_builtins(run.call)
        return plain

    @classmethod
    def resume(
        cls,
        flow: Flow,
        state: dict[str, Any],
        now: float,
        ids: IdSource,
        wall: datetime | None = None,
        trace: Trace | None = None,
    ) -> Interpreter:
        """Take a call's flow up again from :meth:`state`; ``flow`` is the flow the call began with.

        ``wall``: local time now, so that the time in between counts; without it none has passed. Where ``flow`` is
        another version that lacks the step the call was at, the flow begins again at the next :meth:`expire`.
        """
        data = dict(state)
        call = msgspec.convert(data.pop("call"), m.CallFacts)
        self = cls(flow, call, ids, trace)
        run = self._run
        run.state = msgspec.convert(data, State)
        run.flow = flow.library.get(run.state.flow, flow)
        run.now = now
        gap = 0.0
        if wall is not None:
            began = datetime.fromisoformat(run.state.wall)
            gap = max(0.0, (wall - began).total_seconds() - run.state.elapsed)
        run.started = now - run.state.elapsed - gap
        run.deadline = None if run.state.remaining is None else now + run.state.remaining - gap
        if not self._fits():
            run.flow = flow
            run.state.flow, run.state.step, run.state.astray = flow.name, flow.start, True
            run.state.stack, run.state.local, run.state.open = [], {}, {}
            run.deadline = now
        return self

    def _fits(self) -> bool:
        """Whether the flow has the step that waits and those that wait for sub-flows."""
        run = self._run
        frames = [(frame.flow, frame.step) for frame in run.state.stack]
        places = [(run.state.flow, run.state.step), *frames]
        flows = {**run.flow.library, self._main.name: self._main}
        return all(name in flows and step in flows[name].steps for name, step in places)

    # --- the way from step to step

    def _drained(self) -> list[m.Output]:
        outputs, self._run.out = self._run.out, []
        return outputs

    def _declare(self, flow: Flow, given: dict[str, Any]) -> None:
        run = self._run
        run.state.variables = {name: given.get(name) for name in flow.arguments}
        for name, template in flow.variables.items():
            run.state.variables[name] = given[name] if name in given else run.value(template)

    def _walk(self, step_id: str | None) -> None:
        """Enter steps until one waits or the flow ends."""
        run = self._run
        for _ in range(MAX_STEPS_AT_ONCE):
            if step_id is None:
                if not run.state.stack:
                    run.put(m.Hangup())
                    return self._end("completed")
                step_id = self._return({})
                continue
            run.state.steps += 1
            if run.state.steps > MAX_STEPS:
                return self._fail(f"more than {MAX_STEPS} steps in one call", fatal=True)
            step = self._enter(step_id)
            try:
                outcome = step.verb.enter(run, step.options)
                if outcome is None:
                    return None
                step_id = self._follow(step, outcome)
            except ExpressionError as error:
                return self._fail(error.message)
            if run.state.ended:
                return None
        return self._fail(f"{MAX_STEPS_AT_ONCE} steps without waiting for anything", fatal=True)

    def _enter(self, step_id: str) -> Step:
        run = self._run
        run.state.step = step_id
        run.state.local = {}
        run.deadline = None
        step = run.flow.steps[step_id]
        if step.id == step.node:
            run.put(m.NodeEntered(run.flow.name, step.node))
        return step

    def _resume(self, event: m.Input) -> None:
        run = self._run
        step = run.step
        try:
            outcome = step.verb.resume(run, step.options, event)
            if outcome is None:
                if run.state.gone and not run.state.open:
                    self._end("hung_up")
                return None
            if run.state.gone:
                return self._end("hung_up")
            return self._after(self._follow(step, outcome))
        except ExpressionError as error:
            return self._fail(error.message)

    def _after(self, step_id: str | None) -> None:
        if not self._run.state.ended:
            self._walk(step_id)

    def _follow(self, step: Step, outcome: Outcome) -> str | None:
        """The step after this one; takes back the requests the step leaves open."""
        run = self._run
        self._take_back()
        if self._trace is not None:
            self._trace(run.flow.name, step.id, outcome if isinstance(outcome, str) else "next")
        if isinstance(outcome, Finish):
            self._end(outcome.reason)
            return None
        if isinstance(outcome, EnterFlow):
            return self._call(step, outcome)
        if isinstance(outcome, ReturnFlow):
            return self._return(outcome.values)
        assert outcome is not None
        return step.target(outcome)

    def _take_back(self, gone: bool = False) -> None:
        run = self._run
        for request, kind in run.state.open.items():
            if kind == "queue" and gone:
                run.put(m.LeaveQueue(request, "abandoned"))
                continue
            cancel = _CANCEL.get(kind)
            if cancel is not None:
                run.put(cancel(request))
        run.state.open = {}
        run.deadline = None

    def _call(self, step: Step, outcome: EnterFlow) -> str | None:
        run = self._run
        flow = run.flow.library.get(outcome.flow)
        if flow is None:
            raise ExpressionError(f"there is no flow {outcome.flow!r}")
        if len(run.state.stack) >= MAX_STACK:
            raise ExpressionError(f"more than {MAX_STACK} sub-flows within each other")
        run.state.stack.append(Frame(run.flow.name, step.id, run.state.variables, run.state.visits))
        run.flow, run.state.flow, run.state.visits = flow, flow.name, {}
        self._declare(flow, outcome.arguments)
        return flow.start

    def _return(self, values: dict[str, Any]) -> str | None:
        """Back to the flow that called; from the outermost one, the end."""
        run = self._run
        if not run.state.stack:
            run.put(m.Hangup())
            self._end("completed", values)
            return None
        for name in run.flow.results:
            values.setdefault(name, run.state.variables.get(name))
        secret = [name for name in values if name in run.state.secrets]
        frame = run.state.stack.pop()
        run.flow = run.flow.library.get(frame.flow, self._main)
        run.state.flow, run.state.variables, run.state.visits = frame.flow, frame.variables, frame.visits
        step = run.flow.steps[frame.step]
        into = getattr(step.options, "into", "")
        if into:
            run.store(into, values, secret=bool(secret))
        return step.target("next")

    # --- ends

    def _hang_up(self) -> None:
        run = self._run
        step = run.step
        if not run.state.gone and step.verb.hold_on(run, step.options) and run.state.open:
            run.state.gone = True
            run.wait(HOLD_ON_SECONDS)
            return None
        step.verb.hung_up(run, step.options)
        return self._end("hung_up")

    def _fail(self, message: str, fatal: bool = False) -> None:
        run = self._run
        self._take_back()
        run.put(m.Fault(run.flow.name, run.state.step, message))
        error_step = run.flow.on_error
        if error_step is not None and not fatal and not run.state.failing and not run.state.gone:
            run.state.failing = True
            return self._walk(error_step)
        if not run.state.gone:
            run.put(m.Hangup(cause=41, status=500, reason="error"))
        return self._end("error")

    def _end(self, reason: str, result: dict[str, Any] | None = None) -> None:
        run = self._run
        self._take_back(gone=reason == "hung_up")
        if run.state.secure and reason == "transferred":
            run.put(m.Secure(on=False))
        run.state.ended = reason
        run.state.local = {}
        run.state.ahead = ""
        shown = {k: m.MASK if k in run.state.secrets else v for k, v in (result or {}).items()}
        ended = m.FlowEnded(reason=reason, flow=run.flow.name, node=run.step.node, result=shown)  # type: ignore[arg-type]
        run.put(ended)


def _is_news(event: m.Input) -> bool:
    """What leaves the request open: ``answered`` only tells that they talk, speech that began is not over."""
    if isinstance(event, m.QueueResult):
        return event.result == "answered"
    return isinstance(event, m.SpeechStarted) or (isinstance(event, m.DialResult) and event.status == "answered")
