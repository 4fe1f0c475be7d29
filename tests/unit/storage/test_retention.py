"""Old rows go, in portions, and never what is still needed."""

from sqlalchemy import Engine, insert, select

from pbx.storage import tables as t
from pbx.storage.database import migrate, open_engine
from pbx.storage.retention import delete_before


def fill(engine: Engine) -> None:
    """Ten events at seconds 1 to 10, and a call with its recording at seconds 2 and 8."""
    migrate(engine)
    events = [
        {"seq": n, "at": float(n), "type": "X", "call_id": None, "topics": "", "json": "{}"} for n in range(1, 11)
    ]
    texts = ("direction", "device", "caller", "called", "outcome", "reason", "queue", "agent", "disposition", "topics")
    zeros = ("wait_s", "talk_s", "hold_s", "transfers", "recordings")
    with engine.begin() as connection:
        connection.execute(insert(t.events), events)
        for at in (2.0, 8.0):
            call = f"call-{at:g}"
            row = dict.fromkeys(texts, "") | dict.fromkeys(zeros, 0)
            connection.execute(insert(t.cdr), row | {"call_id": call, "started_at": at, "ended_at": at, "detail": "{}"})
            segment = {"call_id": call, "n": 0, "from_at": at, "to_at": at, "hold_s": 0.0}
            connection.execute(
                insert(t.segments),
                segment | dict.fromkeys(("kind", "party", "agent", "queue", "ended_by", "recording"), ""),
            )
            recording = {"recording": f"r-{at:g}", "call_id": call, "started_at": at, "duration_ms": 0, "size_bytes": 0}
            connection.execute(
                insert(t.recordings), recording | dict.fromkeys(("leg", "agent", "path", "state", "sha256"), "")
            )


def left(engine: Engine) -> tuple[list[int], list[str], list[str], list[str]]:
    with engine.connect() as connection:
        return (
            list(connection.execute(select(t.events.c.seq).order_by(t.events.c.seq)).scalars()),
            list(connection.execute(select(t.cdr.c.call_id)).scalars()),
            list(connection.execute(select(t.segments.c.call_id)).scalars()),
            list(connection.execute(select(t.recordings.c.recording)).scalars()),
        )


def test_old_rows_go_and_new_ones_stay(url: str) -> None:
    engine = open_engine(url)
    fill(engine)
    assert delete_before(engine, 5.0) == 4 + 1 + 1
    assert left(engine) == ([5, 6, 7, 8, 9, 10], ["call-8"], ["call-8"], ["r-8"])
    assert delete_before(engine, 5.0) == 0
    engine.dispose()


def test_in_portions(url: str) -> None:
    engine = open_engine(url)
    fill(engine)
    assert delete_before(engine, 7.0, limit=2) == 2 + 1 + 1
    assert left(engine)[0] == [3, 4, 5, 6, 7, 8, 9, 10]
    while delete_before(engine, 7.0, limit=2):
        pass
    assert left(engine)[0] == [7, 8, 9, 10]
    engine.dispose()


def test_the_newest_event_stays(url: str) -> None:
    engine = open_engine(url)
    fill(engine)
    delete_before(engine, 1000.0)
    assert left(engine) == ([10], [], [], [])
    engine.dispose()


def test_what_a_fold_still_has_to_read_stays(url: str) -> None:
    engine = open_engine(url)
    fill(engine)
    with engine.begin() as connection:
        connection.execute(insert(t.folds), {"name": "live", "seq": 3, "state": b""})
    delete_before(engine, 1000.0)
    assert left(engine)[0] == [4, 5, 6, 7, 8, 9, 10]
    engine.dispose()


def test_an_empty_database(url: str) -> None:
    engine = open_engine(url)
    migrate(engine)
    assert delete_before(engine, 1000.0) == 0
    engine.dispose()
