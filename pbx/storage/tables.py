"""The tables. Their history is in ``migrations``; a test compares the two.

Times of the log are seconds since 1970 (UTC), as in the records themselves.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

metadata = MetaData()

events = Table(
    "events",
    metadata,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("at", Float(53), nullable=False),
    Column("type", String, nullable=False),
    Column("call_id", String),
    Column("topics", String, nullable=False),
    Column("json", Text, nullable=False),
)
"""The log. ``json`` is the record as it is sent; ``topics`` says whom it concerns, separated by line feeds."""
_OF_CALLS = events.c.call_id.isnot(None)
_AUDIT = events.c.type == "AuditEntry"
Index("events_call", events.c.call_id, sqlite_where=_OF_CALLS, postgresql_where=_OF_CALLS)
Index("events_audit", events.c.seq, sqlite_where=_AUDIT, postgresql_where=_AUDIT)

folds = Table(
    "folds",
    metadata,
    Column("name", String, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("state", LargeBinary, nullable=False),
)
"""Snapshots of folds: state after ``seq``."""

checkpoints = Table(
    "checkpoints",
    metadata,
    Column("call_id", String, primary_key=True),
    Column("state", LargeBinary, nullable=False),
)
"""Calls as they must be found after a restart."""

cdr = Table(
    "cdr",
    metadata,
    Column("call_id", String, primary_key=True),
    Column("started_at", Float(53), nullable=False),
    Column("answered_at", Float(53)),
    Column("ended_at", Float(53), nullable=False),
    Column("direction", String, nullable=False),
    Column("device", String, nullable=False),
    Column("caller", String, nullable=False),
    Column("called", String, nullable=False),
    Column("outcome", String, nullable=False),
    Column("reason", String, nullable=False),
    Column("queue", String, nullable=False),
    Column("agent", String, nullable=False),
    Column("disposition", String, nullable=False),
    Column("wait_s", Float(53), nullable=False),
    Column("talk_s", Float(53), nullable=False),
    Column("hold_s", Float(53), nullable=False),
    Column("transfers", Integer, nullable=False),
    Column("recordings", Integer, nullable=False),
    Column("detail", Text, nullable=False),
)
"""One row a call that ended. ``queue`` is the first, ``agent`` the last; ``detail`` is the CallDetail as JSON."""
Index("cdr_started", cdr.c.started_at)
Index("cdr_caller", cdr.c.caller)

cdr_topics = Table(
    "cdr_topics",
    metadata,
    Column("call_id", String, primary_key=True),
    Column("topic", String, primary_key=True),
    Column("started_at", Float(53), nullable=False),
)
"""All agents and queues a call met (``agent:1001``, ``queue:support``): by these it is searched and authorised."""
Index("cdr_topics_topic", cdr_topics.c.topic, cdr_topics.c.started_at)

segments = Table(
    "segments",
    metadata,
    Column("call_id", String, primary_key=True),
    Column("n", Integer, primary_key=True, autoincrement=False),
    Column("kind", String, nullable=False),
    Column("party", String, nullable=False),
    Column("agent", String, nullable=False),
    Column("queue", String, nullable=False),
    Column("from_at", Float(53), nullable=False),
    Column("to_at", Float(53), nullable=False),
    Column("hold_s", Float(53), nullable=False),
    Column("ended_by", String, nullable=False),
    Column("recording", String, nullable=False),
    Column("recording_from_ms", Integer),
    Column("recording_to_ms", Integer),
)
"""What a call consisted of: ``flow``, ``queue`` and ``talk`` in order, and where in which recording each is heard."""
Index("segments_agent", segments.c.agent, segments.c.from_at)

recordings = Table(
    "recordings",
    metadata,
    Column("recording", String, primary_key=True),
    Column("call_id", String, nullable=False),
    Column("leg", String, nullable=False),
    Column("agent", String, nullable=False),
    Column("path", String, nullable=False),
    Column("started_at", Float(53), nullable=False),
    Column("state", String, nullable=False),
    Column("duration_ms", Integer, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("sha256", String, nullable=False),
    Column("conversation", JSON(none_as_null=True)),
)
Index("recordings_call", recordings.c.call_id)
Index("recordings_started", recordings.c.started_at)

registrations = Table(
    "registrations",
    metadata,
    Column("extension", String, primary_key=True),
    Column("contact", String, primary_key=True),
    Column("expires_at", Float(53), nullable=False),
    Column("binding", Text, nullable=False),
)
"""Bindings of the registrar, to be known again after a restart."""

voicemail = Table(
    "voicemail",
    metadata,
    Column("key", String, primary_key=True),
    Column("state", Text, nullable=False),
)
"""Mailboxes: ``message/ID`` and ``access/NUMBER``, each as JSON; PINs only as salted hashes."""

users = Table(
    "users",
    metadata,
    Column("name", String, primary_key=True),
    Column("role", String, nullable=False),
    Column("agent", String, nullable=False),
    Column("teams", Text, nullable=False),
    Column("password_hash", String, nullable=False),
    Column("origin", String, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("changed_at", Float(53), nullable=False),
)
"""``origin``: ``configuration`` or ``command``; ``password_hash`` is argon2id, empty where only tokens are used."""

tokens = Table(
    "tokens",
    metadata,
    Column("id", String, primary_key=True),
    Column("user_name", String, nullable=False),
    Column("hash", String, nullable=False, unique=True),
    Column("label", String, nullable=False),
    Column("created_at", Float(53), nullable=False),
    Column("expires_at", Float(53)),
)
"""Only the SHA-256 of a token is kept: it is random, so there is nothing to guess."""
Index("tokens_user", tokens.c.user_name)

answers = Table(
    "answers",
    metadata,
    Column("user_name", String, primary_key=True),
    Column("request", String, primary_key=True),
    Column("at", Float(53), nullable=False),
    Column("answer", Text, nullable=False),
)
"""What CTI commands were answered, so that one repeated after a restart is not carried out again."""
