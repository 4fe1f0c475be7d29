"""What a verb sees of the call it runs in: values, prompts, outputs, requests and the one deadline."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import quote

from media.protocol import File, Music, PlayItem, Silence, Speech, Tone
from pbx.core.ids import IdSource
from pbx.ivr.expressions import BASE_FUNCTIONS, Expression, ExpressionError, Template, to_text
from pbx.ivr.flow import Flow, Step
from pbx.ivr.messages import MASK, CallFacts, Output, Play
from pbx.ivr.options import PromptItem
from pbx.ivr.speech import speech_functions
from pbx.ivr.state import State

PLAY_WATCHDOG = 900.0
"""Seconds after which a prompt whose end was never reported is taken as played."""
MAX_PROMPT_DEPTH = 5


class Finish(NamedTuple):
    """The flow and the call's IVR are over; the verb has put out what ends the call."""

    reason: str


class EnterFlow(NamedTuple):
    flow: str
    arguments: dict[str, Any]


class ReturnFlow(NamedTuple):
    values: dict[str, Any]


Outcome = str | Finish | EnterFlow | ReturnFlow | None
"""The branch to leave by, one of the three, or None to wait for an input."""


class Run:
    """One call's flow in motion. Verbs read and change it; they keep what they must remember in ``local``."""

    __slots__ = (
        "_functions",
        "_functions_language",
        "call",
        "deadline",
        "flow",
        "ids",
        "now",
        "out",
        "started",
        "state",
    )

    def __init__(self, flow: Flow, call: CallFacts, ids: IdSource, state: State) -> None:
        self.flow = flow
        self.call = call
        self.ids = ids
        self.state = state
        self.now = 0.0
        self.started = 0.0
        self.deadline: float | None = None
        self.out: list[Output] = []
        self._functions: dict[str, Callable[..., Any]] = {}
        self._functions_language = ""

    # --- outputs and waiting

    @property
    def step(self) -> Step:
        return self.flow.steps[self.state.step]

    @property
    def local(self) -> dict[str, Any]:
        return self.state.local

    def put(self, output: Output) -> None:
        self.out.append(output)

    def request(self, kind: str) -> str:
        """A fresh request id, open until its answer comes or the step is left."""
        request = self.ids.token("q")
        self.state.open[request] = kind
        return request

    def wait(self, seconds: float | None) -> None:
        """Set the deadline of this step; None for none."""
        self.deadline = None if seconds is None else self.now + seconds

    # --- values

    def scope(self) -> dict[str, Any]:
        return {
            **self.state.variables,
            "call": self._call_values(),
            "now": self._time_values(),
            "data": self.state.data,
            "language": self.state.language,
        }

    def _call_values(self) -> dict[str, Any]:
        call = self.call
        return {
            "id": call.call,
            "caller": call.caller,
            "caller_name": call.caller_name,
            "called": call.called,
            "trunk": call.trunk,
            "data": call.data,
        }

    def wall(self) -> datetime:
        """Local time now."""
        return datetime.fromisoformat(self.state.wall) + timedelta(seconds=self.now - self.started)

    def _time_values(self) -> dict[str, Any]:
        wall = self.wall()
        return {
            "iso": wall.isoformat(timespec="seconds"),
            "date": wall.date().isoformat(),
            "time": wall.strftime("%H:%M"),
            "year": wall.year,
            "month": wall.month,
            "day": wall.day,
            "hour": wall.hour,
            "minute": wall.minute,
            "weekday": wall.isoweekday(),
        }

    def functions(self) -> dict[str, Callable[..., Any]]:
        if self._functions_language != self.state.language:
            self._functions = {**BASE_FUNCTIONS, **speech_functions(self.state.language)}
            self._functions_language = self.state.language
        return self._functions

    def evaluate(self, expression: Expression) -> Any:
        """Raises ExpressionError."""
        return expression.evaluate(self.scope(), self.functions())

    def text(self, template: Template) -> str:
        """Raises ExpressionError."""
        if template.is_plain:
            return template.source
        return template.render(self.scope(), self.functions())

    def url(self, template: Template) -> str:
        """Text whose inserted values cannot change the address's structure; one that begins the text may be a base."""
        if template.is_plain:
            return template.source
        scope, functions = self.scope(), self.functions()
        parts: list[str] = []
        for index, part in enumerate(template.parts):
            words = part if isinstance(part, str) else to_text(part.evaluate(scope, functions))
            parts.append(words if index == 0 or isinstance(part, str) else quote(words, safe=""))
        return "".join(parts)

    def value(self, template: Template) -> Any:
        """Raises ExpressionError."""
        return template.value(self.scope() if template.names else {}, self.functions())

    def is_secret(self, template: Template) -> bool:
        """True when the text is made from card data."""
        return not template.names.isdisjoint(self.state.secrets)

    def shown(self, template: Template) -> Any:
        """The value for somebody else's eyes: masked when it is made from card data."""
        return MASK if self.is_secret(template) else self.value(template)

    def store(self, name: str, value: Any, secret: bool = False) -> None:
        """Set a variable of the flow."""
        self.state.variables[name] = value
        if secret and name not in self.state.secrets:
            self.state.secrets.append(name)
        elif not secret and name in self.state.secrets:
            self.state.secrets.remove(name)

    # --- prompts

    def skips_prompt(self) -> bool:
        """Whether digits typed ahead spare the caller this step's prompt.

        Coming to a step a second time they wait for no menu here: they are dropped, or a loop of prompts would spin.
        """
        state = self.state
        if not state.ahead:
            return False
        if state.step in state.skipped:
            state.ahead, state.skipped = "", []
            return False
        state.skipped.append(state.step)
        return True

    def play(self, items: tuple[PromptItem, ...], barge_in: str = "", speech: bool = False, loop: bool = False) -> str:
        """Play prompts; returns the request, or an empty text when there is nothing to play."""
        pieces: list[PlayItem] = []
        names: list[str] = []
        self._render(items, pieces, names, 0)
        if not pieces:
            return ""
        request = self.request("play")
        self.put(Play(request, tuple(pieces), barge_in, speech, loop, tuple(names)))
        self.wait(None if loop else PLAY_WATCHDOG)
        return request

    def render(self, items: tuple[PromptItem, ...]) -> tuple[PlayItem, ...]:
        """Prompts as the gateway plays them, without playing them."""
        pieces: list[PlayItem] = []
        self._render(items, pieces, [], 0)
        return tuple(pieces)

    def _render(self, items: tuple[PromptItem, ...], pieces: list[PlayItem], names: list[str], depth: int) -> None:
        if depth > MAX_PROMPT_DEPTH:
            raise ExpressionError("prompts refer to each other without end")
        for item in items:
            if item.prompt:
                names.append(item.prompt)
                self._render_named(item.prompt, pieces, names, depth)
                continue
            if depth == 0:
                names.append("say" if item.say else "recording" if item.recording else item.file or item.tone or "")
            piece = self._render_piece(item)
            if piece is not None:
                pieces.append(piece)

    def _render_named(self, name: str, pieces: list[PlayItem], names: list[str], depth: int) -> None:
        versions = self.flow.prompts.get(name)
        if versions is None:
            raise ExpressionError(f"there is no prompt {name!r}")
        language = pick_language(versions, self.state.language, self.flow.language)
        recording = self.flow.recordings.get((language or self.state.language, name))
        if recording:
            pieces.append(File(path=recording))
        else:
            self._render(versions[language], pieces, names, depth + 1)

    def _render_piece(self, item: PromptItem) -> PlayItem | None:
        if item.say is not None:
            tag = pick_language(item.say, self.state.language, self.flow.language)
            template = item.say[tag]
            words = MASK if self.is_secret(template) else self.text(template)
            return Speech(text=words, language=tag or self.state.language) if words.strip() else None
        if item.recording is not None:
            path = self.text(item.recording)
            return File(path=path) if path else None
        if item.file:
            name = item.file.replace("{language}", self.state.language)
            return File(path=name if name.startswith("/") else f"{self.flow.folder}/prompts/{name}")
        if item.tone:
            return Tone(name=item.tone, country=item.country, duration_ms=round(item.duration * 1000))
        if item.music:
            return Music(folder=item.music)
        return Silence(duration_ms=round(item.silence * 1000))


def pick_language(versions: Any, wanted: str, default: str) -> str:
    """The key to use: the language wanted, its base, the one for all, the flow's default, or the first there is."""
    for tag in (wanted, wanted.split("-")[0], "", default):
        if tag in versions:
            return tag
    return str(next(iter(versions)))


__all__ = ["EnterFlow", "Finish", "Outcome", "ReturnFlow", "Run", "pick_language", "to_text"]
