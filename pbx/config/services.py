"""What Tandem talks to beside telephones: business databases, web services, webhooks; and the classes of callers."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, HttpUrl, model_validator

from pbx.config.base import KEY, ConfigPath, Model, Name, Pattern, Seconds, Secret, refuse


class Source(Model):
    """A business database that flows ask with the verb `sql`. Tandem only reads."""

    name: Annotated[Name, Field(json_schema_extra=KEY)]
    """Name of the source: the key it stands under."""
    file: ConfigPath | None = None
    """An SQLite file."""
    url: Annotated[str, Field(pattern=r"^postgresql://[^:@/]*@?[^@]*$")] | None = None
    """A PostgreSQL database, postgresql://user@host/database; its password goes below."""
    password: Secret | None = None
    """Password of the database user."""
    pool: Annotated[int, Field(ge=1, le=100)] = 4
    """Connections at the same time; statements beyond wait."""
    timeout: Seconds = 3.0
    """Longest time for one statement, whatever a flow asks for."""

    @model_validator(mode="after")
    def _check_place(self) -> Source:
        if (self.file is None) == (self.url is None):
            raise refuse(f"the source {self.name!r} needs one place", "file: for SQLite, or url: for PostgreSQL")
        return self


class Service(Model):
    """Where notices of one kind are posted as JSON."""

    url: HttpUrl
    """POST target."""
    token: Secret | None = None
    """Bearer token."""
    sender: str = ""
    """Sender's number or address, passed on."""


class Notices(Model):
    """Sending SMS and e-mail, for flows, voicemail and reports."""

    sms: Service | None = None
    """Gateway for SMS."""
    email: Service | None = None
    """Gateway for e-mail."""
    timeout: Seconds = 10.0
    """Longest time for one attempt."""
    attempts: Annotated[int, Field(ge=1, le=20)] = 5
    """Tries, further and further apart."""


class Fetching(Model):
    """Requests of flows to web services (verb `http`)."""

    hosts: tuple[str, ...] = ()
    """Hosts that may be asked; empty: any."""
    max_concurrent: Annotated[int, Field(ge=1, le=10000)] = 100
    """Requests at the same time."""
    failures: Annotated[int, Field(ge=1, le=1000)] = 5
    """So many failures in a row open a host's circuit: requests then fail at once ..."""
    pause: Seconds = 30.0
    """... for so long, before one is tried again."""


class Webhook(Model):
    """Somebody who is told of events by HTTP."""

    name: Annotated[Name, Field(json_schema_extra=KEY)]
    """Name of the webhook: the key it stands under."""
    url: HttpUrl
    """POST target; the body is the event as on the CTI socket."""
    events: tuple[str, ...] = ()
    """Names of events; empty: alarms only."""
    secret: Secret | None = None
    """Signs the body: HMAC-SHA-256 in the header X-Tandem-Signature."""
    timeout: Seconds = 10.0
    """Longest time for one attempt."""


class CallerClass(Model):
    """Callers who are treated alike; flows ask for it, and blocked ones are not served at all."""

    name: Annotated[Name, Field(json_schema_extra=KEY)]
    """Name of the class: the key it stands under."""
    title: str = ""
    """For people."""
    numbers: Annotated[tuple[Pattern, ...], Field(min_length=1)]
    """Numbers and patterns, as they are after the trunk's rewriting."""
    treatment: Literal["normal", "priority", "block"] = "normal"
    """Nothing by itself, a higher priority in queues, or refusal."""
    priority: Annotated[int, Field(ge=-100, le=100)] = 0
    """Added to the priority in queues."""
