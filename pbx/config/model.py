"""The whole configuration as one frozen value.

Names are keys: `configuration.queues["support"].name == "support"`. Secrets are not in it, only where they come from
(pbx.config.secrets). Durations are seconds. Every model is exported here, so that others need only this module.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import Field

from pbx.config.agents import Agent, Disposition, NotReadyReason, SystemReasons, Team
from pbx.config.base import ConfigPath, InternalNumber, Model, Name, Prompt, Secret, SecretSource, keyed
from pbx.config.calendars import Calendar, CalendarState, Holiday, PublicHolidays, SpecialDay, may_change_at, state_at
from pbx.config.extensions import Extension, Forwards, Ha1, RingGroup
from pbx.config.mailboxes import Mailbox, SharedMailbox
from pbx.config.queues import (
    Announcements,
    CallbackOptions,
    MissedOffer,
    Overflow,
    Queue,
    ServiceLevel,
    Strategy,
    Widening,
)
from pbx.config.recording import Recording, RecordingPolicy
from pbx.config.routes import (
    CODES_WITH_ARGUMENT,
    CODES_WITH_PIN,
    Conference,
    EmergencyNumber,
    FeatureCodes,
    InboundRoute,
    OutboundRoute,
    Parking,
    Routes,
    TrunkChoice,
)
from pbx.config.server import (
    Drain,
    Gateway,
    Guard,
    Http,
    Limits,
    Listener,
    Locale,
    Logging,
    Rtp,
    SessionTimer,
    Sip,
    SipTimers,
    Storage,
    TollFraud,
)
from pbx.config.services import CallerClass, Fetching, Notices, Service, Source, Webhook
from pbx.config.speech import MusicClass, Prompts, Speech, SpeechEngine, SpeechRecogniser, Voice
from pbx.config.trunks import (
    CallerId,
    Codec,
    Health,
    Quirks,
    Registration,
    Rewrite,
    Rewriting,
    Trunk,
    TrunkAuth,
)
from pbx.config.users import Role, User

__all__ = [
    "CODES_WITH_ARGUMENT",
    "CODES_WITH_PIN",
    "Agent",
    "Announcements",
    "Calendar",
    "CalendarState",
    "CallbackOptions",
    "CallerClass",
    "CallerId",
    "Codec",
    "Conference",
    "Configuration",
    "Disposition",
    "Drain",
    "EmergencyNumber",
    "Extension",
    "FeatureCodes",
    "Fetching",
    "Forwards",
    "Gateway",
    "Guard",
    "Ha1",
    "Health",
    "Holiday",
    "Http",
    "InboundRoute",
    "Limits",
    "Listener",
    "Locale",
    "Logging",
    "Mailbox",
    "MissedOffer",
    "MusicClass",
    "NotReadyReason",
    "Notices",
    "OutboundRoute",
    "Overflow",
    "Parking",
    "Prompt",
    "Prompts",
    "PublicHolidays",
    "Queue",
    "Quirks",
    "Recording",
    "RecordingPolicy",
    "Registration",
    "Rewrite",
    "Rewriting",
    "RingGroup",
    "Role",
    "Routes",
    "Rtp",
    "Secret",
    "SecretSource",
    "Service",
    "ServiceLevel",
    "SessionTimer",
    "SharedMailbox",
    "Sip",
    "SipTimers",
    "Source",
    "SpecialDay",
    "Speech",
    "SpeechEngine",
    "SpeechRecogniser",
    "Storage",
    "Strategy",
    "SystemReasons",
    "Team",
    "TollFraud",
    "Trunk",
    "TrunkAuth",
    "TrunkChoice",
    "User",
    "Voice",
    "Webhook",
    "Widening",
    "may_change_at",
    "state_at",
]


class Configuration(Model):
    """Everything an administrator decides, from all files together."""

    # tandem.yaml
    data_dir: ConfigPath | None = None
    """Folder of everything written at run time. TANDEM_HOME in the environment comes before it; default: `var` in the
    working directory."""
    flows: ConfigPath = Field(default=Path("../ivr_flows"), validate_default=True)
    """Folder of the flows."""
    sip: Sip = Sip()
    """SIP in general."""
    rtp: Rtp = Rtp()
    """Voice packets."""
    gateways: Annotated[Mapping[Name, Gateway], keyed("name")] = Field(
        default_factory=lambda: {"local": Gateway(name="local")}
    )
    """Media gateways by name."""
    http: Http = Http()
    """HTTP server."""
    storage: Storage = Storage()
    """Database."""
    recording: Recording = Recording()
    """Recordings."""
    logging: Logging = Logging()
    """Logs."""
    locale: Locale = Locale()
    """Country, time zone, languages."""
    speech: Speech = Speech()
    """Synthesised speech, and understanding what callers say."""
    prompts: Prompts = Prompts()
    """Recorded prompts."""
    music: Annotated[Mapping[Name, MusicClass], keyed("name")] = Field(
        default_factory=lambda: {"default": MusicClass(name="default")}
    )
    """Music classes by name; `default` is always there."""
    limits: Limits = Limits()
    """Upper limits."""
    guard: Guard = Guard()
    """Keeping strangers out."""
    toll_fraud: TollFraud = TollFraud()
    """Limits on calls to outside."""
    drain: Drain = Drain()
    """Ending in peace."""
    users: Annotated[Mapping[Name, User], keyed("name")] = Field(default_factory=dict)
    """Who may use HTTP and CTI, by login name."""
    sources: Annotated[Mapping[Name, Source], keyed("name")] = Field(default_factory=dict)
    """Business databases by name."""
    fetching: Fetching = Fetching()
    """Requests of flows to web services."""
    notices: Notices = Notices()
    """Sending SMS and e-mail."""
    webhooks: Annotated[Mapping[Name, Webhook], keyed("name")] = Field(default_factory=dict)
    """Who is told of events by HTTP."""
    # trunks.yaml
    trunks: Annotated[Mapping[Name, Trunk], keyed("name")] = Field(default_factory=dict)
    """Trunks by name."""
    # extensions.yaml
    extensions: Annotated[Mapping[InternalNumber, Extension], keyed("number")] = Field(default_factory=dict)
    """Extensions by number."""
    ring_groups: Annotated[Mapping[Name, RingGroup], keyed("name")] = Field(default_factory=dict)
    """Ring groups by name."""
    mailboxes: Annotated[Mapping[InternalNumber, SharedMailbox], keyed("number")] = Field(default_factory=dict)
    """Shared voice mailboxes by number."""
    # agents.yaml
    agents: Annotated[Mapping[Name, Agent], keyed("id")] = Field(default_factory=dict)
    """Agents by id."""
    teams: Annotated[Mapping[Name, Team], keyed("name")] = Field(default_factory=dict)
    """Teams by name."""
    not_ready_reasons: Annotated[Mapping[Name, NotReadyReason], keyed("code")] = Field(default_factory=dict)
    """Not-ready reasons by code."""
    system_reasons: SystemReasons = SystemReasons()
    """Reasons that Tandem itself gives."""
    dispositions: Annotated[Mapping[Name, Disposition], keyed("code")] = Field(default_factory=dict)
    """Dispositions by code."""
    # queues.yaml
    queues: Annotated[Mapping[Name, Queue], keyed("name")] = Field(default_factory=dict)
    """Queues by name."""
    # routes.yaml
    routes: Routes = Routes()
    """Which call goes where."""
    # callers.yaml
    callers: Annotated[Mapping[Name, CallerClass], keyed("name")] = Field(default_factory=dict)
    """Classes of callers by name; the first whose numbers fit is taken."""
    # calendars.yaml
    calendars: Annotated[Mapping[Name, Calendar], keyed("name")] = Field(default_factory=dict)
    """Calendars by name."""

    def data_folder(self, environment: Mapping[str, str] = os.environ) -> Path:
        """Where everything written at run time lives."""
        home = environment.get("TANDEM_HOME")
        return Path(home) if home else self.data_dir or Path("var")

    def recording_folder(self, environment: Mapping[str, str] = os.environ) -> Path:
        """Root of the recordings."""
        return self.recording.root or self.data_folder(environment) / "recordings"

    def voicemail_folder(self, environment: Mapping[str, str] = os.environ) -> Path:
        """Where the audio of mailboxes is kept."""
        return self.data_folder(environment) / "voicemail"

    def database_url(self, environment: Mapping[str, str] = os.environ) -> str:
        """The storage URL, with the default filled in; without the password."""
        return self.storage.url or f"sqlite:///{self.data_folder(environment) / 'tandem.db'}"
