"""Who may use the HTTP API and the CTI socket."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from pbx.config.base import KEY, Model, Name, Secret, refuse

Role = Literal["agent", "supervisor", "quality", "administrator"]


class User(Model):
    """A person or program that logs in."""

    name: Annotated[Name, Field(json_schema_extra=KEY)]
    """Login name: the key it stands under."""
    role: Role
    """Agents see their own calls, supervisors their teams; quality listens and reads; administrators may do all."""
    password_hash: Annotated[str, StringConstraints(pattern=r"^\$argon2id\$.+$")] | None = Field(
        default=None, repr=False
    )
    """Argon2id hash of the password, made by `tandem password`."""
    password: Secret | None = None
    """Password from elsewhere, instead of the hash."""
    token: Secret | None = None
    """Token for programs, instead of or beside the password."""
    agent: Name | None = None
    """The agent this user is."""
    teams: tuple[Name, ...] = ()
    """Teams a supervisor or quality user sees; for a supervisor empty means none, for the others all."""

    @model_validator(mode="after")
    def _check(self) -> User:
        if self.password_hash is not None and self.password is not None:
            raise refuse(
                f"the user {self.name!r} has both a password and its hash", "one of password_hash: and password:"
            )
        if self.password_hash is None and self.password is None and self.token is None:
            raise refuse(f"the user {self.name!r} cannot log in", "password_hash:, password: or token:")
        if self.role == "agent" and self.agent is None:
            raise refuse(f"the user {self.name!r} of role agent is nobody", "agent: ID")
        return self
