"""SIP without I/O: transactions, dialogs and their usages as state machines (RFC 3261 and its family).

Messages and header values are those of the `sipmessage` library; here is only what it lacks.
"""
