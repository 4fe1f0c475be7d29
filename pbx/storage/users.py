"""Users, passwords and tokens. Blocking; checking a password takes some 50 ms on purpose."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable

import msgspec
from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import Engine, delete, select, update
from sqlalchemy.engine import Row

from pbx.cti.actor import ROLES, Actor, Role

from .log_reader import reading
from .tables import tokens, users

_NAME = re.compile(r"[\w.@+-]{1,64}", re.ASCII)
_HASHER = PasswordHasher()
_NOBODY = _HASHER.hash(secrets.token_hex(8))
"""Checked for unknown users, so that they take as long as known ones."""
MIN_PASSWORD = 8


class UserError(ValueError):
    """What was asked for users or tokens cannot be; the text is for the administrator."""


class User(msgspec.Struct, frozen=True, kw_only=True):
    """A person or program that logs in."""

    name: str
    role: Role
    agent: str = ""
    teams: tuple[str, ...] = ()
    enabled: bool = True
    has_password: bool = False
    origin: str = "command"

    def to_actor(self) -> Actor:
        return Actor(user=self.name, role=self.role, agent=self.agent, teams=self.teams)


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a token; the token itself is not kept."""

    id: str
    user: str
    label: str
    created_at: float
    expires_at: float | None


class ConfiguredUser(msgspec.Struct, frozen=True, kw_only=True):
    """A user as the configuration has it."""

    name: str
    role: Role
    agent: str = ""
    teams: tuple[str, ...] = ()
    password_hash: str = ""
    """argon2id, or empty."""
    password: str = ""
    """In the clear (from a secret), hashed here; instead of ``password_hash``."""
    token: str = ""

    def __repr__(self) -> str:
        return f"ConfiguredUser(name={self.name!r}, role={self.role!r})"


def hash_password(password: str) -> str:
    """argon2id. Raises UserError for one that is too short."""
    if len(password) < MIN_PASSWORD:
        raise UserError(f"a password has at least {MIN_PASSWORD} characters")
    if len(password) > 1024:
        raise UserError("a password has at most 1024 characters")
    return _HASHER.hash(password)


