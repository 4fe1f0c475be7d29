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


class Smtp(Model):
    """The mail server that e-mail is handed to (RFC 6409)."""

    host: Annotated[str, Field(min_length=1)]
    """Its name or address."""
    port: Annotated[int, Field(ge=1, le=65535)] = 587
    """587 with STARTTLS, 465 with TLS from the start."""
    security: Literal["starttls", "tls", "none"] = "starttls"
    """How the connection is encrypted; `none` is for a server on the same machine, and sends no password."""
    user: str = ""
    """Login name; empty: without login."""
    password: Secret | None = None
    """Password of the user."""
    sender: Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$")]
    """Address that mail comes from."""

    @model_validator(mode="after")
    def _check_login(self) -> Smtp:
        if bool(self.user) != (self.password is not None):
            raise refuse("user and password belong together", "both user: and password:, or neither")
        if self.user and self.security == "none":
            raise refuse("a password would be sent in the clear", "security: starttls, or tls")
        return self


class Notices(Model):
    """Sending SMS and e-mail, for flows, voicemail and reports."""

    sms: Service | None = None
    """Gateway for SMS."""
    email: Service | None = None
    """Gateway for e-mail; carries no attachments."""
    smtp: Smtp | None = None
    """Mail server for e-mail, instead of the gateway."""
    timeout: Seconds = 10.0
    """Longest time for one attempt."""
    attempts: Annotated[int, Field(ge=1, le=20)] = 5
    """Tries, further and further apart."""

    @model_validator(mode="after")
    def _check_one_way(self) -> Notices:
        if self.email is not None and self.smtp is not None:
            raise refuse("there are two ways for e-mail", "email: or smtp:")
        return self


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
