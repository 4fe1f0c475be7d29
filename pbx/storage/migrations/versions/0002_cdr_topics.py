"""Agents and queues of a call record in a table of their own: searched by index, however many somebody may see."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

cdr = sa.table("cdr", sa.column("call_id"), sa.column("started_at"), sa.column("topics"))


def upgrade() -> None:
    topics = op.create_table(
        "cdr_topics",
        sa.Column("call_id", sa.String(), nullable=False),
        sa.Column("topic", sa.String(), nullable=False),
        sa.Column("started_at", sa.Float(precision=53), nullable=False),
        sa.PrimaryKeyConstraint("call_id", "topic"),
    )
    op.create_index("cdr_topics_topic", "cdr_topics", ["topic", "started_at"], unique=False)
    connection = op.get_bind()
    last = ""
    query = sa.select(cdr).order_by(cdr.c.call_id).limit(5000)
    while page := connection.execute(query.where(cdr.c.call_id > last)).all():
        rows = [
            {"call_id": row.call_id, "topic": topic, "started_at": row.started_at}
            for row in page
            for topic in row.topics.split("\n")
            if topic
        ]
        if rows:
            connection.execute(topics.insert(), rows)
        last = page[-1].call_id
    with op.batch_alter_table("cdr") as table:
        table.drop_column("topics")


def downgrade() -> None:
    with op.batch_alter_table("cdr") as table:
        table.add_column(sa.Column("topics", sa.Text(), nullable=False, server_default=""))
    connection = op.get_bind()
    found = sa.select(sa.text("call_id, topic FROM cdr_topics ORDER BY call_id"))
    together: dict[str, list[str]] = {}
    for call_id, topic in connection.execute(found):
        together.setdefault(call_id, []).append(topic)
    for call_id, topics in together.items():
        text = "\n".join(["", *topics, ""])
        connection.execute(cdr.update().where(cdr.c.call_id == call_id).values(topics=text))
    op.drop_index("cdr_topics_topic", table_name="cdr_topics")
    op.drop_table("cdr_topics")