def hash_token(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


class Users:
    """The users' and tokens' tables. Raises StorageUnavailable where the database is away."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    # --- users ----------------------------------------------------------------------------------------------------

    def put_user(
        self,
        name: str,
        role: Role,
        *,
        wall: float,
        agent: str = "",
        teams: Iterable[str] = (),
        password: str | None = None,
        enabled: bool = True,
    ) -> User:
        """Add a user or change it; without ``password`` an existing one is kept. Raises UserError."""
        hashed = hash_password(password) if password is not None else None
        return self._put(
            ConfiguredUser(name=name, role=role, agent=agent, teams=tuple(teams)), hashed, "command", wall, enabled
        )

    def sync_configuration(self, configured: Iterable[ConfiguredUser], wall: float) -> None:
        """Make the users of the configuration what it says; those it no longer names are gone with their tokens.

        Users added by command stay as they are; one of the same name is taken over. Raises UserError.
        """
        named = {user.name: user for user in configured}
        with reading(self._engine) as connection:
            query = select(users.c.name, users.c.password_hash, users.c.origin)
            known = {row.name: row for row in connection.execute(query)}
        for name, row in known.items():
            if row.origin == "configuration" and name not in named:
                self.remove_user(name)
        for user in named.values():
            hashed = user.password_hash
            if user.password:
                old = known[user.name].password_hash if user.name in known else ""
                hashed = old if old and _verify(old, user.password) else hash_password(user.password)
            self._put(user, hashed, "configuration", wall, True)
            self._replace_configured_token(user, wall)

    def list_users(self) -> list[User]:
        with reading(self._engine) as connection:
            return [_make_user(row) for row in connection.execute(select(users).order_by(users.c.name))]

    def find_user(self, name: str) -> User | None:
        with reading(self._engine) as connection:
            row = connection.execute(select(users).where(users.c.name == name)).one_or_none()
            return _make_user(row) if row is not None else None

    def remove_user(self, name: str) -> bool:
        """With all tokens. False if there is none."""
        with reading(self._engine) as connection, connection.begin():
            connection.execute(delete(tokens).where(tokens.c.user_name == name))
            return connection.execute(delete(users).where(users.c.name == name)).rowcount > 0

    def check_password(self, name: str, password: str) -> Actor | None:
        """Who this is, or None: unknown user, wrong password, or user switched off."""
        if len(password) > 1024:
            return None
        with reading(self._engine) as connection:
            row = connection.execute(select(users).where(users.c.name == name)).one_or_none()
        hashed = row.password_hash if row is not None and row.password_hash else _NOBODY
        right = _verify(hashed, password)
        if row is None or not right or not row.password_hash or not row.enabled:
            return None
        if _HASHER.check_needs_rehash(hashed):
            with reading(self._engine) as connection, connection.begin():
                fresh = _HASHER.hash(password)
                connection.execute(update(users).where(users.c.name == name).values(password_hash=fresh))
        return _make_user(row).to_actor()

    # --- tokens ---------------------------------------------------------------------------------------------------

    def create_token(self, user: str, *, wall: float, label: str = "", lifetime_s: float | None = None) -> str:
        """A new token, shown once and kept only as a hash. Raises UserError for an unknown user."""
        if self.find_user(user) is None:
            raise UserError(f"there is no user {user!r}")
        secret = f"tdm_{secrets.token_urlsafe(32)}"
        self._insert_token(secret, user, label, wall, None if lifetime_s is None else wall + lifetime_s)
        return secret

    def check_token(self, token: str, wall: float) -> Actor | None:
        """Who holds this token, or None: unknown, run out, or its user switched off."""
        if not 8 <= len(token) <= 512:
            return None
        hashed = hash_token(token)
        with reading(self._engine) as connection:
            query = select(users, tokens.c.hash, tokens.c.expires_at).join(tokens, tokens.c.user_name == users.c.name)
            row = connection.execute(query.where(tokens.c.hash == hashed)).one_or_none()
        if row is None or not hmac.compare_digest(row.hash, hashed) or not row.enabled:
            return None
        if row.expires_at is not None and row.expires_at <= wall:
            return None
        return _make_user(row).to_actor()

    def list_tokens(self, user: str = "") -> list[Token]:
        query = select(tokens).order_by(tokens.c.user_name, tokens.c.created_at)
        if user:
            query = query.where(tokens.c.user_name == user)
        with reading(self._engine) as connection:
            return [
                Token(
                    id=row.id, user=row.user_name, label=row.label, created_at=row.created_at, expires_at=row.expires_at
                )
                for row in connection.execute(query)
            ]

    def revoke_token(self, token_or_id: str) -> bool:
        """By its id, or the token itself (log-out). False if there is none."""
        with reading(self._engine) as connection, connection.begin():
            chosen = (tokens.c.id == token_or_id) | (tokens.c.hash == hash_token(token_or_id))
            return connection.execute(delete(tokens).where(chosen)).rowcount > 0

    # --- inside ---------------------------------------------------------------------------------------------------

    def _put(self, user: ConfiguredUser, hashed: str | None, origin: str, wall: float, enabled: bool) -> User:
        if not _NAME.fullmatch(user.name):
            raise UserError(f"{user.name!r} is no user name: expected 1 to 64 letters, digits and . _ @ + -")
        if user.role not in ROLES:
            raise UserError(f"{user.role!r} is no role: expected {', '.join(ROLES)}")
        if user.role == "agent" and not user.agent:
            raise UserError(f"the user {user.name!r} of role agent needs the agent it is")
        values = {
            "role": user.role,
            "agent": user.agent,
            "teams": "\n".join(user.teams),
            "origin": origin,
            "enabled": enabled,
            "changed_at": wall,
        }
        if hashed is not None:
            values["password_hash"] = hashed
        with reading(self._engine) as connection, connection.begin():
            if not connection.execute(update(users).where(users.c.name == user.name).values(**values)).rowcount:
                connection.execute(users.insert().values(**({"password_hash": ""} | values), name=user.name))
        found = self.find_user(user.name)
        assert found is not None
        return found

    def _replace_configured_token(self, user: ConfiguredUser, wall: float) -> None:
        with reading(self._engine) as connection, connection.begin():
            mine = (tokens.c.user_name == user.name) & (tokens.c.label == "configuration")
            connection.execute(delete(tokens).where(mine & (tokens.c.hash != hash_token(user.token))))
            known = connection.execute(select(tokens.c.id).where(tokens.c.hash == hash_token(user.token))).first()
        if user.token and known is None:
            self._insert_token(user.token, user.name, "configuration", wall, None)

    def _insert_token(self, token: str, user: str, label: str, wall: float, expires_at: float | None) -> None:
        hashed = hash_token(token)
        with reading(self._engine) as connection, connection.begin():
            connection.execute(
                tokens.insert().values(
                    id=hashed[:12],
                    user_name=user,
                    hash=hashed,
                    label=label,
                    created_at=wall,
                    expires_at=expires_at,
                )
            )


def _verify(hashed: str, password: str) -> bool:
    try:
        return _HASHER.verify(hashed, password)
    except (VerificationError, InvalidHashError):
        return False


def _make_user(row: Row[tuple[object, ...]]) -> User:
    values = row._mapping
    return User(
        name=values["name"],
        role=values["role"],
        agent=values["agent"],
        teams=tuple(values["teams"].split("\n")) if values["teams"] else (),
        enabled=values["enabled"],
        has_password=bool(values["password_hash"]),
        origin=values["origin"],
    )
