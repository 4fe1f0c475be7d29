"""The composition root: builds every part of call control from a configuration, and lets them know each other."""

from __future__ import annotations

import asyncio
import secrets as randomness
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module, metadata
from pathlib import Path

import structlog

from pbx.adapters.answers import make_answers
from pbx.adapters.archivist import Archivist
from pbx.adapters.backend import HttpBackend
from pbx.adapters.certificates import CertificateStore
from pbx.adapters.configured import (
    list_max_contacts,
    make_accounts,
    make_directory,
    make_gateway_spec,
    make_goals,
    make_limits,
    make_listeners,
    make_settings,
    make_users,
)
from pbx.adapters.connections import StreamLimits
from pbx.adapters.control_socket import ControlSocket
from pbx.adapters.desk_server import DeskServer, load_live, make_day_counter
from pbx.adapters.edge_memory import EdgeMemory
from pbx.adapters.flow_services import FlowServices
from pbx.adapters.gatekeeper import Gatekeeper
from pbx.adapters.gateway_link import GatewayLink
from pbx.adapters.housekeeping import Housekeeper
from pbx.adapters.http import HttpServer
from pbx.adapters.ids import SystemIds
from pbx.adapters.loading import keep_versions, load_all
from pbx.adapters.registrations import Registrations, restore_registrations
from pbx.adapters.resolver import Resolver
from pbx.adapters.runtime import Runtime
from pbx.adapters.sip_edge import SipEdge
from pbx.adapters.sip_tls import make_client_context
from pbx.adapters.transport import SipTransports
from pbx.adapters.voicemail import VoicemailWorker
from pbx.adapters.webhooks import Webhooks
from pbx.app.exchange import Exchange
from pbx.app.switch import Switch
from pbx.app.telephony.edge import PlaceGuard, find_places
from pbx.app.voicemail.mailboxes import Voicemail
from pbx.config.diff import ReloadReport, compare
from pbx.config.model import Configuration
from pbx.config.secrets import Secrets, open_secrets
from pbx.core.problems import ConfigurationErrors
from pbx.events import catalogue as facts
from pbx.ivr.flow import compare_flows
from pbx.ivr.messages import Fetched, QueryResult, Recognised
from pbx.sip import identity
from pbx.sip.auth import DigestAuthenticator, answer_challenge
from pbx.sip.commands import Flow
from pbx.sip.events import Output
from pbx.sip.framing import FramingLimits
from pbx.sip.policy import SendRequest
from pbx.sip.registrar import Registrar
from pbx.sip.stack import Stack
from pbx.sip.timing import Timing
from pbx.storage.event_log import Durable, EventLog, StorageAlarm
from pbx.storage.retention import delete_before
from pbx.storage.users import Users

log = structlog.get_logger()

VERSION = metadata.version("tandem-pbx")


