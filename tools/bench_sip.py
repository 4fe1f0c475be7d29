"""What SIP costs in call control's CPU: a B2BUA call on both legs, and a REGISTER with digest, without sockets; what a
call costs in the whole switch (tools.bench_switch); and what it costs the server with all it has (tools.bench_calls).

    python -m tools.bench_sip [--calls 2000] [--registers 2000] [--seconds 15] [--json FILE] [--profile]

One stack plays the B2BUA between a caller and a callee, each a stack of its own; only the time spent in the B2BUA's
stack is counted. A call is INVITE, 180, 200, ACK, BYE, 200 on both legs: seven messages in and seven out. Timers fire
in virtual time, so the 32 s that transactions linger are paid for as well.
"""

from __future__ import annotations

import argparse
import cProfile
import gc
import json
import platform
import pstats
import sys
import time
from typing import Any

from sipmessage import Request

from pbx import sdp
from pbx.core.ids import SeededIds
from pbx.sip.auth import DigestAuthenticator, answer_challenge, make_account
from pbx.sip.commands import Accept, Credentials, Flow, Hangup, Invite, Progress
from pbx.sip.events import Answered, Ended, IncomingCall, Origin, Output, Registered, Ringing, Transmit
from pbx.sip.identity import Listener, LocalIdentity
from pbx.sip.policy import Challenge, Trusted
from pbx.sip.registrar import Registrar
from pbx.sip.stack import Stack
from pbx.sip.wire import read_packet
from tools.bench_calls import RATES, measure_calls, show
from tools.bench_switch import measure_switch

CALLER, SERVER, CALLEE = "192.0.2.1", "192.0.2.2", "192.0.2.3"
CODECS = (sdp.Format("PCMU", 0), sdp.Format("PCMA", 8))


class _Trust:
    def identify(self, request: Request, flow: Flow) -> Trusted:
        return Trusted(Origin("trunk", "bench"))


def make_stack(host: str, seed: int) -> Stack:
    return Stack(_Trust(), LocalIdentity(listeners=(Listener("udp", "udp", host, 5060),)), SeededIds(seed))


class Bench:
    """Runs calls one after the other and adds up the B2BUA's time."""

    def __init__(self) -> None:
        self.stacks = {host: make_stack(host, index + 1) for index, host in enumerate((CALLER, SERVER, CALLEE))}
        self.cpu = 0.0
        self.now = 1000.0
        self.other: dict[str, str] = {}
        self.messages = 0
        self.offer = sdp.make_offer(CALLER, 4000, CODECS, session=sdp.SessionId(1, 1))
        self.answer = sdp.answer_offer(sdp.parse(self.offer), CALLEE, 4000, CODECS, session=sdp.SessionId(1, 1)).sdp
        self.ended = 0
        self.profiler: cProfile.Profile | None = None
        self._queue: list[tuple[str, Flow, bytes]] = []

    def run_call(self, index: int) -> None:
        """One whole call."""
        leg = f"c{index}"
        invite = Invite(
            leg=leg,
            uri=f"sip:100@{SERVER}",
            flow=Flow("udp", SERVER, 5060),
            from_uri=f"sip:caller@{CALLER}",
            from_name="Caller",
            sdp=self.offer,
        )
        self._post(CALLER, self.stacks[CALLER].command(invite, self.now))
        self._drain()
        self._post(CALLER, self.stacks[CALLER].command(Hangup(leg=leg), self.now))
        self._drain()
        self.now += 0.1
        self.expire()

    def expire(self) -> None:
        self._switch(self._timed(lambda: self.stacks[SERVER].expire(self.now)))
        for host in (CALLER, CALLEE):
            self._post(host, self.stacks[host].expire(self.now))
        self._drain()

    def _timed(self, action: object) -> list[Output]:
        assert callable(action)
        if self.profiler is not None:
            self.profiler.enable()
        start = time.process_time()
        outputs: list[Output] = action()
        self.cpu += time.process_time() - start
        if self.profiler is not None:
            self.profiler.disable()
        return outputs

    def _post(self, host: str, outputs: list[Output]) -> None:
        for output in outputs:
            if isinstance(output, Transmit):
                self._queue.append((output.flow.host, Flow("udp", host, 5060, "udp"), output.data))
            elif isinstance(output, IncomingCall):
                stack = self.stacks[host]
                self._post(host, stack.command(Progress(leg=output.leg, status=180), self.now))
                self._post(host, stack.command(Accept(leg=output.leg, sdp=self.answer), self.now))

    def _drain(self) -> None:
        while self._queue:
            host, flow, data = self._queue.pop(0)
            stack = self.stacks[host]
            if host != SERVER:
                self._post(host, stack.receive(data, flow, self.now))
                continue
            self.messages += 1
            self._switch(self._timed(lambda stack=stack, data=data, flow=flow: stack.receive(data, flow, self.now)))

    def _switch(self, outputs: list[Output]) -> None:
        """The shortest B2BUA there is."""
        stack, other = self.stacks[SERVER], self.other
        for output in outputs:
            if isinstance(output, Transmit):
                self.messages += 1
                self._queue.append((output.flow.host, Flow("udp", SERVER, 5060, "udp"), output.data))
            elif isinstance(output, IncomingCall):
                leg = f"out-{output.leg}"
                other[leg], other[output.leg] = output.leg, leg
                invite = Invite(
                    leg=leg,
                    uri=f"sip:200@{CALLEE}",
                    flow=Flow("udp", CALLEE, 5060),
                    from_uri=f"sip:{output.caller}@{SERVER}",
                    sdp=output.sdp,
                )
                self._switch(self._timed(lambda invite=invite: stack.command(invite, self.now)))
            elif isinstance(output, Ringing):
                progress = Progress(leg=other[output.leg], status=output.status)
                self._switch(self._timed(lambda progress=progress: stack.command(progress, self.now)))
            elif isinstance(output, Answered):
                accept = Accept(leg=other[output.leg], sdp=output.sdp or b"")
                self._switch(self._timed(lambda accept=accept: stack.command(accept, self.now)))
            elif isinstance(output, Ended):
                self.ended += 1
                partner = other.pop(output.leg, None)
                if partner is not None:
                    hangup = Hangup(leg=partner, cause=output.cause)
                    self._switch(self._timed(lambda hangup=hangup: stack.command(hangup, self.now)))


