"""What the configuration needs from the machine: files, folders, ports that do not collide."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography.x509 import Certificate, load_pem_x509_certificates
from pydantic import BaseModel

from pbx.config.base import Prompt, SecretSource
from pbx.config.messages import Loc, spell
from pbx.config.model import Configuration, Rtp
from pbx.core.problems import Problem
from pbx.core.yaml_tree import Node

AUDIO_SUFFIXES = (".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aiff", ".au")

_INPUT_FILES = frozenset({"certificate", "key", "client_authorities", "authorities", "model"})
_PLAIN = frozenset({type(None), str, int, float, bool})


def check(configuration: Configuration, tree: Node) -> Iterator[Problem]:
    """Problems with files, folders and ports."""
    yield from _check_folders(configuration, tree)
    yield from _check_ports(configuration, tree)
    yield from _check_recognisers(configuration, tree)
    yield from _check_stir(configuration, tree)
    for loc, value in walk(configuration):
        if isinstance(value, SecretSource) and not is_idle(configuration, loc):
            yield from _check_secret(loc, value, tree)
        elif isinstance(value, Prompt) and value.file:
            if find_prompt(configuration, value.file) is None and not (
                configuration.prompts.synthesise_missing and value.text
            ):
                folders = (
                    ", ".join(map(str, configuration.prompts.folders)) or "no folder is configured (prompts.folders)"
                )
                mark = tree.mark_of(loc)
                message = f"{spell(loc)}: there is no prompt {value.file!r}"
                yield mark.problem(message, "an audio file in a prompt folder, or a text", f"searched: {folders}")
        elif isinstance(value, Path) and (loc[-1] in _INPUT_FILES or loc[0] == "sources"):
            if not value.exists():
                yield tree.mark_of(loc).problem(f"{spell(loc)}: there is no file {value}", "a file that exists")


def read_authorities(path: Path | None) -> list[Certificate]:
    """Certificates of a PEM file; none without a file. Raises ``OSError`` and ``ValueError``."""
    return load_pem_x509_certificates(path.read_bytes()) if path is not None else []


def _check_stir(configuration: Configuration, tree: Node) -> Iterator[Problem]:
    path = configuration.sip.stir.authorities
    if path is None:
        for name, trunk in configuration.trunks.items():
            if trunk.stir != "ignore" and trunk.enabled:
                mark = tree.mark_of(("trunks", name, "stir"))
                yield mark.problem(f"the trunk {name!r} cannot judge signatures", "sip: {stir: {authorities: FILE}}")
        return
    try:
        read_authorities(path)
    except FileNotFoundError:
        return  # told with the other files
    except (OSError, ValueError):
        mark = tree.mark_of(("sip", "stir", "authorities"))
        yield mark.problem(f"{path} holds no certificates", "a PEM file with certificates of authorities")


def walk(value: Any, loc: Loc = ()) -> Iterator[tuple[Loc, Any]]:
    """Every model, path and list that somebody wrote, with its place; what is left to defaults is passed over."""
    yield loc, value
    if isinstance(value, BaseModel):
        written = value.model_fields_set
        for name in type(value).model_fields:
            inner = getattr(value, name)
            if name in written and type(inner) not in _PLAIN:
                yield from walk(inner, (*loc, name))
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if type(item) not in _PLAIN:
                yield from walk(item, (*loc, key))
    elif isinstance(value, tuple) and type(value) is tuple:
        for position, item in enumerate(value):
            if type(item) not in _PLAIN:
                yield from walk(item, (*loc, position))


def is_idle(configuration: Configuration, loc: Loc) -> bool:
    """Whether the place belongs to a trunk that is turned off: it needs no secrets."""
    return loc[0] == "trunks" and len(loc) > 1 and not configuration.trunks[str(loc[1])].enabled


def find_prompt(configuration: Configuration, name: str, language: str = "") -> Path | None:
    """The recording of a prompt: the language's folder first; without a language any will do."""
    languages = [language] if language else list(configuration.locale.languages)
    names = [name] if Path(name).suffix in AUDIO_SUFFIXES else [name + suffix for suffix in AUDIO_SUFFIXES]
    for folder in configuration.prompts.folders:
        for place in [folder / tag for tag in languages] + [folder]:
            for file in names:
                if (place / file).is_file():
                    return place / file
    return None