class Server:
    """Call control of one configuration folder. ``start``, then ``drain`` and ``stop``."""

    def __init__(self, folder: Path, *, show_secret: Callable[[str, str], None] = lambda name, value: None) -> None:
        self.folder = folder
        self.ids = SystemIds()
        self._show_secret = show_secret
        self.configuration: Configuration
        self.runtime: Runtime
        self.transports: SipTransports
        self.registrar: Registrar
        self.edge: SipEdge
        self._edge_memory: EdgeMemory
        self.log: EventLog
        self.desk: DeskServer
        self.backend: HttpBackend
        self.services: FlowServices
        self.voicemail: VoicemailWorker
        self.webhooks: Webhooks
        self.certificates: CertificateStore
        self.housekeeper: Housekeeper
        self.archivist: Archivist
        self._ready = False
        self.http: HttpServer | None = None
        self._reloading = asyncio.Lock()
        self._control: ControlSocket | None = None
        self._links: dict[str, GatewayLink] = {}

    # --- life -------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Bring everything up. Raises ConfigurationErrors, OSError (a port is taken), StorageUnavailable."""
        configuration, flows = load_all(self.folder)
        self.configuration = configuration
        data = configuration.data_folder()
        data.mkdir(parents=True, exist_ok=True, mode=0o750)
        secrets = open_secrets(configuration, self.ids, show=self._show_secret)
        self.log = self._open_log(configuration, secrets)
        await asyncio.to_thread(self.log.open)
        self.registrar = Registrar(make_limits(configuration), max_contacts=list_max_contacts(configuration))
        resolver = Resolver(self.ids.uniform)
        self.transports = SipTransports(
            make_listeners(configuration),
            self._packet,
            self._closed,
            limits=StreamLimits(idle=configuration.sip.stream_idle_timeout),
            framing=FramingLimits(max_message=configuration.sip.max_message),
            client_tls=make_client_context(authorities=configuration.sip.authorities),
            resolver=resolver,
        )
        self.transports.set_in_use(self._is_in_use)
        await self.transports.start()
        epoch = time.time() - time.monotonic()
        self.edge = SipEdge(
            self.ids,
            self.registrar,
            resolver,
            clock=time.monotonic,
            epoch=epoch,
            perform=self._perform_edge,
            set_server_name=self.transports.set_server_name,
            close_flow=self.transports.close_flow,
        )
        local = self._identity(configuration)
        self.edge.build(configuration, local)
        self.transports.set_shut_out(self.edge.guard.is_shut_out)
        stack = self._make_stack(configuration, secrets)
        switch = Switch(
            make_settings(configuration, secrets, VERSION),
            stack,
            self.registrar,
            flows,
            self.ids,
            epoch=epoch,
            recordings=str(configuration.recording_folder().absolute()),
            voicemail=str(configuration.voicemail_folder().absolute()),
            gateways=tuple(configuration.gateways),
            seq=self.log.last_seq,
        )
        self.runtime = runtime = Runtime(switch, self.log, clock=time.monotonic)
        runtime.sockets = self.transports
        runtime.on_binding = Registrations(self.log.put, epoch).keep
        runtime.on_packet = self.edge.on_packet
        switch.exchange.find_trunk_flow = self.edge.find_trunk_flow
        switch.exchange.find_trunk_others = self.edge.find_trunk_others
        runtime.on_dropped = self.edge.on_dropped
        self._ready = True
        await self._start_desk(configuration, secrets)
        self.services = self._make_services(configuration, secrets)
        runtime.on_fetch = self.services.handle
        self.voicemail = VoicemailWorker(configuration.recording_folder().absolute(), self._tell_voicemail)
        runtime.on_voicemail = self.voicemail.handle
        self.certificates = CertificateStore(self._certificate, clock=time.monotonic)
        self.certificates.timeout = configuration.sip.stir.fetch_timeout
        runtime.on_certificate = self.certificates.fetch
        self.webhooks = Webhooks()
        self.archivist = Archivist(state=runtime.state)
        self.housekeeper = Housekeeper(
            wall=time.time, delete_records=lambda before: delete_before(self.log.engine, before)
        )
        self._configure_chores(configuration, secrets)
        self.housekeeper.start()
        bindings = restore_registrations(self.log.reader.read_bindings(time.time()), epoch)
        runtime.perform(
            switch.do(lambda ex: ex.take_sip(self.registrar.restore(bindings, time.monotonic())), runtime.clock())
        )
        kept_voicemail = await asyncio.to_thread(self.log.reader.read_voicemail)
        self._tell_voicemail(lambda voicemail: voicemail.restore(kept_voicemail))
        kept = await asyncio.to_thread(self.log.reader.read_checkpoints)
        known = [call for call in self.desk.hub.live.state.calls]
        runtime.perform(switch.take_over(kept, known, VERSION, runtime.clock()))
        await self._start_gateways(configuration, secrets)
        self._remember_edge(data, epoch)
        await self.edge.configure(configuration, secrets.reveal, local)
        await self._start_http(configuration)
        self._control = ControlSocket(
            (data / "run" / "control.sock").absolute(),
            {
                "reload": self._answer_reload,
                **make_answers(runtime, self.desk, self.log, self.edge, self.describe),
            },
        )
        await self._control.start()
        await asyncio.to_thread(keep_versions, configuration, flows)

    async def _answer_reload(self, arguments: Mapping[str, str]) -> ReloadReport:
        return await self.reload()

    async def drain(self, seconds: float | None = None) -> None:
        """Refuse new calls and wait until those in progress are over, ``seconds`` at most."""
        self.runtime.perform(self.runtime.switch.drain(self.runtime.clock()))
        limit = self.configuration.drain.timeout if seconds is None else seconds
        await _until(lambda: not self.runtime.switch.exchange.calls, limit)

    async def stop(self, reason: str = "stopped") -> None:
        """Hang up what is left and put everything away; what is in the log is on disk then."""
        runtime = self.runtime
        if self._control is not None:
            await self._control.stop()
        runtime.perform(runtime.switch.end_all(reason, runtime.clock()))
        await self.edge.stop()
        await self._edge_memory.stop()
        # The BYEs leave and the recorders report before the sockets close.
        await _until(lambda: not runtime.switch.exchange.recording.open, 2.0)
        runtime.state(facts.ServerStopped(reason=reason))
        if self.http is not None:
            await self.http.stop()
        self.desk.save_live()
        await self.desk.stop()
        await self.housekeeper.stop()
        await self.archivist.stop()
        await self.webhooks.close()
        await self.voicemail.close()
        await self.certificates.close()
        await self.services.close()
        for link in self._links.values():
            await link.stop()
        runtime.stop()
        await self.transports.stop()
        await asyncio.to_thread(self.log.close)

    async def reload(self) -> ReloadReport:
        """Apply the folder's configuration as a whole, or refuse it and go on with the old one."""
        async with self._reloading:
            return await self._reload()

    async def _reload(self) -> ReloadReport:
        runtime = self.runtime
        try:
            configuration, flows = await asyncio.to_thread(load_all, self.folder)
            secrets = open_secrets(configuration, self.ids, show=self._show_secret)
            changes = [str(change) for change in compare(self.configuration, configuration)]
            changes += compare_flows(runtime.switch.exchange.flows.library, flows)
            client_tls = make_client_context(authorities=configuration.sip.authorities)
            await self.transports.apply(make_listeners(configuration))
        except ConfigurationErrors as error:
            for problem in error.problems:
                log.error("configuration.problem", problem=str(problem))
            runtime.state(facts.ConfigurationRefused(problems=len(error.problems)))
            return ReloadReport(False, problems=error.problems)
        except OSError as error:
            log.error("configuration.refused", reason=str(error))
            runtime.state(facts.ConfigurationRefused(problems=1))
            return ReloadReport(False, reason=str(error))
        self.transports.use_client_tls(client_tls)
        self.transports.reload_certificates()
        self.configuration = configuration
        self.registrar.reconfigure(make_limits(configuration), list_max_contacts(configuration))
        self.authenticator.replace_accounts(make_accounts(configuration, secrets))
        self.places.places = find_places(configuration)
        switch = runtime.switch
        local = self._identity(configuration)
        await self.edge.configure(configuration, secrets.reveal, local)
        switch.exchange.stack.configure(self.edge.policy, local)
        self.certificates.timeout = configuration.sip.stir.fetch_timeout
        settings = make_settings(configuration, secrets, VERSION)
        runtime.perform(switch.configure(settings, flows, changes, runtime.clock()))
        await asyncio.to_thread(self.users.sync_configuration, make_users(configuration, secrets), time.time())
        self.desk.configure(make_directory(configuration), make_goals(configuration))
        self._configure_chores(configuration, secrets)
        self.services.configure(configuration.notices, secrets.reveal)
        await asyncio.to_thread(keep_versions, configuration, flows)
        return ReloadReport(True, tuple(changes))

    def describe(self) -> str:
        """Where it can be reached, for whoever started it."""
        places = []
        for listener in self.configuration.sip.listeners.values():
            host, port = self.transports.listener_address(listener.name)
            places.append(f"sip/{listener.transport} {host}:{port}")
        if self.http is not None:
            places.append(f"http {self.configuration.http.address}:{self.http.port}")
        return f"Tandem {VERSION} is ready: {', '.join(places)}"

    # --- parts ------------------------------------------------------------------------------------------------

    def _open_log(self, configuration: Configuration, secrets: Secrets) -> EventLog:
        loop = asyncio.get_running_loop()
        storage = configuration.storage
        return EventLog(
            configuration.database_url(),
            journal=configuration.data_folder() / "journal",
            password=secrets.reveal(storage.password) if storage.password else "",
            post=loop.call_soon_threadsafe,
            on_durable=self._durable,
            on_alarm=self._storage_alarm,
        )

    def _make_stack(self, configuration: Configuration, secrets: Secrets) -> Stack:
        self.authenticator = DigestAuthenticator(
            make_accounts(configuration, secrets), randomness.token_bytes(32), failures=self.edge.guard
        )
        self.places = PlaceGuard(self.authenticator, find_places(configuration))
        sip = configuration.sip
        return Stack(
            self.edge.policy,
            self._identity(configuration),
            self.ids,
            Timing(t1=sip.timers.t1, t2=sip.timers.t2, t4=sip.timers.t4),
            settings=identity.Settings(
                session_expires=int(sip.session_timer.expires) if sip.session_timer.enabled else 0,
                min_se=int(sip.session_timer.minimum),
                reliable_provisionals=sip.reliable_provisional != "off",
                session_id=sip.session_id,
                tcp_above_bytes=sip.udp_switch_bytes,
                retry_after=int(configuration.drain.retry_after),
            ),
            authenticator=self.places,
            registrar=self.registrar,
            requester=self.edge.trunks,
            guard=self.edge.guard,
            answer_challenge=answer_challenge,
        )

    def _identity(self, configuration: Configuration) -> identity.LocalIdentity:
        listeners = []
        for listener in configuration.sip.listeners.values():
            host, port = self.transports.listener_address(listener.name)
            if host in ("0.0.0.0", "::"):
                host = self.transports.local_address(Flow(listener.transport, "192.0.2.1", 9, listener.name))[0]
            listeners.append(identity.Listener(listener.name, listener.transport, host, port))
        sip = configuration.sip
        return identity.LocalIdentity(
            listeners=tuple(listeners),
            user_agent=sip.user_agent,
            realm=sip.realm,
            external_host=str(sip.external_address or ""),
            local_networks=tuple(str(network) for network in sip.local_networks),
        )

    async def _start_gateways(self, configuration: Configuration, secrets: Secrets) -> None:
        runtime = self.runtime
        for gateway in configuration.gateways.values():
            self._links[gateway.name] = GatewayLink(
                make_gateway_spec(configuration, gateway, secrets),
                on_up=runtime.gateway_up,
                on_down=runtime.gateway_down,
                on_reply=runtime.gateway_reply,
                on_event=runtime.gateway_event,
            )
        runtime.gateways = self._links
        for link in self._links.values():
            try:
                await link.start()
            except TimeoutError:
                log.error("gateway.not_up", gateway=link.spec.name, control=link.spec.control)

    async def _start_desk(self, configuration: Configuration, secrets: Secrets) -> None:
        live = await asyncio.to_thread(
            load_live,
            self.log,
            goals=make_goals(configuration),
            day_of=make_day_counter(configuration.locale.timezone),
        )
        self.users = Users(self.log.engine)
        await asyncio.to_thread(self.users.sync_configuration, make_users(configuration, secrets), time.time())
        gatekeeper = Gatekeeper(self.users, clock=time.monotonic, wall=time.time)
        self.desk = DeskServer(
            self.log,
            gatekeeper,
            live,
            self.runtime.execute,
            clock=time.monotonic,
            wall=time.time,
            directory=make_directory(configuration),
            origins=configuration.http.origins,
            max_backlog=configuration.limits.cti_buffer,
        )
        self.runtime.on_done = self.desk.done
        self.runtime.on_broadcast = lambda message: self.desk.broadcast(
            message.sender, message.text, teams=message.teams
        )
        self.backend = HttpBackend(
            self.runtime,
            self.desk,
            gatekeeper,
            self.users,
            self.log,
            recordings_root=configuration.recording_folder().absolute(),
            metrics_open=configuration.http.metrics_open,
            wall=time.time,
            sip_samples=self.edge.samples,
        )

    async def _start_http(self, configuration: Configuration) -> None:
        # FastAPI takes a second to import: calls do not wait for it.
        create_app = (await asyncio.to_thread(import_module, "pbx.web.app")).create_app
        http = configuration.http
        self.http = HttpServer(
            create_app(self.backend),
            self.desk.make_socket,
            address=str(http.address),
            port=http.port,
            certificate=http.certificate,
            key=http.key,
        )
        await self.http.start()

    def _make_services(self, configuration: Configuration, secrets: Secrets) -> FlowServices:
        runtime = self.runtime

        def answer(call: str, event: Fetched | QueryResult | Recognised) -> None:
            runtime.perform(runtime.switch.answer_request(call, event, runtime.clock()))

        return FlowServices(
            configuration.fetching,
            configuration.sources,
            configuration.notices,
            configuration.speech.recognisers,
            answer=answer,
            tell=lambda level, text, details: getattr(log, level)(text, **details),
            reveal=secrets.reveal,
            clock=time.monotonic,
        )

    # --- callbacks --------------------------------------------------------------------------------------------

    def _packet(self, data: bytes, flow: Flow) -> None:
        # What comes before everything stands is repeated by its sender.
        if self._ready:
            self.runtime.packet(data, flow)

    def _closed(self, flow: Flow) -> None:
        if self._ready:
            self.runtime.flow_closed(flow)

    def _certificate(self, url: str, pem: bytes, failure: str) -> None:
        self.runtime.perform(self.runtime.switch.certificate_fetched(url, pem, failure, self.runtime.clock()))

    def _perform_edge(self, outputs: Sequence[Output]) -> None:
        """Outputs of trunks and guard that come between packets; also arms what they are waiting for."""

        def take(exchange: Exchange) -> None:
            for output in outputs:
                if isinstance(output, SendRequest):
                    exchange.take_sip(
                        exchange.stack.send_request(output.key, output.request, output.flow, exchange.now)
                    )
                else:
                    exchange.take_sip([output])

        self.runtime.perform(self.runtime.switch.do(take, self.runtime.clock()))

    def _tell_voicemail(self, action: Callable[[Voicemail], None]) -> None:
        switch = self.runtime.switch
        self.runtime.perform(switch.do(lambda ex: action(ex.voicemail), self.runtime.clock()))

    def _configure_chores(self, configuration: Configuration, secrets: Secrets) -> None:
        self.webhooks.configure(configuration.webhooks, secrets.reveal)
        self.housekeeper.configure(
            configuration.recording_folder().absolute(),
            configuration.recording.retention_days,
            configuration.storage.event_retention,
        )
        recording = configuration.recording
        self.archivist.configure(
            configuration.recording_folder().absolute(), recording.archive, recording.archive_at_once
        )

    def _remember_edge(self, data: Path, epoch: float) -> None:
        """Bans and what outside calls cost today survive a restart."""
        guard, toll = self.edge.guard, self.runtime.switch.toll
        self._edge_memory = EdgeMemory(data / "run" / "edge.json", epoch)
        kept = self._edge_memory.load()
        guard.restore(kept.bans, time.monotonic())
        toll.guard.restore(kept.uses)
        self._edge_memory.start(lambda: (guard.bans(), toll.uses()))

    def _is_in_use(self, flow: Flow) -> bool:
        """Whether a phone is registered, or a leg talks, over a connection."""
        stack = self.runtime.switch.exchange.stack
        return self.registrar.knows_peer(flow) or any(stack.get_flow(leg) == flow for leg in stack.leg_ids())

    def _durable(self, lines: Sequence[Durable]) -> None:
        self.desk.publish(lines)
        self.webhooks.publish(line for line, _ in lines)
        self.archivist.publish(record.event for _, record in lines)
        self.backend.note_durable(lines[-1][0].seq)

    def _storage_alarm(self, alarm: StorageAlarm) -> None:
        level = "info" if alarm.state == "ok" else "error"
        getattr(log, level)("storage." + alarm.state, detail=alarm.detail)


async def _until(condition: Callable[[], bool], seconds: float) -> None:
    """Wait for something the event loop brings about, ``seconds`` at most."""
    for _ in range(int(seconds / 0.05)):
        if condition():
            return
        await asyncio.sleep(0.05)
