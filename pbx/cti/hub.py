"""All CTI clients: requests in, events out. Pure: the shell brings text and durable events, and does what it returns.

An event is encoded once for everybody and finds its readers through indexes by topic, never by a walk over the peers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from pbx.core.timers import Deadline, Timers
from pbx.events.catalogue import Record
from pbx.events.folds.live import LiveFold
from pbx.events.line import Line

from . import commands as c
from .actor import Actor
from .answers import Answers
from .boards import EVERY_S, Boards
from .command_book import CommandBook
from .following import Following, HubStats, Sender
from .outputs import CheckToken, Close, Output
from .peer import Forbidden, Peer
from .permissions import Directory, find_scope
from .protocol import (
    CLOSE_FLOOD,
    CLOSE_GOING_AWAY,
    CLOSE_NOT_AUTHENTICATED,
    CLOSE_RESUBSCRIBE,
    CLOSE_REVOKED,
    CLOSE_SLOW_READER,
    INVALID_REQUEST,
    MAX_MESSAGE,
    PARSE_ERROR,
    REQUESTS,
    Authenticate,
    Ping,
    Request,
    RpcId,
    Subscribe,
    TextMessage,
    Unsubscribe,
    Welcome,
    decode_request,
    make_answer,
    make_error,
    make_notification,
    make_result,
)

AUTHENTICATE_WITHIN_S = 10.0
POSITION_EVERY_S = 15.0


class Hub:
    """``wrap`` makes a frame ready for the wire (a WebSocket header, say): once a frame, not once a peer.

    ``epoch`` is the wall clock when ``now`` was 0."""

    def __init__(
        self,
        live: LiveFold,
        directory: Directory | None = None,
        *,
        wrap: Callable[[bytes], bytes] = lambda frame: frame,
        max_backlog: int = 4 << 20,
        epoch: float = 0.0,
    ) -> None:
        self.live = live
        self.answers = Answers()
        self.stats = HubStats()
        self.directory = directory or Directory()
        """In force; changed by ``configure``."""
        self._sender = Sender(wrap, self.stats)
        self._max_backlog = max_backlog
        self._epoch = epoch
        self._boards = Boards(live)
        self._peers: dict[int, Peer] = {}
        self._next_peer = 1
        self._following = Following(live, self._sender)
        self._timers: Timers[str | int] = Timers()
        self._book = CommandBook(self.answers, self.live, lambda: self.directory)

    # --- peers ----------------------------------------------------------------------------------------------------

    @property
    def seq(self) -> int:
        """Newest durable event."""
        return self.live.state.seq

    def __len__(self) -> int:
        return len(self._peers)

    def count_following(self) -> int:
        """Peers that get events as they happen."""
        return sum(peer.state == "live" for peer in self._peers.values())

    def connect(self, now: float, actor: Actor | None = None) -> int:
        """A new client, whose token was checked already if ``actor`` is given."""
        peer = Peer(self._next_peer, now, actor)
        self._next_peer += 1
        self._peers[peer.id] = peer
        if actor is None:
            self._timers.set(peer.id, now + AUTHENTICATE_WITHIN_S)
        if "position" not in self._timers:
            self._timers.set("position", now + POSITION_EVERY_S)
        return peer.id

    def disconnect(self, peer_id: int) -> None:
        """The client is gone, or its connection is."""
        peer = self._peers.pop(peer_id, None)
        self._timers.cancel(peer_id)
        if peer is not None:
            self._following.end(peer)
            peer.state = "closed"

    def check_backlog(self, peer_id: int, buffered: int) -> list[Output]:
        """``buffered`` bytes wait to be read by the client: too many, and it is closed rather than skipped."""
        peer = self._peers.get(peer_id)
        if peer is None or buffered <= self._max_backlog:
            return []
        self.stats.closed_slow += 1
        reason = f"slow reader: {buffered} bytes unread, limit {self._max_backlog}; resume with the last seq you read"
        return self._close(peer, CLOSE_SLOW_READER, reason)

    def revoke(self, user: str) -> list[Output]:
        """Rights of this user changed: it has to come again."""
        peers = [peer for peer in self._peers.values() if peer.actor is not None and peer.actor.user == user]
        return [out for peer in peers for out in self._close(peer, CLOSE_REVOKED, "your rights have changed")]

    def configure(self, directory: Directory) -> list[Output]:
        """Teams or queues changed: whoever follows something has to subscribe again."""
        if directory == self.directory:
            return []
        self.directory = directory
        peers = [peer for peer in self._peers.values() if peer.state in ("live", "catching_up") and not peer.everything]
        return [out for peer in peers for out in self._close(peer, CLOSE_RESUBSCRIBE, "teams or queues have changed")]

    def shut_down(self) -> list[Output]:
        """Goodbye to everybody."""
        peers = list(self._peers.values())
        return [out for peer in peers for out in self._close(peer, CLOSE_GOING_AWAY, "the server stops")]

    # --- requests -------------------------------------------------------------------------------------------------

    def receive(self, peer_id: int, text: bytes | str, now: float) -> list[Output]:
        """A message of a client."""
        peer = self._peers.get(peer_id)
        if peer is None or peer.state == "closed":
            return []
        if not peer.take_token(now):
            return self._close(peer, CLOSE_FLOOD, "too many requests")
        if len(text) > MAX_MESSAGE:
            return self._send(peer, make_error(None, "bad_request", f"a message has at most {MAX_MESSAGE} bytes"))
        try:
            request = decode_request(text)
        except msgspec.ValidationError as error:
            return self._send(peer, make_error(None, "bad_request", str(error), number=INVALID_REQUEST))
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            return self._send(peer, make_error(None, "bad_request", str(error), number=PARSE_ERROR))
        if request.id is msgspec.UNSET:
            text = "every request needs an id: notifications from clients are not understood"
            return self._send(peer, make_error(None, "bad_request", text, number=INVALID_REQUEST))
        return self._dispatch(peer, request, request.id, now)

    def _dispatch(self, peer: Peer, request: Request, id: RpcId, now: float) -> list[Output]:
        kind = REQUESTS.get(request.method) or c.COMMANDS.get(request.method)
        if kind is None:
            return self._send(peer, make_error(id, "unknown_command", f"there is no method {request.method!r}"))
        if kind is not Authenticate and peer.actor is None:
            return self._send(peer, make_error(id, "not_authenticated", "send Authenticate first"))
        try:
            params: Any = msgspec.json.decode(request.params, type=kind)
        except (msgspec.ValidationError, msgspec.DecodeError, RecursionError) as error:
            return self._send(peer, make_error(id, "bad_request", str(error)))
        if isinstance(params, Authenticate):
            return self._authenticate(peer, params, id)
        if isinstance(params, Subscribe):
            return self._subscribe(peer, params, id, now)
        if isinstance(params, Unsubscribe):
            self._following.end(peer)
            peer.state = "open"
            return self._send(peer, make_result(id, {"seq": self.seq}))
        if isinstance(params, Ping):
            return self._send(peer, make_result(id, {"seq": self.seq}))
        return self._command(peer, params, id, now)

    # --- who ------------------------------------------------------------------------------------------------------

    def _authenticate(self, peer: Peer, params: Authenticate, id: RpcId) -> list[Output]:
        if peer.state != "new":
            return self._send(peer, make_error(id, "wrong_state", "you are known already"))
        peer.state, peer.request = "authenticating", id
        return [CheckToken(peer.id, params.token)]

    def token_checked(self, peer_id: int, actor: Actor | None, now: float) -> list[Output]:
        """Whose token it was; None: nobody's."""
        peer = self._peers.get(peer_id)
        if peer is None or peer.state != "authenticating":
            return []
        assert peer.request is not None
        if actor is None:
            outputs = self._send(peer, make_error(peer.request, "not_authenticated", "this token is not valid"))
            return outputs + self._close(peer, CLOSE_NOT_AUTHENTICATED, "this token is not valid")
        self._timers.cancel(peer.id)
        peer.actor, peer.state = actor, "open"
        welcome = Welcome(user=actor.user, role=actor.role, agent=actor.agent, seq=self.seq)
        return self._send(peer, make_result(peer.request, welcome))

    # --- following ------------------------------------------------------------------------------------------------

    def _subscribe(self, peer: Peer, wanted: Subscribe, id: RpcId, now: float) -> list[Output]:
        try:
            peer.follow(wanted, self.directory)
        except Forbidden as error:
            return self._send(peer, make_error(id, "forbidden", str(error)))
        outputs = self._following.begin(peer, wanted.since, id)
        if peer.wallboard:
            self._timers.set("wallboard", self._timers.at("wallboard") or now + EVERY_S)
            outputs += self._send(peer, self._boards.make_first(peer, self.directory, self._epoch + now))
        return outputs

    def log_read(self, peer_id: int, since: int, lines: Sequence[Line], now: float) -> list[Output]:
        """The page of the log after ``since`` that ``ReadLog`` asked for."""
        peer = self._peers.get(peer_id)
        outputs = self._following.take_page(peer, since, lines) if peer is not None else []
        if outputs is None:
            assert peer is not None
            return self._close(peer, CLOSE_RESUBSCRIBE, "events are not kept any more: subscribe again")
        return outputs

    def publish(self, durable: Iterable[tuple[Line, Record]], now: float) -> list[Output]:
        """Events that are on disk, in order; those that are known already are passed over."""
        return self._following.publish(durable)

    def broadcast(
        self,
        sender: str,
        text: str,
        *,
        agents: Iterable[str] = (),
        queues: Iterable[str] = (),
        teams: Iterable[str] = (),
    ) -> list[Output]:
        """A line of text for desktops: these agents', and those of these queues and teams; none named: everybody's."""
        chosen = set(agents) | self.directory.agents_of(teams)
        wanted = set(queues)
        chosen |= {agent for agent, own in self.directory.agent_queues.items() if not wanted.isdisjoint(own)}
        everybody = not (chosen or wanted or list(teams))
        frame = self._sender.wrap(make_notification("message", TextMessage(sender=sender, text=text)))
        return [
            self._sender.deliver(peer, [frame])
            for peer in self._peers.values()
            if peer.actor is not None and peer.state != "closed" and (everybody or peer.actor.agent in chosen)
        ]

    # --- commands -------------------------------------------------------------------------------------------------

    def _command(self, peer: Peer, command: c.AnyCommand, id: RpcId, now: float) -> list[Output]:
        assert peer.actor is not None
        answer, outputs = self._book.begin(peer.actor, peer.id, command, id, now)
        if answer is not None:
            return self._send(peer, answer)
        self.stats.commands += bool(outputs)
        if outputs and isinstance(command, c.BroadcastMessage):
            # The hub's own business: the switch knows nothing of desktops.
            done = c.CommandDone(request_id=outputs[0].request_id, result=c.Accepted())
            return self._broadcast_for(peer.actor, command) + self.done(done, now)
        return [*outputs]

    def _broadcast_for(self, actor: Actor, command: c.BroadcastMessage) -> list[Output]:
        agents: Iterable[str] = command.agents
        if not (agents or command.queues or command.teams):
            agents = find_scope(actor, self.directory).agents
        return self.broadcast(actor.user, command.text, agents=agents, queues=command.queues, teams=command.teams)

    def done(self, done: c.CommandDone, now: float) -> list[Output]:
        """The switch answered."""
        return [*self._book.finish(done, now)]

    def answer_kept(self, user: str, id: str, now: float) -> list[Output]:
        """The answer is on disk: now it may be told."""
        result = self.answers.find(user, id)
        outputs: list[Output] = []
        for peer_id in self.answers.take_waiting(user, id):
            peer = self._peers.get(peer_id)
            if peer is not None and result is not None:
                outputs += self._send(peer, make_answer(id, result))
        return outputs

    # --- time -----------------------------------------------------------------------------------------------------

    def next_deadline(self) -> Deadline | None:
        due = self._timers.peek()
        return Deadline(due[0], due[1] if isinstance(due[1], str) else "authentication") if due else None

    def expire(self, now: float) -> list[Output]:
        outputs: list[Output] = []
        while (key := self._timers.pop(now)) is not None:
            if isinstance(key, int):
                if (peer := self._peers.get(key)) is not None:
                    outputs += self._close(peer, CLOSE_NOT_AUTHENTICATED, "no token in time")
            elif key == "wallboard":
                outputs += self._show_boards(now)
            elif self._peers:
                self._timers.set("position", now + POSITION_EVERY_S)
                outputs += self._following.announce_position(self._peers.values())
        return outputs

    def _show_boards(self, now: float) -> list[Output]:
        watching = [peer for peer in self._peers.values() if peer.wallboard and peer.state in ("live", "catching_up")]
        if watching:
            self._timers.set("wallboard", now + EVERY_S)
        wrapped: dict[int, bytes] = {}
        outputs: list[Output] = []
        for peer, frame in self._boards.make_frames(watching, self.directory, self._epoch + now):
            wrapped[id(frame)] = ready = wrapped.get(id(frame)) or self._sender.wrap(frame)
            outputs.append(self._sender.deliver(peer, [ready]))
        return outputs

    # --- sending --------------------------------------------------------------------------------------------------

    def _send(self, peer: Peer, frame: bytes) -> list[Output]:
        return self._sender.send(peer, frame)

    def _close(self, peer: Peer, code: int, reason: str) -> list[Output]:
        self.disconnect(peer.id)
        return [Close(peer.id, code, reason)]
