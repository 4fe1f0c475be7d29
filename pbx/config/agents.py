"""agents.yaml: people, their skills, teams, and the reasons and results they choose from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import BeforeValidator, Field, WithJsonSchema

from pbx.config.base import KEY, InternalNumber, Label, Language, Model, Name, Seconds, Secret
from pbx.config.recording import Policy

Level = Annotated[int, Field(ge=1, le=10)]
"""How good: 1 a beginner, 10 the best."""

AgentId = Annotated[Name, Field(json_schema_extra=KEY)]


def _read_levels(value: object) -> object:
    """A list of names is the mapping of each to level 5."""
    if isinstance(value, list | tuple) and all(isinstance(item, str) for item in value):
        return dict.fromkeys(value, 5)
    return value


Levels = Annotated[
    Mapping[Name, Level],
    BeforeValidator(_read_levels),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "object", "additionalProperties": {"type": "integer", "minimum": 1, "maximum": 10}},
                {"type": "array", "items": {"type": "string"}},
            ]
        }
    ),
]
"""Names with levels, `{english: 8, billing: 4}`; a plain list means level 5 for each."""


class Agent(Model):
    """Somebody who takes calls from queues."""

    id: AgentId
    """Id of the agent: the key it stands under; dialled at login where it is digits."""
    name: Label
    """Shown to supervisors and callers' records."""
    extension: InternalNumber | None = None
    """Phone used when login names none; without one the agent logs in at any phone (hot desk)."""
    pin: Secret | None = None
    """PIN for login by feature code; default: no login by feature code at a foreign phone."""
    skills: Levels = Field(default_factory=dict)
    """What the agent can do and how well."""
    queues: Levels = Field(default_factory=dict)
    """Queues the agent serves, with a level for strategies that use one."""
    team: Name | None = None
    """Team, for supervisors and reports."""
    languages: tuple[Language, ...] = ()
    """Languages spoken; each is also the skill `language-TAG` at level 10."""
    after_call_work: Seconds | None = None
    """Longest after-call work; default: the queue's."""
    auto_answer: bool = False
    """Calls of queues are answered by the phone itself, after a beep."""
    recording: Policy | None = None
    """Recording of the agent's calls; default: the queue's."""
    voice_capacity: Annotated[int, Field(ge=0, le=5)] = 1
    """Calls at the same time."""
    chat_capacity: Annotated[int, Field(ge=0, le=20)] = 0
    """Chats at the same time, for channels to come."""


class Team(Model):
    """Agents under the same supervisors."""

    name: Annotated[Name, Field(json_schema_extra=KEY)]
    """Name of the team: the key it stands under."""
    title: str = ""
    """For people."""
    supervisors: tuple[Name, ...] = ()
    """Agents or users who supervise it."""


class NotReadyReason(Model):
    """Why an agent takes no calls."""

    code: Annotated[Name, Field(json_schema_extra=KEY)]
    """Code of the reason: the key it stands under."""
    title: Label
    """For people."""
    digit: Annotated[str, Field(pattern=r"^[0-9]{1,2}$"), WithJsonSchema({"type": ["string", "integer"]})] | None = None
    """Dialled after the not-ready code."""
    limit: Seconds = 0.0
    """An alarm after this; 0: never."""


class Disposition(Model):
    """The result of a call, chosen by the agent."""

    code: Annotated[Name, Field(json_schema_extra=KEY)]
    """Code of the disposition: the key it stands under."""
    title: Label
    """For people."""
    queues: tuple[Name, ...] = ()
    """Offered in these queues; empty: in all."""


class SystemReasons(Model):
    """Codes Tandem itself uses when it makes an agent not ready."""

    supervisor: Name = "by-supervisor"
    """A supervisor did it without naming a reason."""
