"""Who asks: the user behind a CTI connection, an HTTP request or a feature code."""

from __future__ import annotations

from typing import Literal, get_args

import msgspec

Role = Literal["agent", "supervisor", "quality", "administrator"]
ROLES: tuple[Role, ...] = get_args(Role)


class Actor(msgspec.Struct, frozen=True, kw_only=True):
    """An authenticated user and what decides on rights."""

    user: str
    role: Role
    agent: str = ""
    """The agent this user is, where it is one."""
    teams: tuple[str, ...] = ()
    """Teams a supervisor is responsible for, or the agent belongs to."""
