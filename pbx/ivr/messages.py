"""What the interpreter of one call and the switch say to each other.

*Outputs* tell the switch what to do. One that is answered carries ``request``; the answer is the input with the same
``request``. An answer that comes late (the flow went on, or the caller hung up) is ignored by that id, so the switch
may always deliver it. Times are seconds.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import msgspec

from media.protocol import PlayItem

ALL_DIGITS = "0123456789*#ABCD"
MASK = "***"
"""Stands for digits and values that were entered while the flow was secure."""


class CallFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of the call when a flow starts; flows read it as ``call.<field>``."""

    call: str
    """Id of the call."""
    caller: str = ""
    caller_name: str = ""
    called: str = ""
    trunk: str = ""
    language: str = ""
    """Preferred language of the caller when known (``en``, ``zh``); empty: the flow's default."""
    wall: datetime | None = None
    """When the call came, an aware time in the organisation's time zone; ``start`` may give it instead."""
    spoken: tuple[str, ...] = ()
    """Languages there is a recogniser for, ``*``: all. In others nothing is listened for, and noise does not cut
    prompts short."""
    data: dict[str, Any] = {}
    """What came with the call: SIP headers an admin lets through, data of a transfer, results of an earlier flow."""


class Message(msgspec.Struct, frozen=True):
    """Base of both directions."""


# --- outputs --------------------------------------------------------------------------------------------------


class Output(Message, frozen=True, tag=True):
    """What the switch is to do, in the order given."""


class Answer(Output, frozen=True):
    """Answer the call (200 OK). Not answered by an input unless ``wait`` is used: :class:`Answered` may follow."""

    request: str


class Play(Output, frozen=True):
    """Play items to the caller. Answer: :class:`PlayFinished`."""

    request: str
    items: tuple[PlayItem, ...]
    barge_in_digits: str = ""
    """The gateway stops by itself at any of these; the digit comes as :class:`Digit` all the same."""
    stop_on_speech: bool = False
    loop: bool = False
    names: tuple[str, ...] = ()
    """Names of the prompts played, for logs and tests; ``say`` for a text given in place."""


class StopPlay(Output, frozen=True):
    """Stop what ``request`` plays; its :class:`PlayFinished` may still come and is ignored."""

    request: str


class Listen(Output, frozen=True):
    """Recognise the next thing the caller says, until then or :class:`StopListening`.

    Answers: :class:`SpeechStarted` when he begins to speak, and :class:`Recognised`. One who says nothing is the
    flow's business.
    """

    request: str
    language: str
    phrases: tuple[str, ...] = ()
    """The grammar: what may be said. Empty with ``digits``."""
    digits: bool = False
    """Free digits are expected."""
    pause: float = 1.0
    """So many seconds of quiet end what he says."""
    most: float = 15.0
    """Seconds after which he is cut off."""


class StopListening(Output, frozen=True):
    request: str


class CheckCalendar(Output, frozen=True):
    """Answer: :class:`CalendarChecked`, at once."""

    request: str
    calendar: str


class Queue(Output, frozen=True):
    """Put the caller in a queue. Answers: :class:`QueueResult`, ``answered`` first when an agent takes the call."""

    request: str
    queue: str
    priority: int | None = None
    """None: the queue's own."""
    skills: dict[str, int] = {}
    """Extra skills wanted and their least level."""
    language: str = ""
    agent: str = ""
    """Preferred agent, if any."""
    data: dict[str, Any] = {}
    """What the caller entered, for the agent's screen."""


class LeaveQueue(Output, frozen=True):
    """Take the caller out of the queue he waits in; without effect when he does not wait any more."""

    request: str
    reason: Literal["exit_key", "callback", "moved", "abandoned"] = "exit_key"


class Dial(Output, frozen=True):
    """Call somebody and connect him to the caller. Answers: :class:`DialResult`, ``answered`` first."""

    request: str
    destination: str
    """``extension:1001``, ``group:sales``, ``number:+8613…``."""
    timeout: float = 30.0
    caller_id: str = ""
    """Empty: the caller's own."""
    caller_name: str = ""
    confirm_digit: str = ""
    """The one called is asked (``confirm_prompt``) and connected only when he presses this digit."""
    confirm_items: tuple[PlayItem, ...] = ()
    music: str = ""
    """Music class the caller hears meanwhile; empty: ringback."""


class CancelDial(Output, frozen=True):
    request: str


class Transfer(Output, frozen=True):
    """Hand the call over for good: the flow ends."""

    destination: str
    data: dict[str, Any] = {}


class Conference(Output, frozen=True):
    """Join the caller to a conference room. Answer: :class:`ConferenceLeft`."""

    request: str
    room: str
    announce: bool = True


class Record(Output, frozen=True):
    """Record what the caller says. Answer: :class:`RecordFinished`."""

    request: str
    purpose: str
    """Hint for the file's place: ``message``, ``greeting``, ``name`` …"""
    max_seconds: float = 120.0
    stop_digits: str = "#"
    silence_seconds: float = 0.0
    """Stop after so much silence; 0: never."""
    beep: bool = True


