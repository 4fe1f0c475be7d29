"""The vocabulary of the four transaction tables: inputs and actions, with the RFC's letters for timers.

A table maps (state, input) to (next state, actions). An input that is not in the table is ignored in that state.
The tables know neither messages nor I/O; ``transactions`` carries the actions out in order.
"""

from __future__ import annotations

from typing import Final

Table = dict[tuple[str, str], tuple[str, tuple[str, ...]]]

# Inputs.
REQUEST: Final = "request"
"""The request again, from the network."""
ACK: Final = "ack"
RESPONSE_1XX: Final = "1xx"
RESPONSE_2XX: Final = "2xx"
RESPONSE_FINAL: Final = "3xx-6xx"
SEND_1XX: Final = "send 1xx"
SEND_2XX: Final = "send 2xx"
SEND_FINAL: Final = "send 3xx-6xx"
ERROR: Final = "transport error"
TIMER_A: Final = "A"
TIMER_B: Final = "B"
TIMER_D: Final = "D"
TIMER_E: Final = "E"
TIMER_F: Final = "F"
TIMER_G: Final = "G"
TIMER_H: Final = "H"
TIMER_I: Final = "I"
TIMER_J: Final = "J"
TIMER_K: Final = "K"
TIMER_L: Final = "L"
TIMER_M: Final = "M"

# Actions.
SEND: Final = "send"
"""Send the new message and remember it for retransmission."""
RESEND: Final = "resend"
"""Send the remembered message again."""
SEND_ACK: Final = "send ack"
"""Make the ACK of a non-2xx response (RFC 3261 section 17.1.1.3), send and remember it."""
PASS: Final = "pass"
"""Give the message to the user of the transaction."""
TIMEOUT: Final = "timeout"
"""Tell the user that no answer came."""
FAIL: Final = "fail"
"""Tell the user that the transport failed."""
FREE: Final = "free"
"""Forget the transaction."""
STOP: Final = "stop"
"""Stop every timer of the transaction."""
DOUBLE: Final = "double"
"""Set the retransmission timer again with twice the interval."""
DOUBLE_T2: Final = "double to T2"
"""The same, but never above T2."""
REPEAT_T2: Final = "repeat at T2"
"""Set the retransmission timer again at T2."""
START: Final = "start "
"""``START + letter``: set that timer. Retransmission timers (A, E, G) are not set over reliable transports."""

TERMINATED: Final = "Terminated"
