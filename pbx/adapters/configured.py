"""A configuration in the words of the parts: what the composition root hands to each of them."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from pbx.adapters.gateway_link import GatewaySpec, make_command
from pbx.adapters.transport import SipListener, find_source
from pbx.app.settings import Settings
from pbx.config.check_environment import find_prompt, read_authorities
from pbx.config.model import Configuration, Gateway, User
from pbx.config.secrets import Secrets
from pbx.config.voices import encode_voices
from pbx.cti.permissions import Directory
from pbx.events.folds.counts import ServiceGoal
from pbx.sip.auth import Account, make_account
from pbx.sip.events import Origin
from pbx.sip.registrar import RegistrarLimits
from pbx.storage.users import ConfiguredUser


def make_listeners(configuration: Configuration) -> list[SipListener]:
    return [
        SipListener(
            name=entry.name,
            transport=entry.transport,
            host=str(entry.address),
            port=entry.port,
            certificate=entry.certificate,
            key=entry.key,
            client_authorities=entry.client_authorities,
            path=entry.path,
            origins=entry.origins,
        )
        for entry in configuration.sip.listeners.values()
    ]


def make_limits(configuration: Configuration) -> RegistrarLimits:
    sip = configuration.sip
    return RegistrarLimits(
        min_expires=int(sip.registration_minimum),
        max_expires=int(sip.registration_maximum),
        default_expires=int(sip.registration_default),
    )


def list_max_contacts(configuration: Configuration) -> dict[str, int]:
    return {extension.number: extension.max_contacts for extension in configuration.extensions.values()}


def make_accounts(configuration: Configuration, secrets: Secrets) -> dict[str, Account]:
    realm = configuration.sip.realm
    accounts = {}
    for extension in configuration.extensions.values():
        digest = secrets.digest(extension, realm)
        hashes = {"MD5": digest.md5, "SHA-256": digest.sha256}
        origin = Origin("extension", extension.number)
        accounts[extension.number] = Account(extension.number, origin, {k: v for k, v in hashes.items() if v})
    for trunk in configuration.trunks.values():
        if trunk.inbound_secret is not None:
            password = secrets.reveal(trunk.inbound_secret)
            for user in trunk.realm_users:
                accounts[user] = make_account(user, realm, password, Origin("trunk", trunk.name))
    return accounts


def make_directory(configuration: Configuration) -> Directory:
    teams: dict[str, list[str]] = {}
    for agent in configuration.agents.values():
        if agent.team:
            teams.setdefault(agent.team, []).append(agent.id)
    return Directory(
        teams={team: tuple(agents) for team, agents in teams.items()},
        agent_queues={agent.id: tuple(agent.queues) for agent in configuration.agents.values()},
        agent_devices={
            agent.id: f"extension:{agent.extension}" for agent in configuration.agents.values() if agent.extension
        },
    )


def make_goals(configuration: Configuration) -> dict[str, ServiceGoal]:
    """What each queue promises, for the live numbers."""
    return {queue.name: ServiceGoal(queue.service_level.threshold) for queue in configuration.queues.values()}


def make_users(configuration: Configuration, secrets: Secrets) -> list[ConfiguredUser]:
    return [
        ConfiguredUser(
            name=user.name,
            role=user.role,
            agent=user.agent or "",
            teams=_teams_of(user, configuration),
            password_hash=user.password_hash or "",
            password=secrets.reveal(user.password) if user.password else "",
            token=secrets.reveal(user.token) if user.token else "",
        )
        for user in configuration.users.values()
    ]


def _write_voices(path: Path, configuration: Configuration, secrets: Secrets) -> Path:
    """For the gateways alone: it holds the tokens of speech services."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o750)
    path.unlink(missing_ok=True)
    path.touch(mode=0o600)
    path.write_bytes(encode_voices(configuration.speech, secrets.reveal))
    return path


def make_settings(configuration: Configuration, secrets: Secrets, version: str) -> Settings:
    def locate_prompt(name: str, language: str) -> str:
        return str(find_prompt(configuration, name, language) or "")

    return Settings(
        configuration,
        reveal=secrets.reveal,
        find_prompt=lru_cache(maxsize=1000)(locate_prompt),
        find_source=find_source,
        version=version,
        stir_authorities=read_authorities(configuration.sip.stir.authorities),
    )


def _teams_of(user: User, configuration: Configuration) -> tuple[str, ...]:
    """Those it names, and those that name it, or its agent, as their supervisor."""
    names = {user.name, user.agent}
    led = (team.name for team in configuration.teams.values() if names & set(team.supervisors))
    return tuple(dict.fromkeys((*user.teams, *led)))


def make_gateway_spec(configuration: Configuration, gateway: Gateway, secrets: Secrets) -> GatewaySpec:
    data = configuration.data_folder().absolute()
    control = gateway.control or f"unix:{data / 'run' / f'gateway-{gateway.name}.sock'}"
    rtp = gateway.rtp or configuration.rtp
    arguments = [
        "--control",
        control,
        "--rtp",
        f"{rtp.port_min}-{rtp.port_max}",
        "--address",
        str(rtp.address),
        "--recordings",
        str(configuration.recording_folder().absolute()),
        "--cache",
        str(data / "cache" / "prompts"),
        "--disk-low",
        str(configuration.recording.low_watermark),
        "--disk-full",
        str(configuration.recording.full_watermark),
        "--log-format",
        configuration.logging.format,
    ]
    for folder in configuration.prompts.folders:
        arguments += ["--prompts", str(folder)]
    if gateway.managed:
        arguments += ["--voices", str(_write_voices(data / "run" / "voices.json", configuration, secrets))]
    return GatewaySpec(
        name=gateway.name,
        control=control,
        command=make_command(arguments) if gateway.managed else (),
        token=secrets.reveal(gateway.secret) if gateway.secret else "",
    )
