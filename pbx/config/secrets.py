"""Where secrets really come from: environment, files, or made by Tandem at the first start.

The configuration holds only sources. `Secrets` holds the values, never shows them, and reads each once; what is missing
is a Problem like any other. Generated secrets live in `<data folder>/secrets`, one file each, readable by the owner
alone.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import md5, sha256
from pathlib import Path
from typing import NamedTuple

from pydantic import SecretStr

from pbx.config.base import SecretSource
from pbx.config.check_environment import is_idle, walk
from pbx.config.messages import spell
from pbx.config.model import Configuration, Extension
from pbx.core.ids import IdSource
from pbx.core.problems import ConfigurationErrors, Problem

MAX_SECRET_BYTES = 4096


class Digest(NamedTuple):
    """What a digest challenge is checked against (RFC 7616 section 3.4.2)."""

    md5: str = ""
    """Hexadecimal HA1; empty where it is not known."""
    sha256: str = ""

    def __repr__(self) -> str:
        return "Digest(<secret>)"


@dataclass(frozen=True, slots=True, repr=False)
class Secrets:
    """All secrets of one configuration."""

    values: Mapping[str, SecretStr]
    """By `str(source)`."""
    made: Mapping[str, SecretStr]
    """Those generated just now, by name: to be shown once."""

    def reveal(self, source: SecretSource) -> str:
        """The secret. Raises KeyError for a source that the configuration does not have."""
        return self.values[str(source)].get_secret_value()

    def digest(self, extension: Extension, realm: str) -> Digest:
        """HA1 of an extension, from its hashes or its password."""
        if extension.ha1 is not None:
            return Digest(extension.ha1.md5 or "", extension.ha1.sha256 or "")
        return make_digest(extension.number, realm, self.reveal(source_of(extension)))

    def __repr__(self) -> str:
        return f"Secrets({len(self.values)} values)"


def source_of(extension: Extension) -> SecretSource:
    """Where an extension's password comes from; generated unless configured."""
    return extension.secret or SecretSource(generated=f"extension-{extension.number}")


def make_digest(username: str, realm: str, password: str) -> Digest:
    """HA1 for both algorithms."""
    text = f"{username}:{realm}:{password}".encode()
    return Digest(md5(text, usedforsecurity=False).hexdigest(), sha256(text).hexdigest())


def list_sources(configuration: Configuration) -> Iterator[tuple[str, SecretSource]]:
    """Every source with its place, those of extensions without one included."""
    for loc, value in walk(configuration):
        if isinstance(value, SecretSource) and not is_idle(configuration, loc):
            yield spell(loc), value
    for number, extension in configuration.extensions.items():
        if extension.secret is None and extension.ha1 is None:
            yield f"extensions.{number}.secret", source_of(extension)


def open_secrets(
    configuration: Configuration,
    ids: IdSource,
    *,
    environment: Mapping[str, str] = os.environ,
    show: Callable[[str, str], None] | None = None,
) -> Secrets:
    """Read every secret; make the generated ones that do not exist yet.

    ``show(name, value)`` is called once for each secret that was made. Raises ConfigurationErrors naming all secrets
    that cannot be had; then nothing has been made.
    """
    folder = configuration.data_folder(environment) / "secrets"
    values: dict[str, SecretStr] = {}
    problems: list[Problem] = []
    wanted: list[SecretSource] = []
    for place, source in list_sources(configuration):
        key = str(source)
        if key in values:
            continue
        try:
            text = _read(source, folder, environment)
        except ValueError as error:
            problems.append(Problem(place, 1, 1, str(error)))
            continue
        if text is None:
            wanted.append(source)
        else:
            values[key] = SecretStr(text)
    if problems:
        raise ConfigurationErrors(problems)
    made: dict[str, SecretStr] = {}
    for source in wanted:
        name = source.generated or ""
        if name not in made:
            text = _make(folder, name, _invent(source, ids))
            made[name] = values[str(source)] = SecretStr(text)
            if show is not None:
                show(name, text)
    return Secrets(values, made)


def _read(source: SecretSource, folder: Path, environment: Mapping[str, str]) -> str | None:
    """The secret, or None for a generated one that is still to be made."""
    if source.env is not None:
        text = environment.get(source.env, "")
        if not text:
            raise ValueError(f"the environment variable {source.env} is not set")
        return text
    path = source.file or folder / (source.generated or "")
    try:
        with path.open("rb") as file:
            data = file.read(MAX_SECRET_BYTES)
            mode = os.fstat(file.fileno()).st_mode
    except FileNotFoundError:
        if source.generated is not None:
            return None
        raise ValueError(f"there is no file {path}") from None
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}") from None
    if mode & (stat.S_IROTH | stat.S_IWOTH):
        raise ValueError(f"{path} can be read or written by everybody; make it 0600")
    text = data.decode("utf-8", "replace").partition("\n")[0].strip()
    if not text:
        raise ValueError(f"{path} is empty")
    return text


def _invent(source: SecretSource, ids: IdSource) -> str:
    if source.digits is None:
        return f"{ids.token()}{ids.token()}"
    return f"{int(ids.token(), 16) % 10**source.digits:0{source.digits}}"


def _make(folder: Path, name: str, value: str) -> str:
    """Write a new secret. If another process was faster, its secret counts."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = folder / name
    part = folder / f".{name}.{os.getpid()}.part"
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(value + "\n")
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(part, path)
    except FileExistsError:
        return path.read_text().strip()
    finally:
        part.unlink()
    return value