class StopRecord(Output, frozen=True):
    request: str


class StartRecording(Output, frozen=True):
    """Record this call from here on, whatever the policy says by percentage."""


class StopRecording(Output, frozen=True):
    """Stop recording this call."""


class NoticeGiven(Output, frozen=True):
    """The caller was told (``recording``: that the call is recorded)."""

    kind: Literal["recording"] = "recording"


class Secure(Output, frozen=True):
    """``on``: digits and audio are card data now. Mask the recording, keep digits out of logs and events."""

    on: bool


class Fetch(Output, frozen=True):
    """An HTTP request. Answer: :class:`Fetched`. The shell keeps the circuit breaker, one per host."""

    request: str
    url: str
    method: str = "GET"
    headers: dict[str, str] = {}
    query: dict[str, str] = {}
    body: Any = None
    """Sent as JSON; None: no body."""
    timeout: float = 5.0
    retries: int = 0
    """Only for what failed before an answer or with 502, 503, 504."""
    max_bytes: int = 262144
    secret: bool = False
    """Holds card data: not to be logged."""


class Query(Output, frozen=True):
    """A read-only statement on a configured business database. Answer: :class:`QueryResult`."""

    request: str
    source: str
    statement: str
    params: dict[str, Any] = {}
    timeout: float = 3.0
    max_rows: int = 50
    secret: bool = False


class Lookup(Output, frozen=True):
    """A question to the switch's own directories. Answer: :class:`LookupResult`.

    ``directory``: key = digits of a name as on a telephone's keys; ``caller``: key = the caller's number, answered
    with its class; ``mailbox``: key = number; ``extension``: key = number.
    """

    request: str
    kind: Literal["directory", "caller", "mailbox", "extension"]
    key: str


class Callback(Output, frozen=True):
    """Register a callback that keeps the caller's place. Answer: :class:`CallbackRegistered`."""

    request: str
    queue: str
    number: str
    data: dict[str, Any] = {}


class DepositMessage(Output, frozen=True):
    """A recorded voice message for a mailbox."""

    mailbox: str
    path: str
    seconds: float
    caller: str
    urgent: bool = False


class VoiceMessage(Message, frozen=True):
    """One message of a mailbox."""

    id: str
    path: str
    """As in :class:`DepositMessage`."""
    caller: str = ""
    at: str = ""
    """Local time, ISO 8601."""
    seconds: float = 0.0
    new: bool = True
    urgent: bool = False


class ReadMailbox(Output, frozen=True):
    """What is in a mailbox. Answer: :class:`MailboxRead`. The PIN is for comparing only: never logged."""

    request: str
    mailbox: str
    pin: str = ""
    """Empty: allowed for the mailbox's own phone alone."""

    def __repr__(self) -> str:
        return f"ReadMailbox(request={self.request!r}, mailbox={self.mailbox!r}, pin=<secret>)"


class ChangeMessage(Output, frozen=True):
    """Something happened to a voice message; with ``forwarded`` a copy goes to the mailbox ``to``.

    Answer, where there is a ``request``: :class:`MessageChanged`.
    """

    mailbox: str
    message: str
    change: Literal["heard", "saved", "deleted", "restored", "forwarded"]
    to: str = ""
    introduction: str = ""
    """With ``forwarded``: path of a recording that goes before the message."""
    request: str = ""


class SetGreeting(Output, frozen=True):
    """The mailbox's greeting is this recording now; an empty path: the standard one."""

    mailbox: str
    path: str


class SetPin(Output, frozen=True):
    """The mailbox opens with this PIN from now on. Answer: :class:`PinSet`. The PIN is never logged."""

    request: str
    mailbox: str
    pin: str

    def __repr__(self) -> str:
        return f"SetPin(request={self.request!r}, mailbox={self.mailbox!r}, pin=<secret>)"


class Notify(Output, frozen=True):
    """Send an SMS or e-mail through the configured webhook; the flow does not wait."""

    kind: Literal["sms", "email"]
    to: str
    text: str
    subject: str = ""


class SetOverride(Output, frozen=True):
    """Switch a calendar by hand: ``auto`` follows the calendar again."""

    calendar: str
    state: Literal["open", "closed", "holiday", "auto"]


class SetData(Output, frozen=True):
    """Data of the call for agents' screens and CTI; merged by key."""

    data: dict[str, Any]


class SetLanguage(Output, frozen=True):
    language: str


class Tag(Output, frozen=True):
    """A mark for reports."""

    tag: str
    value: str = ""


class SurveyAnswered(Output, frozen=True):
    survey: str
    question: str
    answer: str


class NodeEntered(Output, frozen=True):
    flow: str
    node: str


class DigitsCollected(Output, frozen=True):
    node: str
    digits: str
    """``***`` when secure."""
    secure: bool = False