def _check_folders(configuration: Configuration, tree: Node) -> Iterator[Problem]:
    if not configuration.flows.is_dir():
        mark = tree.mark_of(("flows",))
        yield mark.problem(
            f"there is no folder of flows {configuration.flows}", "a folder with a subfolder for each flow"
        )
    for name, music in configuration.music.items():
        loc: Loc = ("music", name, "folder")
        if music.folder is None:
            continue
        if not music.folder.is_dir():
            yield tree.mark_of(loc).problem(
                f"{spell(loc)}: there is no folder {music.folder}", "a folder with audio files"
            )
        elif not any(path.suffix.lower() in AUDIO_SUFFIXES for path in music.folder.iterdir()):
            expected = f"files ending in {', '.join(AUDIO_SUFFIXES)}"
            yield tree.mark_of(loc).problem(f"{spell(loc)}: no audio in {music.folder}", expected)
    for position, folder in enumerate(configuration.prompts.folders):
        if not folder.is_dir():
            place: Loc = ("prompts", "folders", position)
            yield tree.mark_of(place).problem(f"{spell(place)}: there is no folder {folder}", "a folder that exists")


def _check_recognisers(configuration: Configuration, tree: Node) -> Iterator[Problem]:
    for language, entry in configuration.speech.recognisers.items():
        if entry.kind == "pocketsphinx" and find_spec("pocketsphinx") is None:
            loc: Loc = ("speech", "recognisers", language, "kind")
            hint = "pip install 'tandem-pbx[recognition]'"
            yield tree.mark_of(loc).problem(f"{spell(loc)}: pocketsphinx is not installed", "", hint)


def _check_secret(loc: Loc, source: SecretSource, tree: Node) -> Iterator[Problem]:
    mark = tree.mark_of(loc)
    if source.env is not None and not os.environ.get(source.env):
        message = f"{spell(loc)}: the environment variable {source.env} is not set here"
        yield mark.problem(message, "", "the server will not start without it")._replace(severity="warning")
    if source.file is not None:
        try:
            mode = source.file.stat().st_mode
        except OSError as error:
            yield mark.problem(
                f"{spell(loc)}: {source.file} cannot be read: {error.strerror}", "a file with the secret"
            )
            return
        if mode & (stat.S_IRWXG | stat.S_IRWXO) & ~stat.S_IRGRP:
            hint = f"chmod 600 {source.file}"
            message = f"{spell(loc)}: others can read {source.file}"
            yield mark.problem(message, "a file for the owner alone", hint)._replace(severity="warning")


# --- ports --------------------------------------------------------------------------------------------------------


def _check_ports(configuration: Configuration, tree: Node) -> Iterator[Problem]:
    taken: list[tuple[str, str, int, str, Loc]] = []
    for name, listener in configuration.sip.listeners.items():
        loc: Loc = ("sip", "listeners", name)
        protocol = "udp" if listener.transport == "udp" else "tcp"
        taken.append((protocol, str(listener.address), listener.port, f"the listener {name!r}", loc))
    http = configuration.http
    taken.append(("tcp", str(http.address), http.port, "HTTP", ("http", "port")))
    for index, (protocol, address, port, what, loc) in enumerate(taken):
        for other_protocol, other_address, other_port, other, place in taken[:index]:
            if port and (protocol, port) == (other_protocol, other_port) and _same_host(address, other_address):
                mark = tree.mark_of(loc) if tree.find(loc) else tree.mark_of(place)
                yield mark.problem(f"{what} and {other} both want {protocol} port {port}", "a port of its own")
    yield from _check_rtp(configuration, tree, taken)


def _check_rtp(
    configuration: Configuration, tree: Node, taken: list[tuple[str, str, int, str, Loc]]
) -> Iterator[Problem]:
    ranges: list[tuple[str, Rtp, Loc]] = []
    for name, gateway in configuration.gateways.items():
        if gateway.managed:
            own = gateway.rtp is not None
            loc: Loc = ("gateways", name, "rtp") if own else ("gateways", name)
            ranges.append((name, gateway.rtp or configuration.rtp, loc))
    for index, (name, rtp, loc) in enumerate(ranges):
        for other, theirs, _ in ranges[:index]:
            overlap = rtp.port_min <= theirs.port_max and theirs.port_min <= rtp.port_max
            if overlap and _same_host(str(rtp.address), str(theirs.address)):
                message = f"the gateways {name!r} and {other!r} share RTP ports"
                yield tree.mark_of(loc).problem(message, "rtp: with port_min and port_max of its own")
        for protocol, address, port, what, place in taken:
            inside = protocol == "udp" and rtp.port_min <= port <= rtp.port_max
            if inside and _same_host(address, str(rtp.address)):
                mark = tree.mark_of(place)
                yield mark.problem(
                    f"{what} stands on port {port}, amid the RTP ports", f"outside {rtp.port_min}-{rtp.port_max}"
                )


def _same_host(a: str, b: str) -> bool:
    """Whether two sockets of these addresses would meet."""
    first, second = ip_address(a), ip_address(b)
    return first == second or first.is_unspecified or second.is_unspecified
