"""The trunks: registered, watched with OPTIONS, and recognised when they call (RFC 3261 sections 10.2 and 11).

Pure; implements ``pbx.sip.policy.Requester``. A trunk is up, down, or not yet known to be either (then it is used).
Names are resolved by the shell, which tells the addresses with ``set_targets``.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence

import msgspec
from sipmessage import URI, Request

from pbx.core.ids import IdSource
from pbx.core.timers import Deadline, Timers

from .commands import Flow
from .events import Output, TrunkState
from .identity import Addresses, LocalIdentity
from .policy import RequestDone, SendRequest
from .trunk_registration import TrunkRegistration
from .trunk_spec import TrunkSpec

_BUSY = frozenset((408, 503, 504))
"""Answers to OPTIONS that mean the trunk cannot take calls; any other means that somebody is there."""


_UNRESOLVED = "DNS: its name leads nowhere"


class TrunkStatus(msgspec.Struct, frozen=True):
    """For pages and metrics."""

    name: str
    state: str
    """up, down or unknown."""
    reason: str
    registered_until: float
    """Monotonic seconds; 0 where it does not register."""
    flow: Flow | None


class _Trunk:
    """State of one trunk."""

    __slots__ = (
        "failures",
        "failing",
        "networks",
        "probe",
        "probe_call_id",
        "reason",
        "registration",
        "running",
        "spec",
        "state",
        "successes",
        "target",
        "targets",
    )

    def __init__(self, spec: TrunkSpec, ids: IdSource, addresses: Addresses) -> None:
        self.spec = spec
        self.networks = [ipaddress.ip_network(text, strict=False) for text in spec.networks]
        self.targets: tuple[Flow, ...] = (spec.make_flow(spec.host),) if _is_address(spec.host) else ()
        self.target = 0
        self.state = "unknown"
        self.reason = ""
        self.registration = (
            TrunkRegistration(spec, spec.registration, ids, addresses) if spec.registration is not None else None
        )
        self.probe = 0
        self.probe_call_id = ids.token()
        self.running = False
        self.failing = ""
        """What was wrong with the last probes, once there were enough of them."""
        self.failures = 0
        self.successes = 0

    @property
    def flow(self) -> Flow | None:
        return self.targets[self.target % len(self.targets)] if self.targets else None


class Trunks:
    """All trunks. Outputs are ``SendRequest`` and, on every change, ``TrunkState``."""

    def __init__(self, ids: IdSource, local: LocalIdentity) -> None:
        self._ids = ids
        self._addresses = Addresses(local)
        self._trunks: dict[str, _Trunk] = {}
        self._timers: Timers[tuple[str, str]] = Timers()
        self._by_host: dict[str, tuple[str, ...]] = {}
        self._leaving: dict[str, TrunkRegistration] = {}

    # --- configuration ----------------------------------------------------------------------------------------------

    def configure(self, specs: Iterable[TrunkSpec], now: float, local: LocalIdentity | None = None) -> list[Output]:
        """Take these trunks; those that did not change go on undisturbed, removed ones are unregistered.

        Raises ``ValueError`` for a malformed network, with nothing changed.
        """
        wanted = {spec.name: spec for spec in specs}
        addresses = Addresses(local) if local is not None else self._addresses
        fresh = {
            name: _Trunk(spec, self._ids, addresses)
            for name, spec in wanted.items()
            if name not in self._trunks or self._trunks[name].spec != spec
        }
        self._addresses = addresses
        outputs: list[Output] = []
        for name in [name for name in self._trunks if name in fresh or name not in wanted]:
            outputs += self._unregister(self._trunks.pop(name))
            for kind in ("register", "options", "answer"):
                self._timers.cancel((name, kind))
        self._trunks |= fresh
        self._by_host.clear()
        for trunk in fresh.values():
            # Not all in the same instant.
            outputs += self._begin(trunk, now + self._ids.uniform(0.0, min(1.0, 0.02 * len(fresh))))
        return outputs

    def set_targets(self, name: str, targets: Sequence[Flow], now: float) -> list[Output]:
        """The addresses a trunk's name was resolved to, best first; empty: it could not be resolved.

        What was known before stays in use then: a name server that is away takes no trunk down.
        """
        trunk = self._trunks.get(name)
        if trunk is None:
            return []
        if not targets and not trunk.targets:
            trunk.failing = _UNRESOLVED
            return self._settle(trunk)
        if not targets or tuple(targets) == trunk.targets:
            return []
        if trunk.failing == _UNRESOLVED:
            trunk.failing = ""
        was = trunk.flow
        trunk.targets = tuple(targets)
        trunk.target = trunk.targets.index(was) if was in trunk.targets else 0
        self._by_host.clear()
        return [] if was else self._begin(trunk, now)

    def stop(self, now: float) -> list[Output]:
        """Unregister everywhere; the server is going down."""
        outputs: list[Output] = []
        for trunk in self._trunks.values():
            outputs += self._unregister(trunk)
        self._timers = Timers()
        return outputs

    def is_leaving(self) -> bool:
        """Whether a provider has still to answer to our unregistering."""
        return bool(self._leaving)

    # --- asking -----------------------------------------------------------------------------------------------------

    def names(self) -> list[TrunkSpec]:
        """Trunks whose host is a name that the shell has to resolve."""
        return [trunk.spec for trunk in self._trunks.values() if trunk.spec.host and not _is_address(trunk.spec.host)]

    def get_flow(self, name: str) -> Flow | None:
        """Where requests to a trunk go now: the target that answers; None for an unknown or unresolved one."""
        trunk = self._trunks.get(name)
        return trunk.flow if trunk is not None else None

    def get_targets(self, name: str) -> tuple[Flow, ...]:
        """All addresses of a trunk, the current one first."""
        trunk = self._trunks.get(name)
        if trunk is None or not trunk.targets:
            return ()
        at = trunk.target % len(trunk.targets)
        return trunk.targets[at:] + trunk.targets[:at]

    def is_down(self, name: str) -> bool:
        trunk = self._trunks.get(name)
        return trunk is not None and trunk.state == "down"

    def statuses(self) -> list[TrunkStatus]:
        return [
            TrunkStatus(
                trunk.spec.name,
                trunk.state,
                trunk.reason,
                trunk.registration.until if trunk.registration is not None else 0.0,
                trunk.flow,
            )
            for trunk in self._trunks.values()
        ]

    def addresses(self) -> list[str]:
        """Networks and addresses of all trunks in CIDR, which the guard must never ban."""
        found = {str(network) for trunk in self._trunks.values() for network in trunk.networks}
        found |= {flow.host for trunk in self._trunks.values() for flow in trunk.targets}
        return sorted(found)

    def find_by_address(self, host: str) -> str:
        """Name of the (first) trunk at an address; empty if there is none. For counters."""
        names = self._look_up(host)
        return names[0] if names else ""

    def find_origin(self, request: Request, flow: Flow) -> str:
        """Name of the trunk a request outside dialogs comes from; empty if from none.

        By the token in the contact we registered, else by source address. Where several trunks share the address (two
        accounts at one provider), the one whose contact or account the Request-URI names, else the first.
        """
        uri = request.uri
        token = uri.parameters.get("rt")
        names = self._look_up(flow.host)
        if token:
            for trunk in self._trunks.values():
                if trunk.registration is not None and trunk.registration.token == token:
                    return trunk.spec.name
        if len(names) > 1:
            for name in names:
                registration = self._trunks[name].registration
                if registration is not None and uri.user == registration.contact_user:
                    return name
            return next((name for name in names if self._trunks[name].spec.port == flow.port), names[0])
        return names[0] if names else ""

    # --- policy.Requester -------------------------------------------------------------------------------------------

    def request_done(self, done: RequestDone, now: float) -> list[Output]:
        kind, _, rest = done.key.partition(":")
        name, _, number = rest.rpartition(":")
        leaving = self._leaving.get(name)
        if leaving is not None and kind == "register" and leaving.is_current(number):
            more = leaving.finish(done.response, done.failure, done.flow, now)
            if not more:
                del self._leaving[name]
            return list(more)
        trunk = self._trunks.get(name)
        if trunk is None:
            return []
        outputs: list[Output] = []
        if kind == "register" and trunk.registration is not None and trunk.registration.is_current(number):
            outputs += trunk.registration.finish(done.response, done.failure, done.flow, now)
            if trunk.registration.wants_other_target:
                trunk.registration.wants_other_target = False
                trunk.target += 1
        elif kind == "options" and trunk.running and number == str(trunk.probe):
            busy = done.response is None or done.response.code in _BUSY
            if done.response is None:
                problem = f"no answer ({done.failure or 'timeout'})"
            else:
                problem = f"{done.response.code} {done.response.phrase}"
            self._end_probe(trunk, problem if busy else "", now)
        return outputs + self._settle(trunk)

    def flow_closed(self, flow: Flow, now: float) -> list[Output]:
        outputs: list[Output] = []
        if flow.transport == "udp":
            return outputs
        for trunk in self._trunks.values():
            if trunk.registration is not None and any(target[:3] == flow[:3] for target in trunk.targets):
                trunk.registration.connection_closed(now)
                outputs += self._settle(trunk)
        return outputs

    def expire(self, now: float) -> list[Output]:
        outputs: list[Output] = []
        while (due := self._timers.pop(now)) is not None:
            trunk = self._trunks[due[0]]
            if due[1] == "register" and trunk.registration is not None:
                outputs += trunk.registration.expire(trunk.flow, now)
            elif due[1] == "options":
                outputs += self._start_probe(trunk, now)
            elif due[1] == "answer":
                self._end_probe(trunk, "no answer (timeout)", now)
            outputs += self._settle(trunk)
        return outputs

    def next_deadline(self) -> Deadline | None:
        entry = self._timers.peek()
        return None if entry is None else Deadline(entry[0], f"{entry[1][1]} of trunk {entry[1][0]}")

    # --- inside -----------------------------------------------------------------------------------------------------

    def _begin(self, trunk: _Trunk, at: float) -> list[Output]:
        if not trunk.spec.host or trunk.flow is None:
            return self._settle(trunk)
        if trunk.registration is not None and trunk.registration.state in ("idle", "waiting"):
            trunk.registration.due = at
        if trunk.spec.health_interval > 0:
            self._timers.set((trunk.spec.name, "options"), at)
        return self._settle(trunk)

    def _unregister(self, trunk: _Trunk) -> list[Output]:
        flow = trunk.flow
        if trunk.registration is None or flow is None:
            return []
        requests = trunk.registration.unregister(flow)
        if requests:
            self._leaving[trunk.spec.name] = trunk.registration
        return list(requests)

    def _start_probe(self, trunk: _Trunk, now: float) -> list[Output]:
        spec, flow = trunk.spec, trunk.flow
        if flow is None:
            self._end_probe(trunk, "name cannot be resolved", now)
            return []
        trunk.probe += 1
        trunk.running = True
        self._timers.set((spec.name, "answer"), now + spec.health_timeout)
        domain = spec.domain or spec.host
        request = Request("OPTIONS", URI(scheme="sip", host=_bracket(domain), port=spec.port or None))
        local = f"<{self._addresses.get(flow)[1]}>"
        for name, value in (
            ("From", f"{local};tag={self._ids.token()}"),
            ("To", f"<sip:{_bracket(domain)}>"),
            ("Call-ID", trunk.probe_call_id),
            ("CSeq", f"{trunk.probe} OPTIONS"),
            ("Accept", "application/sdp"),
        ):
            request.headers.add(name, value)
        return [SendRequest(key=f"options:{spec.name}:{trunk.probe}", request=request, flow=flow)]

    def _end_probe(self, trunk: _Trunk, problem: str, now: float) -> None:
        spec = trunk.spec
        trunk.running = False
        self._timers.cancel((spec.name, "answer"))
        if problem:
            trunk.failures, trunk.successes = trunk.failures + 1, 0
            trunk.target += 1
            if trunk.failures >= spec.health_failures:
                trunk.failing = f"OPTIONS: {problem}"
        else:
            trunk.failures, trunk.successes = 0, trunk.successes + 1
            if trunk.successes >= spec.health_successes:
                trunk.failing = ""
        # Sooner while something is wrong, so that a dead target is found out quickly.
        wait = spec.health_interval if not problem or trunk.failing else min(spec.health_interval, spec.health_timeout)
        self._timers.set((spec.name, "options"), now + wait * self._ids.uniform(0.9, 1.0))

    def _settle(self, trunk: _Trunk) -> list[Output]:
        """Set the timer of the registration, and tell a change of state."""
        spec, registration = trunk.spec, trunk.registration
        watched = spec.health_interval > 0 and bool(spec.host)
        known = not watched or trunk.successes >= spec.health_successes
        problem = trunk.failing
        if registration is not None:
            if registration.due is not None:
                self._timers.set((spec.name, "register"), registration.due)
            else:
                self._timers.cancel((spec.name, "register"))
            problem = f"REGISTER: {registration.problem}" if registration.problem else problem
            known = known and registration.state == "registered"
        state = "down" if problem else "up" if known else trunk.state
        if trunk.state == "down" and not problem and not known:
            # Trying again is not being up again.
            return []
        if state == trunk.state or state == "unknown":
            trunk.reason = problem
            return []
        trunk.state, trunk.reason = state, problem
        reason = problem or ("registered" if registration is not None else "answers" if watched else "not watched")
        return [TrunkState(trunk=spec.name, state="down" if problem else "up", reason=reason)]

    def _look_up(self, host: str) -> tuple[str, ...]:
        names = self._by_host.get(host)
        if names is None:
            if len(self._by_host) > 10_000:
                self._by_host.clear()
            names = self._by_host[host] = self._find_by_host(host)
        return names

    def _find_by_host(self, host: str) -> tuple[str, ...]:
        try:
            address = ipaddress.ip_address(host.partition("%")[0])
        except ValueError:
            return ()
        return tuple(
            name
            for name, trunk in self._trunks.items()
            if any(address in network for network in trunk.networks) or any(t.host == host for t in trunk.targets)
        )


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _bracket(host: str) -> str:
    return f"[{host}]" if ":" in host else host
