"""The registrar: which contacts an extension can be reached at (RFC 3261 section 10.3, RFC 3327, RFC 5626).

Pure: REGISTER requests that were already authenticated come in, the answer and the changes to be stored go out.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Literal, TypeVar

import msgspec
from sipmessage import Request

from pbx.core.timers import Deadline, Timers

from .bindings import Binding, format_contact, make_contact_key, make_key, reroute
from .commands import Flow
from .events import Origin, Output, Registered, Unregistered
from .policy import RegisterReply
from .wire import NameAddr, PeerFault, parse_name_addr, parse_uri, split_list

MAX_CONTACT: Final = 512
"""Characters of a contact URI; longer ones are refused, so that a binding stays small."""
MAX_PATH: Final = 8
FLOW_TIMER: Final = 120
"""Seconds between keep-alive pings that we ask of outbound flows (RFC 5626 section 4.4)."""


class RegistrarLimits(msgspec.Struct, frozen=True, kw_only=True):
    """All times in seconds."""

    min_expires: int = 60
    """Shorter wishes are answered 423 with Min-Expires."""
    max_expires: int = 3600
    """Longer wishes are shortened."""
    nat_max_expires: int = 90
    """The same for phones on UDP whose contact is not where they send from: a router keeps the way to them open only as
    long as they send. 0: no difference."""
    default_expires: int = 3600
    max_contacts: int = 5
    """Per extension, where the extension does not say otherwise."""
    when_full: Literal["replace_oldest", "refuse"] = "replace_oldest"
    """A phone that restarts with a new address must not be locked out by its own stale contact."""


class _Wish:
    """One Contact of a REGISTER, checked."""

    __slots__ = ("contact", "expires", "instance", "key", "q", "reg_id")

    def __init__(self, address: NameAddr, expires: int | None, limits: RegistrarLimits, peer: str) -> None:
        """``peer``: host that a phone on UDP sends from; empty where it does not matter."""
        if len(address.uri) > MAX_CONTACT:
            raise PeerFault(400, "Contact Too Long")
        self.contact = address.uri
        params = address.params
        if "expires" in params:
            # RFC 3261 section 20.10: a malformed value counts as 3600.
            expires = _parse_seconds(params["expires"], 3600)
        if expires is None:
            expires = limits.default_expires
        if 0 < expires < limits.min_expires:
            raise PeerFault(423, "Interval Too Brief", (("Min-Expires", str(limits.min_expires)),))
        self.key = make_contact_key(address.uri)
        self.expires = min(expires, limits.max_expires)
        if peer and limits.nat_max_expires and parse_uri(address.uri).host.strip("[]") != peer:
            self.expires = min(self.expires, max(limits.nat_max_expires, limits.min_expires))
        self.q = _parse_q(params.get("q", ""))
        self.instance = params.get("+sip.instance", "")
        if len(self.instance) > 256 or '"' in self.instance or "\\" in self.instance:
            raise PeerFault(400, "Bad Instance")
        reg_id = params.get("reg-id", "")
        self.reg_id = int(reg_id) if self.instance and reg_id.isascii() and reg_id.isdigit() and len(reg_id) < 6 else 0


class Registrar:
    """Bindings of all extensions; implements ``pbx.sip.policy.Registrar``.

    ``max_contacts`` overrides the limit per extension.
    """

    def __init__(self, limits: RegistrarLimits | None = None, *, max_contacts: Mapping[str, int] | None = None) -> None:
        self._limits = limits or RegistrarLimits()
        self._max_contacts = max_contacts or {}
        self._bindings: dict[str, dict[str, Binding]] = {}
        self._by_flow: dict[Flow, set[tuple[str, str]]] = {}
        self._peers: dict[tuple[str, str, int], int] = {}
        self._timers: Timers[tuple[str, str]] = Timers()

    def reconfigure(self, limits: RegistrarLimits, max_contacts: Mapping[str, int]) -> None:
        """New limits for REGISTERs to come; present bindings stay until they expire."""
        self._limits = limits
        self._max_contacts = max_contacts

    # --- asking ---------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        """How many bindings there are."""
        return len(self._timers)

    def contacts(self, extension: str, now: float) -> list[Binding]:
        """Where to reach ``extension``: highest q first, then the most recently registered."""
        bindings = self._bindings.get(extension)
        if not bindings:
            return []
        live = [binding for binding in bindings.values() if binding.expires_at > now]
        if len(live) > 1:
            live.sort(key=lambda binding: (-binding.q, -binding.expires_at))
        return live

    def knows_peer(self, flow: Flow) -> bool:
        """Whether some phone is registered from this very address and port."""
        return flow[:3] in self._peers

    def all_bindings(self) -> Iterable[Binding]:
        """Every binding, for status pages and snapshots."""
        for bindings in self._bindings.values():
            yield from bindings.values()

    # --- changing -------------------------------------------------------------------------------------------------

    def register(
        self, request: Request, origin: Origin, flow: Flow, now: float
    ) -> tuple[RegisterReply, Sequence[Output]]:
        """Serve a REGISTER whose sender was proven to be ``origin``. All of its contacts are taken, or none."""
        try:
            return self._register(request, origin, flow, now)
        except PeerFault as fault:
            return RegisterReply(fault.status, fault.reason, fault.headers), ()
        except ValueError:
            return RegisterReply(400, "Bad Request"), ()

    def restore(self, registrations: Iterable[Registered], now: float) -> list[Output]:
        """Take back bindings kept in storage; ``expires_at`` is on the clock of ``now``.

        Connections did not survive: a contact behind a stream stays only if it can be connected to. Returns
        ``Unregistered`` for those that were dropped.
        """
        outputs: list[Output] = []
        for kept in registrations:
            flow = reroute(kept.flow, kept.contact, kept.reg_id, kept.path)
            if flow is None or kept.expires_at <= now:
                reason: Literal["expired", "flow_closed"] = "flow_closed" if flow is None else "expired"
                outputs.append(Unregistered(extension=kept.extension, contact=kept.contact, reason=reason))
                continue
            try:
                contact_key = make_contact_key(kept.contact)
            except PeerFault:
                outputs.append(Unregistered(extension=kept.extension, contact=kept.contact, reason="expired"))
                continue
            self._put(
                Binding(
                    kept.extension,
                    make_key(contact_key, kept.instance, kept.reg_id),
                    kept.contact,
                    flow,
                    kept.path,
                    kept.expires_at,
                    kept.call_id,
                    kept.cseq,
                    sys.intern(kept.user_agent),
                    kept.instance,
                    kept.reg_id,
                    kept.q,
                )
            )
        return outputs

    def forget(self, extension: str) -> list[Output]:
        """Drop all contacts of an extension that is no longer configured."""
        return [self._drop(binding, "request") for binding in list(self._bindings.get(extension, {}).values())]

    def flow_closed(self, flow: Flow, now: float) -> list[Output]:
        """A connection ended: contacts that were reachable through it alone are gone (RFC 5626 section 4.2)."""
        outputs: list[Output] = []
        for extension, key in sorted(self._by_flow.get(flow, ())):
            binding = self._bindings[extension][key]
            other = reroute(flow, binding.contact, binding.reg_id, binding.path)
            if other is None:
                outputs.append(self._drop(binding, "flow_closed"))
            else:
                self._unlink_flow(binding)
                binding.flow = other
                self._link_flow(binding)
                outputs.append(binding.to_event())
        return outputs

    def expire(self, now: float) -> list[Output]:
        outputs: list[Output] = []
        while (due := self._timers.pop(now)) is not None:
            outputs.append(self._drop(self._bindings[due[0]][due[1]], "expired"))
        return outputs

    def next_deadline(self) -> Deadline | None:
        entry = self._timers.peek()
        return None if entry is None else Deadline(entry[0], f"binding of {entry[1][0]} expires")

    # --- one REGISTER ---------------------------------------------------------------------------------------------

    def _register(
        self, request: Request, origin: Origin, flow: Flow, now: float
    ) -> tuple[RegisterReply, Sequence[Output]]:
        headers = request.headers
        extension = origin.name
        if origin.kind != "extension" or parse_uri(parse_name_addr(headers["To"]).uri).user != extension:
            raise PeerFault(403, "Not Your Address")
        call_id = headers["Call-ID"][:256]
        cseq = int(headers["CSeq"].split(None, 1)[0])
        contacts = split_list(headers.getlist("Contact"))
        expires = _parse_seconds((headers.get("Expires") or "").strip(), None)
        outputs: list[Output] = []
        outbound = False
        if "*" in contacts:
            if len(contacts) > 1 or expires != 0:
                raise PeerFault(400, "Bad Wildcard Contact")
            outputs = self._remove_all(extension, call_id, cseq)
        elif contacts:
            if len(contacts) > self._limit(extension) and self._limits.when_full == "refuse" or len(contacts) > 16:
                raise PeerFault(403, "Too Many Contacts")
            path = tuple(split_list(headers.getlist("Path")))
            if len(path) > MAX_PATH or sum(map(len, path)) > 4 * MAX_CONTACT:
                raise PeerFault(400, "Path Too Long")
            peer = flow.host if flow.transport == "udp" and not path else ""
            wishes = [_Wish(parse_name_addr(contact), expires, self._limits, peer) for contact in contacts]
            # RFC 5626 section 6: a proxy in between that is no edge proxy takes the flow away from us.
            direct = len(split_list(headers.getlist("Via"))) < 2 or (bool(path) and ";ob" in path[-1].lower())
            for wish in wishes:
                if not direct:
                    wish.reg_id = 0
                wish.key = make_key(wish.key, wish.instance, wish.reg_id)
                outbound = outbound or wish.reg_id > 0
            agent = sys.intern((headers.get("User-Agent") or "")[:128])
            outputs = self._apply(extension, wishes, flow, path, call_id, cseq, agent, now)
        return self._make_reply(request, extension, outbound, now), outputs

    def _apply(
        self,
        extension: str,
        wishes: list[_Wish],
        flow: Flow,
        path: tuple[str, ...],
        call_id: str,
        cseq: int,
        agent: str,
        now: float,
    ) -> list[Output]:
        present = self._bindings.get(extension, {})
        for wish in wishes:
            old = present.get(wish.key)
            if old is not None:
                _check_order(old, call_id, cseq)
        added = {wish.key for wish in wishes if wish.expires and wish.key not in present}
        removed = {wish.key for wish in wishes if not wish.expires}
        full = len(present.keys() - removed) + len(added) > self._limit(extension)
        if full and added and self._limits.when_full == "refuse":
            raise PeerFault(403, "Too Many Contacts")
        outputs: list[Output] = []
        for wish in wishes:
            old = self._bindings.get(extension, {}).get(wish.key)
            if not wish.expires:
                if old is not None:
                    outputs.append(self._drop(old, "request"))
                continue
            if old is not None and old.contact != wish.contact:
                # The same phone under another URI (RFC 5626), or the same URI written differently.
                outputs.append(self._drop(old, "replaced"))
            outputs += self._drop_predecessors(extension, wish)
            binding = Binding(
                extension,
                wish.key,
                wish.contact,
                flow,
                path,
                now + wish.expires,
                call_id,
                cseq,
                agent,
                wish.instance,
                wish.reg_id,
                wish.q,
            )
            self._put(binding)
            same = old is not None and (old.contact, old.flow, old.path, old.q) == (wish.contact, flow, path, wish.q)
            outputs.append(binding.to_event(refreshed=same))
        outputs += self._drop_oldest(extension)
        return outputs

    def _drop_predecessors(self, extension: str, wish: _Wish) -> list[Output]:
        """What is the same phone before it moved or restarted: its instance under another contact without reg-id, or
        its contact without (or with) an instance. Two flows of one instance (RFC 5626) may share a contact."""
        return [
            self._drop(binding, "replaced")
            for binding in list(self._bindings.get(extension, {}).values())
            if binding.key != wish.key
            and (
                (wish.instance and binding.instance == wish.instance and not binding.reg_id and not wish.reg_id)
                or (binding.contact == wish.contact and not (binding.reg_id and wish.reg_id))
            )
        ]

    def _drop_oldest(self, extension: str) -> list[Output]:
        bindings = self._bindings.get(extension, {})
        excess = len(bindings) - self._limit(extension)
        if excess <= 0:
            return []
        # A dictionary keeps the order in which bindings were last put.
        return [self._drop(binding, "replaced") for binding in list(bindings.values())[:excess]]

    def _remove_all(self, extension: str, call_id: str, cseq: int) -> list[Output]:
        bindings = list(self._bindings.get(extension, {}).values())
        for binding in bindings:
            _check_order(binding, call_id, cseq)
        return [self._drop(binding, "request") for binding in bindings]

    def _make_reply(self, request: Request, extension: str, outbound: bool, now: float) -> RegisterReply:
        headers = [("Contact", format_contact(binding, now)) for binding in self.contacts(extension, now)]
        paths = request.headers.getlist("Path")
        if paths and "path" in ",".join(request.headers.getlist("Supported")).lower():
            headers += [("Path", value) for value in paths]
        if outbound:
            headers += [("Require", "outbound"), ("Flow-Timer", str(FLOW_TIMER))]
        return RegisterReply(200, "OK", tuple(headers))

    # --- the tables -----------------------------------------------------------------------------------------------

    def _limit(self, extension: str) -> int:
        return max(1, self._max_contacts.get(extension, self._limits.max_contacts))

    def _put(self, binding: Binding) -> None:
        bindings = self._bindings.setdefault(binding.extension, {})
        old = bindings.pop(binding.key, None)
        if old is not None:
            self._unlink_flow(old)
        bindings[binding.key] = binding
        name = (binding.extension, binding.key)
        self._timers.set(name, binding.expires_at)
        self._link_flow(binding)

    def _drop(self, binding: Binding, reason: Literal["request", "expired", "replaced", "flow_closed"]) -> Output:
        bindings = self._bindings[binding.extension]
        del bindings[binding.key]
        if not bindings:
            del self._bindings[binding.extension]
        self._timers.cancel((binding.extension, binding.key))
        self._unlink_flow(binding)
        return Unregistered(extension=binding.extension, contact=binding.contact, reason=reason)

    def _link_flow(self, binding: Binding) -> None:
        peer = binding.flow[:3]
        self._peers[peer] = self._peers.get(peer, 0) + 1
        if binding.flow.connection:
            self._by_flow.setdefault(binding.flow, set()).add((binding.extension, binding.key))

    def _unlink_flow(self, binding: Binding) -> None:
        peer = binding.flow[:3]
        self._peers[peer] -= 1
        if not self._peers[peer]:
            del self._peers[peer]
        names = self._by_flow.get(binding.flow)
        if names is not None:
            names.discard((binding.extension, binding.key))
            if not names:
                del self._by_flow[binding.flow]


def _check_order(old: Binding, call_id: str, cseq: int) -> None:
    # RFC 3261 section 10.3 point 7: an overtaken REGISTER must not undo a later one.
    if old.call_id == call_id and cseq <= old.cseq:
        raise PeerFault(500, "REGISTER Out of Order")


_T = TypeVar("_T", int, None)


def _parse_seconds(text: str, otherwise: _T) -> int | _T:
    """Delta-seconds (RFC 3261 section 25.1): digits, and more than fit count as the largest."""
    if not text.isascii() or not text.isdigit():
        return otherwise
    return int(text) if len(text) < 10 else 2**31 - 1


def _parse_q(text: str) -> float:
    if not text:
        return 1.0
    try:
        q = float(text)
    except ValueError:
        q = -1.0
    if not 0.0 <= q <= 1.0:
        raise PeerFault(400, "Bad q")
    return q
