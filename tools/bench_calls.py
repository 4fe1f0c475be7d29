"""What a call costs `tandem serve`: its own process, real sockets, event log in SQLite, a real media gateway.

    python -m tools.bench_calls [--rates 300 400 500] [--seconds 15] [--json FILE] [--keep FOLDER]

Call control is pinned to one processor, all its threads together: what it holds it holds on one core. Gateway and load
(tools.sip_load) share the other one. First the price: calls at a moderate rate, then silence until the last transaction
has lingered away (32 s), all of it paid for, less what the idle server uses. Then the rates, one after the other, each
when the ports of the one before have drained.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tools.sip_load import CARRIER, EXTENSION, NUMBER, REALM

LINGER_S = 33.0
DRAIN_S = 11.0
"""The gateway keeps a closed port for 10 s."""
RATES = (200.0, 300.0, 400.0)
OPEN_FILES = 40_000
CONFIGURATION = {
    "tandem.yaml": f"""
flows: flows
sip:
  realm: {REALM}
  listeners: {{udp: {{transport: udp, address: 127.0.0.1, port: 0}}}}
rtp: {{address: 127.0.0.1, port_min: 20000, port_max: 60000}}
http: {{address: 127.0.0.1, port: 0}}
locale: {{country: DE, timezone: UTC}}
recording: {{policy: none}}
logging: {{format: json}}
limits: {{max_calls: 5000, calls_per_second: 5000}}
""",
    "trunks.yaml": f"trunks:\n  a: {{host: {CARRIER}, networks: [{CARRIER}/32], health: {{interval: 0}}}}\n",
    "extensions.yaml": f"extensions:\n  {EXTENSION}: {{name: A}}\n",
    "routes.yaml": f'inbound:\n  - {{did: "{NUMBER}", to: "extension:{EXTENSION}"}}\nno_match: hangup:unknown_number\n',
}


class Site:
    """A server on free ports, with its log in a file, and the load beside it. Both end with the context."""

    def __init__(
        self, folder: Path, *, configuration: dict[str, str] = CONFIGURATION, profile: Path | None = None
    ) -> None:
        self.folder = folder
        (folder / "config" / "flows").mkdir(parents=True, exist_ok=True)
        for name, text in configuration.items():
            (folder / "config" / name).write_text(text, "utf-8")
        self._profile = profile

    def __enter__(self) -> Self:
        _allow_files(OPEN_FILES)
        profiler = ["-m", "cProfile", "-o", str(self._profile)] if self._profile is not None else []
        self._log = self.folder / "server.log"
        cores = sorted(os.sched_getaffinity(0))
        with self._log.open("wb") as log:
            self.server = subprocess.Popen(
                [sys.executable, *profiler, "-m", "pbx", "serve", "--config", str(self.folder / "config")],
                env=os.environ | {"TANDEM_HOME": str(self.folder / "data")},
                stderr=log,
            )
        try:
            self.port = self._wait_ready()
        except RuntimeError:
            self.server.kill()
            raise
        self._pin(self.server.pid, cores[0])
        password = (self.folder / "data" / "secrets" / f"extension-{EXTENSION}").read_text("utf-8").strip()
        self.load = subprocess.Popen(
            [sys.executable, "-m", "tools.sip_load", str(self.port), password],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._pin(self.load.pid, cores[-1])
        for child in _children(self.server.pid):
            self._pin(child, cores[-1])
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.load.kill()
        self.load.wait()
        self.server.terminate()
        try:
            self.server.wait(30)
        except subprocess.TimeoutExpired:
            self.server.kill()
            self.server.wait()

    def do(self, what: str, **order: float) -> dict[str, Any]:
        """Have the load do this; its figures, with the CPU the server used meanwhile."""
        assert self.load.stdin is not None and self.load.stdout is not None
        before = self.cpu()
        self.load.stdin.write(json.dumps({"do": what, **order}) + "\n")
        self.load.stdin.flush()
        figures: dict[str, Any] = json.loads(self.load.stdout.readline())
        return figures | {"server_cpu": self.cpu() - before}

    def cpu(self) -> float:
        """Seconds of CPU that call control has used, all threads."""
        fields = Path(f"/proc/{self.server.pid}/stat").read_text("ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _wait_ready(self) -> int:
        for _ in range(300):
            text = self._log.read_text("utf-8", "replace")
            if "is ready: " in text:
                return int(text.partition("sip/udp 127.0.0.1:")[2].partition(",")[0])
            if self.server.poll() is not None:
                raise RuntimeError(f"the server did not start:\n{text[-3000:]}")
            time.sleep(0.1)
        raise RuntimeError("the server was not ready after 30 s")

    @staticmethod
    def _pin(process: int, core: int) -> None:
        for thread in os.listdir(f"/proc/{process}/task"):
            os.sched_setaffinity(int(thread), {core})


def _allow_files(wanted: int) -> None:
    """Closed ports drain for 10 s: 600 calls a second hold 26,000 sockets in the gateway, which inherits our limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard >= wanted:
        return
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, wanted))
    except (OSError, ValueError):
        print(f"at most {hard} open files: the gateway will refuse calls above {hard // 44} a second (ulimit -Hn)")


