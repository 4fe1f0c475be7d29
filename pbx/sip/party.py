"""Who calls, who was called first, and what they want kept private: reading and writing the identity headers.

P-Asserted-Identity and Privacy (RFC 3323, RFC 3325), Remote-Party-ID (draft-ietf-sip-privacy-04, still what many
providers send), Diversion (RFC 5806), History-Info (RFC 7044), User-to-User (RFC 7433), Session-ID (RFC 7989).
What a peer asserts counts only where the caller of these functions trusts it.
"""

from __future__ import annotations

import re
from typing import Literal
from urllib.parse import unquote

import msgspec
from sipmessage import Headers, Request

from .wire import NameAddr, PeerFault, get_user, parse_name_addr, parse_params, parse_uri, split_list
from .writer import clean

MAX_DIVERSIONS = 10
MAX_USER_DATA = 2048
_SESSION_ID = re.compile(r"\s*([0-9a-f]{32})\s*(?:;|\Z)", re.IGNORECASE)
_ANONYMOUS = frozenset(("anonymous", "unknown", "unavailable", "restricted", ""))

CallerFrom = Literal["auto", "from", "p_asserted_identity", "remote_party_id"]
CalledFrom = Literal["request_uri", "to", "p_called_party_id", "diversion"]
IdentityKind = Literal["p_asserted_identity", "remote_party_id", "diversion", "history_info"]


class Diverted(msgspec.Struct, frozen=True):
    """One earlier target of the call."""

    number: str
    reason: str = "unknown"
    """user-busy, no-answer, unconditional, unavailable, follow-me, deflection ... (RFC 5806 section 4)."""


class UserData(msgspec.Struct, frozen=True):
    """One User-to-User value."""

    data: bytes
    purpose: str = ""


class Party(msgspec.Struct, frozen=True, kw_only=True):
    """What an INVITE says about people."""

    number: str
    """User part of the caller's URI; empty where it is withheld from us."""
    name: str = ""
    source: str = "from"
    """Which header it was taken from, in the words of ``CallerFrom``."""
    private: bool = False
    """The caller asked that the called party does not learn the number."""
    called: str = ""
    diverted: tuple[Diverted, ...] = ()
    """Earlier targets, the latest first."""
    user_data: tuple[UserData, ...] = ()
    session_id: str = ""
    """32 hexadecimal digits."""


def read_party(
    request: Request, *, trusted: bool, caller_from: CallerFrom = "auto", called_from: CalledFrom = "request_uri"
) -> Party:
    """Read an INVITE. Without ``trusted`` only From and the Request-URI count. Unreadable values are passed over."""
    headers = request.headers
    caller, source = _find_caller(headers, caller_from if trusted else "from")
    private = _is_private(headers, trusted, source)
    number = user_of(caller.uri)
    if number.lower() in _ANONYMOUS:
        number, private = "", True
    diverted = read_diversions(headers) if trusted else ()
    return Party(
        number=number,
        name="" if number == "" else caller.name,
        source=source,
        private=private,
        called=_find_called(request, called_from if trusted else "request_uri", diverted),
        diverted=diverted,
        user_data=read_user_data(headers),
        session_id=read_session_id(headers),
    )


def read_session_id(headers: Headers) -> str:
    """The sender's UUID of a Session-ID header (RFC 7989), 32 hexadecimal digits; empty where there is none."""
    match = _SESSION_ID.match(headers.get("Session-ID") or "")
    # Nothing but zeros is the nil UUID: the sender knows none (section 5).
    return match[1].lower() if match and match[1].strip("0") else ""


def user_of(uri: str) -> str:
    """User part of a SIP or TEL URI; an empty string for one that has none or cannot be read."""
    try:
        return get_user(parse_uri(uri))
    except ValueError:
        return ""


def _addresses(headers: Headers, name: str) -> list[NameAddr]:
    found = []
    try:
        for value in split_list(headers.getlist(name))[:MAX_DIVERSIONS]:
            found.append(parse_name_addr(value))
    except PeerFault:
        return found
    return found


def _find_caller(headers: Headers, caller_from: CallerFrom) -> tuple[NameAddr, str]:
    if caller_from in ("auto", "p_asserted_identity"):
        asserted = _addresses(headers, "P-Asserted-Identity")
        # RFC 3325 section 9.1: one sip and one tel URI may stand side by side; a number is wanted, so either does.
        for address in asserted:
            if user_of(address.uri):
                return address, "p_asserted_identity"
    if caller_from in ("auto", "remote_party_id"):
        for address in _addresses(headers, "Remote-Party-ID"):
            if address.params.get("party", "calling").lower() == "calling" and user_of(address.uri):
                return address, "remote_party_id"
    found = _addresses(headers, "From")
    return (found[0] if found else NameAddr("", "", {})), "from"


def _is_private(headers: Headers, trusted: bool, source: str) -> bool:
    values = {token.strip().lower() for value in headers.getlist("Privacy") for token in re.split("[;,]", value)}
    if not values.isdisjoint(("id", "user", "header")):
        return True
    if trusted and source == "remote_party_id":
        for address in _addresses(headers, "Remote-Party-ID"):
            if address.params.get("privacy", "off").lower() not in ("off", "none"):
                return True
    return False


