"""Identity headers and what they carry: PASSporTs (RFC 8224, RFC 8225) with attestation (SHAKEN, RFC 8588).

Reading and judging in two steps, because the certificate has to be fetched between them: ``read_passport`` gives the
claims and where the certificate is, ``judge_passport`` what they are worth with it. A ``StirFault`` carries the status
of RFC 8224 section 6.2.2. The compact form, which SHAKEN does not allow, is refused.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from .stir_chain import Chain, StirFault
from .values import PeerFault, parse_params

MAX_TOKEN = 8192
MAX_HEADERS = 5
_TOKEN = re.compile(r"\s*([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\s*(;.*)?\Z", re.DOTALL)
_DIGITS = re.compile(r"[^0-9*#]")

Attestation = Literal["", "A", "B", "C"]


class _Header(msgspec.Struct):
    typ: str
    alg: str
    x5u: str
    ppt: str = ""


class _Party(msgspec.Struct):
    tn: str = ""


class _Parties(msgspec.Struct):
    tn: list[str] = []


class _Claims(msgspec.Struct):
    iat: int
    orig: _Party
    dest: _Parties
    attest: Attestation = ""
    origid: str = ""


class Passport(msgspec.Struct, frozen=True, kw_only=True):
    """What a caller's provider says of a call, before it is proven."""

    signed: bytes
    """Header and payload as they were signed."""
    signature: bytes
    """r and s, 32 octets each (RFC 7518 section 3.4)."""
    url: str
    """Where the certificate is."""
    caller: str
    called: tuple[str, ...]
    issued_at: int
    """Seconds since 1970."""
    attestation: Attestation = ""
    """A: the provider knows the caller and that the number is his; B: it knows the caller; C: it only let him in."""
    origin: str = ""
    """The provider's own mark of where the call entered."""


def read_passport(values: Sequence[str]) -> Passport | None:
    """The PASSporT of an INVITE's Identity headers: that of SHAKEN, else a plain one; None: there is none we know.

    Raises ``StirFault`` for one that cannot be read.
    """
    found: Passport | None = None
    for value in values[:MAX_HEADERS]:
        passport, kind = _read(value)
        if kind == "shaken":
            return passport
        if kind == "" and found is None:
            found = passport
    return found


def _read(value: str) -> tuple[Passport | None, str]:
    match = _TOKEN.match(value) if len(value) <= MAX_TOKEN else None
    if match is None:
        raise StirFault(438, "unreadable Identity header")
    try:
        params = parse_params((match[4] or "").rstrip())
    except PeerFault:
        raise StirFault(438, "unreadable Identity header") from None
    kind = params.get("ppt", "").strip('"').lower()
    if kind not in ("", "shaken"):
        return None, kind
    try:
        header = msgspec.json.decode(_decode(match[1]), type=_Header)
        claims = msgspec.json.decode(_decode(match[2]), type=_Claims)
        signature = _decode(match[3])
    except (msgspec.MsgspecError, binascii.Error, ValueError):
        raise StirFault(438, "unreadable PASSporT") from None
    if header.typ.lower() != "passport" or header.ppt != kind:
        raise StirFault(438, "the Identity header and its PASSporT differ")
    if header.alg != "ES256" or params.get("alg", "ES256").strip('"') != "ES256":
        raise StirFault(437, f"unknown algorithm {header.alg[:20]}")
    info = params.get("info", "").strip("<>")
    if info != header.x5u:
        raise StirFault(436, "info and x5u differ")
    if kind == "shaken" and not (claims.attest and claims.origid):
        raise StirFault(438, "attestation is missing")
    passport = Passport(
        signed=f"{match[1]}.{match[2]}".encode(),
        signature=signature,
        url=info,
        caller=canonical(claims.orig.tn),
        called=tuple(canonical(number) for number in claims.dest.tn[:20]),
        issued_at=claims.iat,
        attestation=claims.attest,
        origin=claims.origid[:64],
    )
    return passport, kind


def _decode(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def canonical(number: str) -> str:
    """A telephone number as PASSporTs write it (RFC 8224 section 8.3): digits, no plus."""
    return _DIGITS.sub("", number)


def judge_passport(
    passport: Passport, chain: Chain, *, caller: str, called: Iterable[str], wall: float, max_age: float
) -> None:
    """Raise ``StirFault`` unless the PASSporT is fresh, speaks of this call and is signed by a certificate we believe.

    ``caller`` and ``called`` are the call's numbers, each in E.164; one of several forms of ``called`` is enough.
    ``wall``: seconds since 1970. ``max_age``: seconds, into the future too (RFC 8224 section 6.2 step 4).
    """
    if abs(wall - passport.issued_at) > max_age:
        raise StirFault(403, "Stale Date")
    if not passport.caller or passport.caller != canonical(caller):
        raise StirFault(438, "the caller's number is not the one that was signed")
    if not {canonical(number) for number in called} & set(passport.called) - {""}:
        raise StirFault(438, "the called number is not the one that was signed")
    chain.check(passport.signed, passport.signature, passport.caller, wall)