def _children(process: int) -> list[int]:
    path = Path(f"/proc/{process}/task/{process}/children")
    return [int(child) for child in path.read_text("ascii").split()]


def measure_price(site: Site, *, rate: float, seconds: float) -> dict[str, Any]:
    """CPU of one call with everything that follows from it."""
    idle = site.cpu()
    time.sleep(3)
    idle = (site.cpu() - idle) / 3
    before, begun = site.cpu(), time.monotonic()
    figures = site.do("call", rate=rate, seconds=seconds)
    during = figures["server_cpu"]
    time.sleep(LINGER_S)
    used = site.cpu() - before - idle * (time.monotonic() - begun)
    return figures | {
        "cpu_ms_per_call": round(used / figures["started"] * 1e3, 3),
        "cpu_ms_per_call_before_lingering": round(during / figures["started"] * 1e3, 3),
        "idle_cpu_percent": round(idle * 100, 2),
    }


def measure_calls(
    rates: Sequence[float],
    seconds: float,
    *,
    price_rate: float = 150,
    keep: Path | None = None,
    profile: Path | None = None,
) -> dict[str, Any]:
    """The price of a call, then each rate for ``seconds``, then registrations with digest."""
    with (
        tempfile.TemporaryDirectory(prefix="tandem-bench-") as name,
        Site(keep or Path(name), profile=profile) as site,
    ):
        site.do("register", rate=20, seconds=0.05)
        site.do("call", rate=50, seconds=2)
        report: dict[str, Any] = {"price": measure_price(site, rate=price_rate, seconds=seconds), "rates": []}
        for rate in rates:
            time.sleep(DRAIN_S)
            report["rates"].append({"rate": rate} | site.do("call", rate=rate, seconds=seconds))
        report["registers"] = site.do("register", rate=400, seconds=seconds / 2)
    return report


def show(report: dict[str, Any]) -> None:
    price = report["price"]
    print(f"a call, all told               {price['cpu_ms_per_call']} ms CPU of call control")
    print(f"  without what lingers         {price['cpu_ms_per_call_before_lingering']} ms")
    registers = report["registers"]
    cost = registers["server_cpu"] / registers["started"] * 1e3
    print(f"a REGISTER, challenge and all  {cost:.3f} ms, {registers['good']} of {registers['started']} good")
    print(f"{'calls/s':>8} {'good':>9} {'p50':>7} {'p95':>7} {'p99 ms':>7} {'core':>6} {'CPU ms/call':>12}  wrong")
    for row in report["rates"]:
        good = f"{row['good'] / row['started']:.3%}"
        quantiles = " ".join(f"{row[f'setup_p{q}_ms'] or 0:7.1f}" for q in (50, 95, 99))
        core, each = row["server_cpu"] / row["seconds"], row["server_cpu"] / row["started"] * 1e3
        print(f"{row['rate']:8.0f} {good:>9} {quantiles} {core:6.0%} {each:12.2f}  {row['wrong'] or ''}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rates", type=float, nargs="*", default=RATES)
    parser.add_argument("--seconds", type=float, default=15)
    parser.add_argument("--price-rate", type=float, default=150)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--keep", type=Path, help="leave configuration, log and database here")
    parser.add_argument("--profile", type=Path, help="write a cProfile of the server here (slower)")
    options = parser.parse_args()
    report = measure_calls(
        options.rates, options.seconds, price_rate=options.price_rate, keep=options.keep, profile=options.profile
    )
    show(report)
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main()