class SpeechHeard(Output, frozen=True):
    """What the recogniser made of something the caller said; for the log."""

    node: str
    text: str
    """Empty: nothing understood; ``***`` where the node is secure."""
    confidence: float


class Fault(Output, frozen=True):
    """The flow met an error at run time (an expression on wrong data, a step limit); for the log."""

    flow: str
    node: str
    message: str


class Hangup(Output, frozen=True):
    """End the call: Q.850 ``cause`` and the SIP ``status`` used if it was not answered yet."""

    cause: int = 16
    status: int = 603
    reason: str = "normal"


class Cancel(Output, frozen=True):
    """Whatever was asked with ``request`` is no longer wanted."""

    request: str


class FlowEnded(Output, frozen=True):
    """The last output of a call's interpreter."""

    reason: Literal["completed", "hangup", "hung_up", "transferred", "error"]
    flow: str = ""
    node: str = ""
    """Where it ended."""
    result: dict[str, Any] = {}


# --- inputs ---------------------------------------------------------------------------------------------------


class Input(Message, frozen=True, tag=True):
    """What happened."""


class Answered(Input, frozen=True):
    request: str = ""


class Digit(Input, frozen=True):
    digit: str
    """One of ``0-9 * # A-D``."""


class PlayFinished(Input, frozen=True):
    request: str
    reason: Literal["completed", "digit", "speech", "stopped", "replaced", "closed", "failed"] = "completed"
    detail: str = ""


class SpeechStarted(Input, frozen=True):
    """The caller began to speak; :class:`Recognised` follows when he has spoken."""

    request: str


class Recognised(Input, frozen=True):
    request: str
    text: str = ""
    """Empty: nothing understood."""
    confidence: float = 1.0
    failure: str = ""
    """Set when there is no recogniser or it failed; digits go on working."""


class CalendarChecked(Input, frozen=True):
    request: str
    state: Literal["open", "closed", "holiday"]
    holiday: str = ""


class QueueResult(Input, frozen=True):
    request: str
    result: Literal[
        "answered",
        "completed",
        "overflow",
        "timeout",
        "full",
        "closed",
        "no_agents",
        "exit_key",
        "failed",
        "abandoned",
    ]
    """``answered``: an agent talks to the caller, the flow sleeps; ``completed``: the agent left the caller."""
    agent: str = ""
    waited: float = 0.0


class DialResult(Input, frozen=True):
    request: str
    status: Literal["answered", "completed", "busy", "no_answer", "rejected", "unavailable", "failed"]
    agent: str = ""


class ConferenceLeft(Input, frozen=True):
    request: str
    failure: str = ""


class Fetched(Input, frozen=True):
    request: str
    status: int = 0
    body: Any = None
    """Decoded JSON, or the text when it is none."""
    failure: Literal["", "timeout", "refused", "open_circuit", "too_large", "bad_json", "error"] = ""


class QueryResult(Input, frozen=True):
    request: str
    rows: tuple[dict[str, Any], ...] = ()
    failure: Literal["", "timeout", "unknown_source", "refused", "error"] = ""


class LookupResult(Input, frozen=True):
    request: str
    matches: tuple[dict[str, str], ...] = ()
    """``directory``: name, destination; ``caller``: class, name; ``extension``: number, name; ``mailbox``: number,
    name, ``greeting`` (path of one recorded by phone) and ``full`` (``yes``, or empty)."""


class CallbackRegistered(Input, frozen=True):
    request: str
    accepted: bool
    reason: str = ""


class RecordFinished(Input, frozen=True):
    request: str
    path: str = ""
    seconds: float = 0.0
    reason: Literal["digit", "silence", "limit", "hangup", "stopped", "failed"] = "digit"
    digit: str = ""


class MailboxRead(Input, frozen=True):
    request: str
    failure: Literal["", "unknown", "refused", "locked", "error"] = ""
    """``refused``: wrong PIN, or none and not the own phone; ``locked``: too many wrong ones."""
    messages: tuple[VoiceMessage, ...] = ()
    """The newest first."""
    greeting: str = ""
    """Path of the greeting recorded by phone."""


class MessageChanged(Input, frozen=True):
    request: str
    failure: Literal["", "unknown", "full"] = ""
    """``unknown``: no such message or mailbox; ``full``: the other mailbox takes no more."""


class PinSet(Input, frozen=True):
    request: str
    accepted: bool
    """False: too short, too easy, or no such mailbox."""


class HungUp(Input, frozen=True):
    """The caller is gone."""

    reason: str = ""


class Expired(Input, frozen=True):
    """Made by the interpreter itself when the deadline of the waiting verb passes; verbs see it in ``resume``."""


AnyInput = (
    Answered
    | Digit
    | PlayFinished
    | SpeechStarted
    | Recognised
    | CalendarChecked
    | QueueResult
    | DialResult
    | ConferenceLeft
    | Fetched
    | QueryResult
    | LookupResult
    | CallbackRegistered
    | RecordFinished
    | MailboxRead
    | MessageChanged
    | PinSet
    | HungUp
)