def measure(calls: int, profiler: cProfile.Profile | None = None) -> dict[str, float | int | str]:
    """Run ``calls`` calls (after a tenth of that to warm up) and say what each cost."""
    bench = Bench()
    for index in range(calls // 10):
        bench.run_call(index)
    bench.cpu, bench.messages, bench.ended, bench.profiler = 0.0, 0, 0, profiler
    for index in range(calls):
        bench.run_call(calls + index)
    if bench.ended != 2 * calls:
        raise RuntimeError(f"{bench.ended} legs ended, {2 * calls} expected")
    bench.now += 100
    bench.expire()
    live = bench.stacks[SERVER].live()
    if any(live.values()):
        raise RuntimeError(f"left behind: {live}")
    return {
        "calls": calls,
        "cpu_ms_per_call": round(bench.cpu / calls * 1e3, 4),
        "calls_per_cpu_second": round(calls / bench.cpu, 1),
        "messages_per_call": round(bench.messages / calls, 2),
        "python": platform.python_version(),
    }


class _ChallengeAll:
    def identify(self, request: Request, flow: Flow) -> Challenge:
        return Challenge("bench")


def measure_registers(count: int, profiler: cProfile.Profile | None = None) -> dict[str, float | int | str]:
    """Take ``count`` registrations, each with fresh digest credentials (SHA-256, qop auth), and say what one cost."""
    accounts = {str(n): make_account(str(n), "bench", "secret", Origin("extension", str(n))) for n in range(count)}
    stack = Stack(
        _ChallengeAll(),
        LocalIdentity(listeners=(Listener("udp", "udp", SERVER, 5060),)),
        SeededIds(1),
        authenticator=DigestAuthenticator(accounts, b"k" * 32),
        registrar=Registrar(),
    )
    cpu, flow, now = 0.0, Flow("udp", CALLER, 5060, "udp"), 1000.0
    for number in accounts:
        challenge = stack.receive(_make_register(number, 1, ""), flow, now)[0]
        assert isinstance(challenge, Transmit)
        packet, _ = read_packet(challenge.data, flow)
        assert packet is not None and packet.status == 401, packet
        credentials = Credentials(number, "secret")
        proof = answer_challenge(packet.response, "REGISTER", f"sip:{SERVER}", credentials, {}, "0a4f113b")
        assert proof is not None
        data = _make_register(number, 2, f"{proof[0]}: {proof[1]}\r\n")
        if profiler is not None:
            profiler.enable()
        start = time.process_time()
        outputs = stack.receive(data, flow, now)
        cpu += time.process_time() - start
        if profiler is not None:
            profiler.disable()
        assert any(isinstance(output, Registered) for output in outputs)
        now += 0.01
        stack.expire(now)
    return {"registers": count, "cpu_ms_per_register": round(cpu / count * 1e3, 4)}


def _make_register(number: str, cseq: int, proof: str) -> bytes:
    return (
        f"REGISTER sip:{SERVER} SIP/2.0\r\nVia: SIP/2.0/UDP {CALLER}:5060;branch=z9hG4bK{number}x{cseq};rport\r\n"
        f"Max-Forwards: 70\r\nFrom: <sip:{number}@{SERVER}>;tag=f{number}\r\nTo: <sip:{number}@{SERVER}>\r\n"
        f"Call-ID: {number}@{CALLER}\r\nCSeq: {cseq} REGISTER\r\nContact: <sip:{number}@{CALLER}:5060>\r\n"
        f"Expires: 600\r\nUser-Agent: bench\r\n{proof}Content-Length: 0\r\n\r\n"
    ).encode()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--registers", type=int, default=2000)
    parser.add_argument("--seconds", type=float, default=15, help="of each rate over sockets; 0: none of that")
    parser.add_argument("--json", default="", help="write the figures here as well")
    parser.add_argument("--profile", action="store_true", help="print where the time goes (slower)")
    args = parser.parse_args()
    profiler = cProfile.Profile() if args.profile else None
    result = measure(args.calls, profiler)
    # What one measurement leaves behind must not be walked by the garbage collector of the next.
    gc.collect()
    result |= measure_registers(args.registers, profiler)
    gc.collect()
    result |= measure_switch(max(1, args.calls // 2))
    for name, value in result.items():
        print(f"{name:28} {value}")
    report: dict[str, Any] = dict(result)
    if args.seconds:
        report |= measure_calls(RATES, args.seconds)
        print("\nThe server itself: sockets, event log, media gateway, on one core (tools.bench_calls)")
        show(report)
    if args.json:
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump(report, file, indent=2)
    if profiler is not None:
        pstats.Stats(profiler, stream=sys.stdout).sort_stats("tottime").print_stats(35)


if __name__ == "__main__":
    main()