def _find_called(request: Request, called_from: CalledFrom, diverted: tuple[Diverted, ...]) -> str:
    if called_from == "diversion" and diverted:
        return diverted[0].number
    if called_from in ("to", "p_called_party_id"):
        found = _addresses(request.headers, "To" if called_from == "to" else "P-Called-Party-ID")
        if found and user_of(found[0].uri):
            return user_of(found[0].uri)
    return get_user(request.uri)


def read_diversions(headers: Headers) -> tuple[Diverted, ...]:
    """Earlier targets by Diversion, else by History-Info; the latest first."""
    found = []
    for address in _addresses(headers, "Diversion"):
        number = user_of(address.uri)
        if number:
            found.append(Diverted(number, address.params.get("reason", "unknown")))
    if found:
        return tuple(found)
    entries = _addresses(headers, "History-Info")
    # The last entry is the present target, everything before it an earlier one (RFC 7044 section 5).
    for address in reversed(entries[:-1]):
        number = user_of(address.uri)
        if number:
            found.append(Diverted(number, _history_reason(address.uri)))
    return tuple(found)


def _history_reason(uri: str) -> str:
    text = unquote(uri.partition("?")[2]).lower()
    for code, reason in (("cause=486", "user-busy"), ("cause=408", "no-answer"), ("cause=302", "unconditional")):
        if code in text:
            return reason
    return "unknown"


def read_user_data(headers: Headers) -> tuple[UserData, ...]:
    """User-to-User values; one that is not as its encoding says is passed over (RFC 7433 section 4)."""
    found = []
    try:
        values = split_list(headers.getlist("User-to-User"))[:MAX_DIVERSIONS]
    except PeerFault:
        return ()
    for value in values:
        content, semi, params = value.partition(";")
        content = content.strip().strip('"')
        try:
            parsed = parse_params(semi + params)
            hexadecimal = parsed.get("encoding", "hex").lower() == "hex"
            data = bytes.fromhex(content) if hexadecimal else content.encode()
        except ValueError:
            continue
        except PeerFault:
            continue
        if data and len(data) <= MAX_USER_DATA:
            found.append(UserData(data, parsed.get("purpose", "")))
    return tuple(found)


def write_identity(
    kinds: tuple[IdentityKind, ...],
    *,
    number: str,
    domain: str,
    name: str = "",
    private: bool = False,
    trusted: bool = False,
    diverted: tuple[Diverted, ...] = (),
    called: str = "",
) -> tuple[tuple[str, str], ...]:
    """Identity headers for an INVITE to a trunk.

    A private number goes only to a ``trusted`` trunk, with Privacy: id; to any other nothing identifies the caller
    (RFC 3325 section 7). The From header is the business of who sends the call: ``get_from`` says what it may show.
    """
    headers: list[tuple[str, str]] = []
    shown = bool(number) and (trusted or not private)
    address = f"{_quote(name)}<sip:{number}@{domain}>"
    if shown and "p_asserted_identity" in kinds:
        headers.append(("P-Asserted-Identity", address))
    if shown and "remote_party_id" in kinds:
        privacy = "full" if private else "off"
        headers.append(("Remote-Party-ID", f"{address};party=calling;privacy={privacy};screen=yes"))
    if private:
        headers.append(("Privacy", "id"))
    if "diversion" in kinds:
        for count, item in enumerate(diverted[:MAX_DIVERSIONS], start=1):
            value = f"<sip:{item.number}@{domain}>;reason={item.reason};counter={count}"
            headers.append(("Diversion", value))
    if "history_info" in kinds and diverted:
        entries = [*reversed(diverted[:MAX_DIVERSIONS])]
        values = [f"<sip:{item.number}@{domain}>;index={'.'.join(['1'] * (at + 1))}" for at, item in enumerate(entries)]
        if called:
            values.append(f"<sip:{called}@{domain}>;index={'.'.join(['1'] * (len(entries) + 1))}")
        headers.append(("History-Info", ", ".join(values)))
    return tuple((header, clean(value)) for header, value in headers)


def get_from(number: str, domain: str, name: str, private: bool) -> tuple[str, str]:
    """(URI, display name) for From: anonymous where the caller wants to stay private (RFC 3323 section 4.1.1.3)."""
    if private or not number:
        return "sip:anonymous@anonymous.invalid", "Anonymous"
    return f"sip:{number}@{domain}", name


def write_user_data(items: tuple[UserData, ...]) -> tuple[tuple[str, str], ...]:
    """User-to-User headers, hexadecimal."""
    headers = []
    for item in items:
        purpose = f";purpose={item.purpose}" if item.purpose else ""
        headers.append(("User-to-User", f"{item.data.hex()};encoding=hex{purpose}"))
    return tuple(headers)


def _quote(name: str) -> str:
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}" ' if name else ""
