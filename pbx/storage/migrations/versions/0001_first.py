"""The tables of the first version."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "answers",
        sa.Column("user_name", sa.String(), nullable=False),
        sa.Column("request", sa.String(), nullable=False),
        sa.Column("at", sa.Float(precision=53), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("user_name", "request"),
    )
    op.create_table(
        "cdr",
        sa.Column("call_id", sa.String(), nullable=False),
        sa.Column("started_at", sa.Float(precision=53), nullable=False),
        sa.Column("answered_at", sa.Float(precision=53), nullable=True),
        sa.Column("ended_at", sa.Float(precision=53), nullable=False),
        sa.Column("direction", sa.String(), nullable=False),
        sa.Column("device", sa.String(), nullable=False),
        sa.Column("caller", sa.String(), nullable=False),
        sa.Column("called", sa.String(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("queue", sa.String(), nullable=False),
        sa.Column("agent", sa.String(), nullable=False),
        sa.Column("disposition", sa.String(), nullable=False),
        sa.Column("wait_s", sa.Float(precision=53), nullable=False),
        sa.Column("talk_s", sa.Float(precision=53), nullable=False),
        sa.Column("hold_s", sa.Float(precision=53), nullable=False),
        sa.Column("transfers", sa.Integer(), nullable=False),
        sa.Column("recordings", sa.Integer(), nullable=False),
        sa.Column("topics", sa.Text(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("call_id"),
    )
    op.create_index("cdr_caller", "cdr", ["caller"], unique=False)
    op.create_index("cdr_started", "cdr", ["started_at"], unique=False)
    op.create_table(
        "checkpoints",
        sa.Column("call_id", sa.String(), nullable=False),
        sa.Column("state", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("call_id"),
    )
    op.create_table(
        "events",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("at", sa.Float(precision=53), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("call_id", sa.String(), nullable=True),
        sa.Column("topics", sa.String(), nullable=False),
        sa.Column("json", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("seq"),
    )
    op.create_index(
        "events_audit",
        "events",
        ["seq"],
        unique=False,
        sqlite_where=sa.text("type = 'AuditEntry'"),
        postgresql_where=sa.text("type = 'AuditEntry'"),
    )
    op.create_index(
        "events_call",
        "events",
        ["call_id"],
        unique=False,
        sqlite_where=sa.text("call_id IS NOT NULL"),
        postgresql_where=sa.text("call_id IS NOT NULL"),
    )
    op.create_table(
        "folds",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "recordings",
        sa.Column("recording", sa.String(), nullable=False),
        sa.Column("call_id", sa.String(), nullable=False),
        sa.Column("leg", sa.String(), nullable=False),
        sa.Column("agent", sa.String(), nullable=False),
        sa.Column("path", sa.String(), nullable=False),
        sa.Column("started_at", sa.Float(precision=53), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("duration_ms", sa.Integer(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("recording"),
    )
    op.create_index("recordings_call", "recordings", ["call_id"], unique=False)
    op.create_index("recordings_started", "recordings", ["started_at"], unique=False)
    op.create_table(
        "registrations",
        sa.Column("extension", sa.String(), nullable=False),
        sa.Column("contact", sa.String(), nullable=False),
        sa.Column("expires_at", sa.Float(precision=53), nullable=False),
        sa.Column("binding", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("extension", "contact"),
    )
    op.create_table(
        "segments",
        sa.Column("call_id", sa.String(), nullable=False),
        sa.Column("n", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("party", sa.String(), nullable=False),
        sa.Column("agent", sa.String(), nullable=False),
        sa.Column("queue", sa.String(), nullable=False),
        sa.Column("from_at", sa.Float(precision=53), nullable=False),
        sa.Column("to_at", sa.Float(precision=53), nullable=False),
        sa.Column("hold_s", sa.Float(precision=53), nullable=False),
        sa.Column("ended_by", sa.String(), nullable=False),
        sa.Column("recording", sa.String(), nullable=False),
        sa.Column("recording_from_ms", sa.Integer(), nullable=True),
        sa.Column("recording_to_ms", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("call_id", "n"),
    )
    op.create_index("segments_agent", "segments", ["agent", "from_at"], unique=False)
    op.create_table(
        "tokens",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("user_name", sa.String(), nullable=False),
        sa.Column("hash", sa.String(), nullable=False),
        sa.Column("label", sa.String(), nullable=False),
        sa.Column("created_at", sa.Float(precision=53), nullable=False),
        sa.Column("expires_at", sa.Float(precision=53), nullable=True),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("hash"),
    )
    op.create_index("tokens_user", "tokens", ["user_name"], unique=False)
    op.create_table(
        "users",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("agent", sa.String(), nullable=False),
        sa.Column("teams", sa.Text(), nullable=False),
        sa.Column("password_hash", sa.String(), nullable=False),
        sa.Column("origin", sa.String(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("changed_at", sa.Float(precision=53), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )


def downgrade() -> None:
    op.drop_table("users")
    op.drop_index("tokens_user", table_name="tokens")
    op.drop_table("tokens")
    op.drop_index("segments_agent", table_name="segments")
    op.drop_table("segments")
    op.drop_table("registrations")
    op.drop_index("recordings_started", table_name="recordings")
    op.drop_index("recordings_call", table_name="recordings")
    op.drop_table("recordings")
    op.drop_table("folds")
    op.drop_index(
        "events_call",
        table_name="events",
        sqlite_where=sa.text("call_id IS NOT NULL"),
        postgresql_where=sa.text("call_id IS NOT NULL"),
    )
    op.drop_index(
        "events_audit",
        table_name="events",
        sqlite_where=sa.text("type = 'AuditEntry'"),
        postgresql_where=sa.text("type = 'AuditEntry'"),
    )
    op.drop_table("events")
    op.drop_table("checkpoints")
    op.drop_index("cdr_started", table_name="cdr")
    op.drop_index("cdr_caller", table_name="cdr")
    op.drop_table("cdr")
    op.drop_table("answers")
