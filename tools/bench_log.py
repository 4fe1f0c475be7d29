"""What the event log takes: events a second, from append to durable, with call records folded and written.

python -m tools.bench_log [--calls 4000] [--url postgresql://...] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import tempfile
import time
from pathlib import Path
from typing import Any

from pbx.storage.event_log import EventLog
from pbx.testing.scenarios import make_history


def run(calls: int, url: str, folder: Path, batch: int = 50) -> dict[str, Any]:
    """``batch`` events are appended at a time, as a busy switch does."""
    records = make_history(calls, rate=50, agents=400)
    log = EventLog(url or f"sqlite:///{folder}/log.db", journal=folder / "journal")
    log.open()
    first = log.last_seq
    records = [type(record)(first + record.seq, record.at, record.event) for record in records]
    begun, cpu = time.perf_counter(), time.process_time()
    for start in range(0, len(records), batch):
        log.append(records[start : start + batch])
    appended = time.perf_counter() - begun
    if not log.flush(300):
        raise RuntimeError("the log did not take the events in five minutes")
    elapsed, used = time.perf_counter() - begun, time.process_time() - cpu
    log.close()
    return {
        "database": "postgresql" if url else f"sqlite {sqlite3.sqlite_version}",
        "events": len(records),
        "events_per_s": round(len(records) / elapsed),
        "events_per_cpu_s": round(len(records) / used),
        "append_us": round(appended / len(records) * 1e6, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=4000)
    parser.add_argument("--url", default="", help="PostgreSQL instead of SQLite; the database is written to")
    parser.add_argument("--json", type=Path, help="write the result there too")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="tandem-bench-log-") as folder:
        report = run(options.calls, options.url, Path(folder))
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    for name, value in report.items():
        print(f"{name:<17} {value}")


if __name__ == "__main__":
    main()
