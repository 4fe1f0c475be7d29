"""Session descriptions: parsing, writing (RFC 8866) and offer/answer (RFC 3264) as pure functions."""

from .model import Crypto, Direction, Format, Media, NegotiationError, SdpError, Session, SessionId
from .negotiate import Agreed, answer_offer, is_hold, make_offer, read_answer
from .parse import parse
from .serialise import serialise

__all__ = [
    "Agreed",
    "Crypto",
    "Direction",
    "Format",
    "Media",
    "NegotiationError",
    "SdpError",
    "Session",
    "SessionId",
    "answer_offer",
    "is_hold",
    "make_offer",
    "parse",
    "read_answer",
    "serialise",
]
