"""The configuration as the sessions ask for it: short questions, worked out once per configuration."""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Literal

from cryptography.x509 import Certificate

from media.protocol import Music
from pbx.call.directory import spell
from pbx.call.negotiation import MediaChoice
from pbx.call.routing import CalendarState, NumberPlan
from pbx.config.model import CallerClass, Configuration, Quirks, RecordingPolicy, SecretSource, may_change_at, state_at

_NO_QUIRKS = Quirks()


class Settings:
    """A configuration in force. Replaced as a whole on reload; live calls read the new one."""

    def __init__(
        self,
        configuration: Configuration,
        *,
        reveal: Callable[[SecretSource], str],
        find_prompt: Callable[[str, str], str] = lambda name, language: "",
        find_source: Callable[[str], str] = lambda peer: "",
        version: str = "",
        stir_authorities: Sequence[Certificate] = (),
    ) -> None:
        """``find_prompt``: path of a recorded prompt by name and language, empty if there is none; ``find_source``:
        our own address on the way to a peer, empty if it is not known."""
        self.find_prompt = find_prompt
        self._find_address = lru_cache(maxsize=10_000)(self._choose_address)
        self._find_source = find_source
        self.configuration = configuration
        self.version = version
        self.stir_authorities = stir_authorities
        self.plan = NumberPlan(configuration)
        self.country = configuration.locale.country
        self.tone_country = self.country.lower()
        self.language = configuration.locale.language
        self.hold_music = "default"
        self.max_forwards = configuration.sip.max_forwards
        self.reveal = reveal
        """Gives the secret behind a source; raises KeyError for one that is not of this configuration."""
        self._overrides: dict[str, CalendarState] = {}
        self._choices: dict[str, MediaChoice] = {}
        self.spoken = tuple(configuration.speech.recognisers)
        """Languages whose speakers are understood."""
        for extension in configuration.extensions.values():
            spell(extension.name)  # now, not while calls wait: the tables of pinyin take a while to load
        self.rtp_timeout_ms = int(configuration.rtp.timeout * 1000)
        self.agents_by_extension = {
            agent.extension: agent.id for agent in configuration.agents.values() if agent.extension
        }

    # --- media ------------------------------------------------------------------------------------------------

    def media_of(self, device: str) -> MediaChoice:
        """Codecs, digits and encryption that are used with ``device``."""
        choice = self._choices.get(device)
        if choice is None:
            kind, _, name = device.partition(":")
            table = self.configuration.extensions if kind == "extension" else self.configuration.trunks
            entry = table.get(name)
            choice = (
                MediaChoice()
                if entry is None
                else MediaChoice(codecs=tuple(entry.codecs), dtmf=entry.dtmf, srtp=entry.srtp)
            )
            self._choices[device] = choice
        return choice

    def quirks_of(self, device: str) -> Quirks:
        """What has to be minded with ``device``; phones have no quirks of their own."""
        kind, _, name = device.partition(":")
        trunk = self.configuration.trunks.get(name) if kind == "trunk" else None
        return trunk.quirks if trunk is not None else _NO_QUIRKS

    def music(self, name: str) -> Music:
        entry = self.configuration.music.get(name) or self.configuration.music.get("default")
        # An empty folder is the gateway's own piece.
        folder = str(entry.folder) if entry is not None and entry.folder else ""
        return Music(folder=folder, gain_db=entry.gain_db if entry is not None else 0.0)

    def media_address(self, bound: str, peer: str) -> str:
        """What SDP tells a peer, by its signalling address, of a port that the gateway bound at ``bound``.

        Peers outside the local networks are told the external address; a gateway on all addresses is told of by the
        one on the way to the peer.
        """
        return self._find_address(bound, peer) if peer else bound

    def _choose_address(self, bound: str, peer: str) -> str:
        outside = self.configuration.rtp.advertised_address or self.configuration.sip.external_address
        try:
            address, ours = ipaddress.ip_address(peer), ipaddress.ip_address(bound)
        except ValueError:
            return bound
        if outside is not None and outside.version == ours.version:
            networks = self.configuration.sip.local_networks
            if not any(address in network for network in networks if network.version == address.version):
                return str(outside)
        return (self._find_source(peer) or bound) if ours.is_unspecified else bound

    # --- callers ----------------------------------------------------------------------------------------------

    def caller_class(self, number: str) -> CallerClass | None:
        """The first class of callers that ``number`` belongs to."""
        for entry in self.configuration.callers.values():
            if any(pattern.matches(number) for pattern in entry.numbers):
                return entry
        return None

    # --- queues -----------------------------------------------------------------------------------------------

    def queue_music(self, queue: str) -> str:
        entry = self.configuration.queues.get(queue)
        return entry.music if entry else "default"

    def queue_key(self, queue: str, digit: str) -> str:
        """Destination of a key pressed while waiting; empty: it means nothing."""
        entry = self.configuration.queues.get(queue)
        target = entry.keys.get(digit) if entry else None
        return str(target) if target else ""

    # --- calendars --------------------------------------------------------------------------------------------

    def calendar_state(self, calendar: str, wall: float) -> tuple[CalendarState, str]:
        """State of a calendar and the name of its holiday; an override by hand comes first."""
        override = self._overrides.get(calendar)
        if override is not None:
            return override, ""
        entry = self.configuration.calendars.get(calendar)
        if entry is None:
            return "open", ""
        found = state_at(entry, datetime.fromtimestamp(wall, UTC), self.configuration.locale.timezone)
        return found.state, found.name

    def calendar_may_change_at(self, calendar: str, wall: float) -> float:
        """When :meth:`calendar_state` may next say something else by itself, in Unix time; infinity: never."""
        entry = self.configuration.calendars.get(calendar)
        if entry is None:
            return math.inf
        return may_change_at(entry, datetime.fromtimestamp(wall, UTC), self.configuration.locale.timezone).timestamp()

    def is_overridden(self, calendar: str) -> bool:
        """Whether somebody switched the calendar by hand."""
        return calendar in self._overrides

    def override(self, calendar: str, state: Literal["open", "closed", "holiday", "auto"]) -> None:
        if state == "auto":
            self._overrides.pop(calendar, None)
        else:
            self._overrides[calendar] = state

    # --- recording --------------------------------------------------------------------------------------------

    def recording_policy(
        self, *, trunk: str = "", extension: str = "", queue: str = "", agent: str = ""
    ) -> RecordingPolicy:
        """The most particular policy that says something: agent, queue, extension, trunk, then the general one."""
        configuration = self.configuration
        for table, name in (
            (configuration.agents, agent),
            (configuration.queues, queue),
            (configuration.extensions, extension),
            (configuration.trunks, trunk),
        ):
            entry = table.get(name) if name else None
            if entry is not None and entry.recording is not None:
                return entry.recording
        return configuration.recording.policy
