"""What a plain call costs in the whole of call control: SIP on both legs, routing, media commands, events, limits.

    python -m tools.bench_switch [--calls 1000] [--profile]

A carrier calls a number that rings an extension; it answers, they talk, the carrier hangs up: fourteen SIP messages,
about twelve events, a dozen media commands. The real switch runs in virtual time between two scripted phones and a
gateway without media; only its own CPU time is counted. Sockets and the database are not in it.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from pbx.adapters.loading import load_all
from pbx.core.timers import Deadline
from pbx.sip.commands import Flow
from pbx.sip.events import Output
from pbx.testing.netem import Conditions, Netem, World
from pbx.testing.phone import Behaviour, ScriptedPhone
from pbx.testing.switch_node import SwitchNode

SERVER, CARRIER, PHONE = "192.0.2.100", "198.51.100.1", "192.0.2.1"
CONFIGURATION = {
    "tandem.yaml": "flows: flows\nsip: {realm: bench}\nlocale: {country: DE, timezone: UTC}\n"
    "recording: {policy: none}\nlimits: {max_calls: 1000, calls_per_second: 1000}\n",
    "trunks.yaml": "trunks:\n  a: {host: 198.51.100.1, networks: [198.51.100.0/24], health: {interval: 0}}\n",
    "extensions.yaml": "extensions:\n  1001: {name: A}\n",
    "routes.yaml": 'inbound:\n  - {did: "+4930100", to: "extension:1001"}\nno_match: hangup:unknown_number\n',
}


class TimedNode:
    """Adds up the CPU time of another node."""

    def __init__(self, node: SwitchNode) -> None:
        self.node = node
        self.cpu = 0.0
        self.profiler: cProfile.Profile | None = None

    def receive(self, packet: bytes, flow: Flow, now: float) -> Sequence[Output]:
        return self._timed(lambda: self.node.receive(packet, flow, now))

    def expire(self, now: float) -> Sequence[Output]:
        return self._timed(lambda: self.node.expire(now))

    def next_deadline(self) -> Deadline | None:
        return self.node.next_deadline()

    def _timed(self, action: Callable[[], Sequence[Output]]) -> Sequence[Output]:
        if self.profiler is not None:
            self.profiler.enable()
        start = time.process_time()
        outputs = action()
        self.cpu += time.process_time() - start
        if self.profiler is not None:
            self.profiler.disable()
        return outputs


def measure_switch(calls: int, profiler: cProfile.Profile | None = None) -> dict[str, float | int | str]:
    """Run ``calls`` calls after a tenth of that to warm up, and say what each cost."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "flows").mkdir()
        for file, text in CONFIGURATION.items():
            (folder / file).write_text(text, "utf-8")
        configuration, flows = load_all(folder)
    world = World(Netem(1, Conditions(delay=0.001, jitter=0.0)))
    node = TimedNode(SwitchNode(configuration, flows, host=SERVER, seed=1, start=world.now))
    world.add(SERVER, node)
    server = Flow("udp", SERVER, 5060, "udp")
    carrier = ScriptedPhone("+4930555", CARRIER, server)
    behaviour = Behaviour(answer_after=0.05, ring_after=0.01)
    phone = ScriptedPhone("1001", PHONE, server, domain="bench", password="secret-1001", behaviour=behaviour)
    for host, scripted in ((CARRIER, carrier), (PHONE, phone)):
        world.add(host, scripted)
    phone.at(world.now, phone.register)
    world.run(2.0)

    def run(count: int) -> int:
        answered = 0
        for _ in range(count):
            carrier.at(world.now, lambda: carrier.call(f"sip:+4930100@{SERVER}"))
            carrier.at(world.now + 0.3, carrier.hangup)
            world.run(0.6)
            answered += sum(talk.answered is not None for talk in carrier.talks.values())
            for scripted in (carrier, phone):
                scripted.talks.clear()
                scripted.events.clear()
        return answered

    run(max(1, calls // 10))
    node.cpu, node.profiler = 0.0, profiler
    events = len(node.node.records)
    answered = run(calls)
    if answered != calls:
        raise RuntimeError(f"{answered} of {calls} calls were answered")
    return {
        "switch_calls": calls,
        "switch_cpu_ms_per_call": round(node.cpu / calls * 1e3, 4),
        "switch_calls_per_cpu_second": round(calls / node.cpu, 1),
        "events_per_call": round((len(node.node.records) - events) / calls, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--calls", type=int, default=1000)
    parser.add_argument("--profile", action="store_true", help="print where the time goes (slower)")
    args = parser.parse_args()
    profiler = cProfile.Profile() if args.profile else None
    for name, value in measure_switch(args.calls, profiler).items():
        print(f"{name:28} {value}")
    if profiler is not None:
        pstats.Stats(profiler, stream=sys.stdout).sort_stats("tottime").print_stats(35)


if __name__ == "__main__":
    main()
