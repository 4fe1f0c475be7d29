"""Why a desktop's command was not carried out."""

from __future__ import annotations

from pbx.cti.commands import ErrorCode


class Refusal(Exception):
    """Ends a command with a CommandRejected."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code: ErrorCode = code
        self.message = message
