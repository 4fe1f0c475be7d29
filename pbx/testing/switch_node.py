"""A whole switch as a node of the simulated world: real stack, ACD, flows and sessions; only the media is a double."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from media import protocol as media
from pbx.app.outputs import (
    AnyOutput,
    Append,
    CheckPin,
    Checkpoint,
    FetchCertificate,
    KeepVoicemail,
    MakeMessageAudio,
    Note,
    Notify,
    RemoveMessageAudio,
    ToGateway,
    VoicemailWork,
)
from pbx.app.settings import Settings
from pbx.app.switch import Switch
from pbx.app.voicemail.mailboxes import Voicemail
from pbx.config.model import Configuration
from pbx.core.ids import SeededIds
from pbx.core.timers import Deadline
from pbx.cti.actor import Actor
from pbx.cti.commands import AnyCommand, CommandDone
from pbx.events.catalogue import CallCleared, CallEvent, Record
from pbx.ivr.flow import Flow as IvrFlow
from pbx.ivr.messages import Recognised
from pbx.sip import identity
from pbx.sip.auth import DigestAuthenticator, answer_challenge, make_account
from pbx.sip.commands import Flow
from pbx.sip.events import Origin, Output, Registered, Transmit, Unregistered
from pbx.sip.registrar import Registrar
from pbx.sip.stack import Stack
from pbx.testing.fake_media import FakeMedia
from pbx.testing.policy import SourcePolicy

EPOCH = 1_800_000_000.0


class SwitchNode:
    """Implements ``pbx.testing.netem.Node``. Extensions' passwords are ``secret-NUMBER``."""

    def __init__(
        self,
        configuration: Configuration,
        flows: Mapping[str, IvrFlow],
        *,
        host: str,
        seed: int = 0,
        start: float = 1000.0,
        after: SwitchNode | None = None,
        gateway: FakeMedia | None = None,
    ) -> None:
        """``after``: the process that died; its gateway lives on unless ``gateway`` stands in for it, and what it kept
        is taken over."""
        self.ids = SeededIds(seed)
        self.media: FakeMedia = gateway or (after.media if after else FakeMedia())
        self.records: list[Record] = list(after.records) if after else []
        self.notes: list[Note] = []
        self.notices: list[Notify] = []
        self.certificates_wanted: list[str] = []
        self.done: dict[str, CommandDone] = {}
        self.checkpoints: dict[str, bytes] = dict(after.checkpoints) if after else {}
        self.voicemail: dict[str, str] = dict(after.voicemail) if after else {}
        self.made: dict[str, tuple[str, ...]] = dict(after.made) if after else {}
        """Audio of messages and greetings: path to what it was made of."""
        self.bindings: dict[tuple[str, str], Registered] = dict(after.bindings) if after else {}
        """Registrations as storage keeps them, by extension and contact."""
        self.registrar = Registrar()
        realm = configuration.sip.realm
        accounts = {
            number: make_account(number, realm, f"secret-{number}", Origin("extension", number))
            for number in configuration.extensions
        }
        listeners = tuple(identity.Listener(name, name, host, 5060) for name in ("udp", "tcp"))
        stack = Stack(
            SourcePolicy(configuration),
            identity.LocalIdentity(listeners=listeners, realm=realm),
            self.ids,
            authenticator=DigestAuthenticator(accounts, bytes(32)),
            registrar=self.registrar,
            answer_challenge=answer_challenge,
        )
        self.switch = Switch(
            Settings(configuration, reveal=str),
            stack,
            self.registrar,
            flows,
            self.ids,
            epoch=EPOCH,
            recordings="/recordings",
            voicemail="/voicemail",
            seq=len(self.records),
        )
        self._pending: list[Output] = []
        if after is not None:
            self.media.connect_again()
            kept = list(self.bindings.values())
            self._take(self.switch.do(lambda ex: ex.take_sip(self.registrar.restore(kept, start)), start), start)
            self._tell(lambda voicemail: voicemail.restore(self.voicemail), start)
            self._take(self.switch.take_over(dict(self.checkpoints), _running(self.records), "test", start), start)
        self._take(self.switch.gateway_up("local", self.media.welcome(), start), start)

    # --- Node -------------------------------------------------------------------------------------------------

    def receive(self, packet: bytes, flow: Flow, now: float) -> Sequence[Output]:
        self._take(self.switch.receive(packet, flow, now), now)
        return self._drain()

    def expire(self, now: float) -> Sequence[Output]:
        self.media.expire(now)
        self._pump(now)
        self._take(self.switch.expire(now), now)
        return self._drain()

    def next_deadline(self) -> Deadline | None:
        due = [self.switch.next_deadline(), self.media.next_deadline()]
        return min((deadline for deadline in due if deadline is not None), default=None)

    # --- hands ------------------------------------------------------------------------------------------------

    def press(self, call: str, digits: Iterable[str], now: float) -> Sequence[Output]:
        """The caller of ``call`` presses keys."""
        found = self.switch.exchange.calls.get(call)
        for digit in digits:
            if found is not None and found.anchor:
                self.media.press(found.anchor, digit, now)
                self._pump(now)
        return self._drain()

    def command(self, actor: Actor, command: AnyCommand, request: str, now: float) -> Sequence[Output]:
        """A desktop's command."""
        self._take(self.switch.execute(actor, command, request, now), now)
        return self._drain()

    def happened(self, event: media.AnyEvent, now: float) -> Sequence[Output]:
        """Something the gateway reports that no double would come up with by itself."""
        self._take(self.switch.media_happened("local", event, now), now)
        return self._drain()

    def answered(self, call: str, event: Recognised, now: float) -> Sequence[Output]:
        """A recogniser answers a flow."""
        self._take(self.switch.answer_request(call, event, now), now)
        return self._drain()

    def command_media(self, command: media.AnyCommand, now: float) -> Sequence[Output]:
        """A command to the gateway that the switch gave, and died before it could write that down."""
        self.media.handle(command, now)
        return self._drain()

    def replace_gateway(self, gateway: FakeMedia, now: float) -> Sequence[Output]:
        """The gateway dies, and another is started in its place."""
        self._take(self.switch.gateway_down("local", "connection lost", now), now)
        self.media = gateway
        self._take(self.switch.gateway_up("local", gateway.welcome(), now), now)
        return self._drain()

    def configure(self, configuration: Configuration, flows: Mapping[str, IvrFlow], now: float) -> Sequence[Output]:
        """The configuration is another from now on."""
        self._take(self.switch.configure(Settings(configuration, reveal=str), flows, (), now), now)
        return self._drain()

    def drain(self, now: float) -> Sequence[Output]:
        """The server is about to stop."""
        self._take(self.switch.drain(now), now)
        return self._drain()

    def certify(self, url: str, pem: bytes, now: float, failure: str = "") -> Sequence[Output]:
        """A certificate that was wanted is here."""
        self._take(self.switch.certificate_fetched(url, pem, failure, now), now)
        return self._drain()

    # --- inside -----------------------------------------------------------------------------------------------

    def _take(self, outputs: Sequence[AnyOutput], now: float) -> None:
        commands: list[media.AnyCommand] = []
        for output in outputs:
            if isinstance(output, Transmit):
                self._pending.append(output)
            elif isinstance(output, Append):
                self.records.append(output.record)
            elif isinstance(output, ToGateway):
                commands.append(output.command)
            elif isinstance(output, Note):
                self.notes.append(output)
            elif isinstance(output, VoicemailWork):
                self._work(output, now)
            elif isinstance(output, Notify):
                self.notices.append(output)
            elif isinstance(output, FetchCertificate):
                self.certificates_wanted.append(output.url)
            elif isinstance(output, CommandDone):
                self.done[output.request_id] = output
            else:
                self._keep(output)
        for command in commands:
            self._take(self.switch.media_replied("local", self.media.handle(command, now), now), now)
        self._pump(now)

    def _work(self, work: VoicemailWork, now: float) -> None:
        """The mailboxes' hands: audio is always made, and a hash is the PIN with salt in front."""
        if isinstance(work, MakeMessageAudio):
            self.made[work.path] = work.sources
            self._tell(lambda voicemail: voicemail.made(work.key, 3.0, ""), now)
        elif isinstance(work, RemoveMessageAudio):
            self.made.pop(work.path, None)
        elif isinstance(work, CheckPin):
            fits = work.pin_hash == f"salt-{work.pin}"
            self._tell(lambda voicemail: voicemail.pin_checked(work.request, fits), now)
        else:
            self._tell(lambda voicemail: voicemail.pin_hashed(work.request, f"salt-{work.pin}"), now)

    def _tell(self, action: Callable[[Voicemail], None], now: float) -> None:
        self._take(self.switch.do(lambda ex: action(ex.voicemail), now), now)

    def _keep(self, output: AnyOutput) -> None:
        """What outlives the process."""
        if isinstance(output, Registered):
            self.bindings[output.extension, output.contact] = output
        elif isinstance(output, Unregistered):
            self.bindings.pop((output.extension, output.contact), None)
        elif isinstance(output, KeepVoicemail):
            if output.state:
                self.voicemail[output.key] = output.state
            else:
                self.voicemail.pop(output.key, None)
        elif isinstance(output, Checkpoint):
            if output.state:
                self.checkpoints[output.call] = output.state
            else:
                self.checkpoints.pop(output.call, None)

    def _pump(self, now: float) -> None:
        while self.media.events:
            event: media.AnyEvent = self.media.events.pop(0)
            self._take(self.switch.media_happened("local", event, now), now)

    def _drain(self) -> Sequence[Output]:
        pending, self._pending = self._pending, []
        return pending


def _running(records: Iterable[Record]) -> list[str]:
    """Calls that have begun by the log and not ended."""
    calls: dict[str, None] = {}
    for record in records:
        if isinstance(record.event, CallCleared):
            calls.pop(record.event.call, None)
        elif isinstance(record.event, CallEvent) and record.event.call:
            calls[record.event.call] = None
    return list(calls)
