"""How often the log writes down whom calls concern: a busy day must not write the same calls again and again."""

from pathlib import Path

import pytest

from pbx.storage import event_log
from pbx.storage.event_log import EventLog
from pbx.testing.scenarios import make_history


def test_snapshots_are_rarer_the_larger_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_log, "SNAPSHOT_EVERY", 10)
    records = make_history(300, rate=50, agents=40)
    log = EventLog(f"sqlite:///{tmp_path}/log.db", journal=tmp_path / "journal")
    log.open()
    taken = {0}
    for start in range(0, len(records), 10):
        log.append(records[start : start + 10])
        assert log.flush(30)
        taken.add(log.reader.read_fold("topics")[0])
    log.close()
    # 300 calls are remembered at the end: the first intervals are 10 events, the last 600.
    between = [later - earlier for earlier, later in zip(sorted(taken), sorted(taken)[1:], strict=False)]
    assert between[0] <= 20
    assert between[-1] >= 500
    assert len(taken) < len(records) / 100
