"""The story: a caller on the trunk, the IVR, the queue, an agent, hold and retrieve, the end, and the judgement."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any

import structlog
from rich.console import Console

from pbx.cli.cdr import show_call
from pbx.cli.serve import set_up_logging
from pbx.config.model import Logging
from pbx.server import Server
from tools import listen
from tools.demo import sipp_story, stage, verify
from tools.demo.desktop import CommandFailed, Desktop
from tools.demo.view import View
from tools.phones import Phone, PhoneFailed, write_tone
from tools.sipp_phones import SippFailed

DID = "01055550100"
PHONES = {"pjsua2": "pjsua2 (pjsip)", "sipp": "SIPp, which checks less: see the end"}
TALK_S = 2.5
HOLD_S = 2.5
STEPS = (
    *("Offered", "FlowEntered", "Queued", "PositionAnnounced", "AgentOffered"),
    *("Bridged", "Held", "Retrieved", "CallCleared"),
)


class Story:
    def __init__(self, server: Server, folder: Path, view: View, secrets: dict[str, str]) -> None:
        self.server = server
        self.folder = folder
        self.view = view
        self.secrets = secrets
        self.port = server.transports.listener_address("udp")[1]
        self.http = f"http://127.0.0.1:{server.http.port}" if server.http else ""

    async def run(self) -> tuple[str, Desktop]:
        """Play it. Returns the id of the caller's call."""
        write_tone(self.folder / "caller.wav", verify.CALLER_HZ)
        write_tone(self.folder / "agent.wav", verify.AGENT_HZ)
        caller = self._phone("caller", "13912345678", stage.CALLER_ADDRESS)
        agent = self._phone("agent", "1001", "127.0.0.1")
        async with caller, agent, self.open_desktop() as desktop:
            self.view.know(caller.address, "caller")
            self.view.know(agent.address, "agent")
            self.view.head()
            self.view.say("the agent's phone registers with digest; her desktop logs her in")
            await agent.register("1001", self.secrets["extension-1001"], f"sip:127.0.0.1:{self.port}")
            await desktop.ask("SetAgentState", {"agent": "8001", "state": "log_on"})
            call = await self._wait_in_queue(caller, desktop)
            await self._talk(agent, desktop)
            self.view.say("the caller hangs up; the agent wraps up")
            caller.do("hangup")
            await self.wrap_up(desktop, call)
            return call, desktop

    def open_desktop(self) -> Desktop:
        """The administrator's desktop, not connected yet."""
        return Desktop(self.http.replace("http", "ws") + "/cti", self.secrets["token-admin"], self.view.event)

    async def wrap_up(self, desktop: Desktop, call: str) -> None:
        """The agent's work after ``call``."""
        await desktop.wait("AgentWorkingAfterCall", agent="8001")
        await desktop.wait("RecordingCompleted", call=call)
        params = {"agent": "8001", "state": "wrap_up_done", "disposition": "solved", "note": "demonstration"}
        await desktop.ask("SetAgentState", params)
        await desktop.wait("WrapUpCompleted", agent="8001")

    def _phone(self, name: str, user: str, address: str) -> Phone:
        files = {kind: str(self.folder / f"{name}-{kind}") for kind in ("heard-%d.wav", "pjsip.log")}
        return Phone(
            name,
            *("--user", user, "--address", address, "--speak", str(self.folder / f"{name}.wav")),
            *("--record", files["heard-%d.wav"], "--log", files["pjsip.log"]),
        )

    async def _wait_in_queue(self, caller: Phone, desktop: Desktop) -> str:
        self.view.say(f"the caller dials {DID}, chooses English (2) and then support (2)")
        caller.do("call", uri=f"sip:{DID}@127.0.0.1:{self.port}")
        offered = await desktop.wait("Offered", called="+861055550100")
        call: str = offered["event"]["call"]
        await caller.wait("state", state="CONFIRMED")
        await desktop.wait("NodeEntered", call=call, node="start")
        await asyncio.sleep(1.5)
        caller.do("digits", digits="2")
        await desktop.wait("NodeEntered", call=call, node="main_menu")
        await asyncio.sleep(0.8)
        caller.do("digits", digits="2")
        await desktop.wait("Queued", call=call, queue="support")
        await desktop.wait("PositionAnnounced", call=call)
        await asyncio.sleep(2.5)
        self.view.say("the agent becomes ready")
        await desktop.ask("SetAgentState", {"agent": "8001", "state": "ready"})
        return call

    async def _talk(self, agent: Phone, desktop: Desktop) -> None:
        await agent.wait("incoming")
        await asyncio.sleep(0.6)
        agent.do("answer")
        await desktop.wait("AgentBusy", agent="8001")
        self.view.say("they talk")
        await asyncio.sleep(TALK_S)
        self.view.say("the agent holds the call")
        agent.do("hold")
        await desktop.wait("Held")
        await asyncio.sleep(HOLD_S)
        agent.do("retrieve")
        await desktop.wait("Retrieved")
        self.view.say("and takes it back")
        await asyncio.sleep(TALK_S)


async def judge(
    server: Server, folder: Path, call: str, desktop: Desktop, console: Console, *, ears: bool
) -> list[str]:
    """The summary, and everything that is not as it should be. ``ears``: the phones recorded what they heard."""
    events = [seen for seen in desktop.events if seen["event"].get("call") == call]

    def at(kind: str, **fields: Any) -> float:
        for seen in events:
            if seen["event"]["type"] == kind and all(seen["event"].get(k) == v for k, v in fields.items()):
                return float(seen["at"])
        raise LookupError(kind)

    completed = next(seen["event"] for seen in events if seen["event"]["type"] == "RecordingCompleted")
    path = server.configuration.recording_folder().absolute() / completed["path"]
    began = at("RecordingStarted")
    spans = {name: at(name) - began for name in ("Bridged", "Held", "Retrieved", "CallCleared")}
    found = verify.Findings()
    talks = [(spans["Bridged"], spans["Held"]), (spans["Retrieved"], spans["CallCleared"])]
    verify.judge_recording(path, talks, (spans["Held"], spans["Retrieved"]), found)
    if ears:
        verify.judge_ear(folder / "caller-heard-0.wav", "caller", verify.AGENT_HZ, 1.8 * TALK_S, found)
        verify.judge_ear(folder / "agent-heard-0.wav", "agent", verify.CALLER_HZ, 1.8 * TALK_S, found)
    record = await asyncio.to_thread(server.backend.records.read_call, call)
    right = record is not None and record["outcome"] == "answered" and record["agent"] == "8001"
    found.check(right, "the CDR says: answered by agent 8001")
    found.check(not server.runtime.switch.live()["calls"], "no call is left in the switch")

    console.rule("timeline")
    for name in STEPS:
        console.print(f"  {at(name) - at('Offered'):6.2f} s  {name}")
    console.rule("call detail record")
    if record is not None:
        show_call(record, as_json=False)
    console.rule("recording")
    sound = listen.load(path)
    console.print(f"  {path}\n  {completed['duration_ms'] / 1000:.2f} s, sha256 {completed['sha256'][:16]}…")
    for name, channel in zip(("customer", "heard by him"), sound.channels, strict=True):
        console.print(f"  {name:<13} {listen.level_dbfs(channel, sound.rate):6.1f} dBFS")
    console.print(listen.picture(sound, ("customer", "heard"), width=72), highlight=False, markup=False)
    console.rule("verified by content")
    for right, text in found.lines:
        console.print(f"  [{'green' if right else 'red'}]{'✓' if right else '✗'}[/] {text}", highlight=False)
    for text in () if ears else sipp_story.UNCHECKED:
        console.print(f"  [yellow]–[/] not checked with SIPp: {text}", highlight=False)
    return found.failed


async def main(phones: str, folder: Path) -> int:
    task = asyncio.current_task()
    assert task is not None
    # Ended by whatever signal, the gateway ends with it.
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    console = Console(width=150 if not sys.stdout.isatty() else None, highlight=False)
    keep = os.environ.get("KEEP", "") not in ("", "0")
    os.environ["TANDEM_HOME"] = str(folder / "data")
    set_up_logging(Logging(level="warning", file=folder / "server.log"))
    secrets: dict[str, str] = {}
    console.rule("Tandem: trunk → IVR → queue → agent → recording, on loopback")
    started = time.monotonic()
    server = Server(stage.build(folder), show_secret=secrets.__setitem__)
    await server.start()
    console.print(f"{server.describe()} after {time.monotonic() - started:.1f} s; the phones are {PHONES[phones]}")
    view = View(console)
    ladder = server.runtime.on_packet

    def show(sent: bool, *rest: Any) -> None:
        if ladder is not None:
            ladder(sent, *rest)
        view.packet(sent, *rest)

    server.runtime.on_packet = show
    failed: list[str] = []
    try:
        story = Story(server, folder, view, secrets)
        call, desktop = await (story.run() if phones == "pjsua2" else sipp_story.play(story, DID))
        failed = await judge(server, folder, call, desktop, console, ears=phones == "pjsua2")
        if keep:
            _tell_how_to_dial(console, story)
            await asyncio.Event().wait()
    except (PhoneFailed, SippFailed, CommandFailed, TimeoutError, LookupError) as error:
        failed = [f"{type(error).__name__}: {error}"]
    finally:
        await server.stop("the demonstration is over")
    for text in failed:
        console.print(f"[bold red]NOT RIGHT:[/] {text}", highlight=False)
    console.print(f"{'everything as it should be' if not failed else 'the demonstration failed'}; "
                  f"{time.monotonic() - started:.0f} s; server log: {folder / 'server.log'}")  # fmt: skip
    return 1 if failed else 0


def _tell_how_to_dial(console: Console, story: Story) -> None:
    console.rule("it goes on running; Ctrl-C ends it")
    console.print(f"  softphone: user 1002, password {story.secrets['extension-1002']}, domain 127.0.0.1:{story.port}")
    console.print("  dial 2001 (support queue), 1001, *44 (clock), *31 (log in as agent 8002)")
    console.print(f"  as a caller on the trunk: from {stage.CALLER_ADDRESS} call sip:{DID}@127.0.0.1:{story.port}")
    console.print(f"  HTTP: {story.http}/health, token for administrators: {story.secrets['token-admin']}")


def choose_phones() -> str:
    """As PHONES says, else pjsua2 where it is, else SIPp. :raises SystemExit: there is no such phone."""
    wanted = os.environ.get("PHONES", "") or ("pjsua2" if importlib.util.find_spec("pjsua2") else "sipp")
    if wanted not in PHONES:
        sys.exit(f"PHONES={wanted}: the demonstration has {' and '.join(PHONES)}")
    if wanted == "pjsua2" and importlib.util.find_spec("pjsua2") is None:
        sys.exit("PHONES=pjsua2: its wheels are for Python 3.11 and 3.12 on x86-64. Try: make PYTHON=python3.12 demo")
    if wanted == "sipp" and shutil.which("sipp") is None:
        sys.exit("The demonstration's phones are SIPp here, which is missing: apt-get install sip-tester")
    return wanted


def empty_folder() -> Path:
    """Where everything of this run goes: ``DEMO_FOLDER``, else ``var/demo``."""
    folder = Path(os.environ.get("DEMO_FOLDER", "") or stage.REPOSITORY / "var" / "demo")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


if __name__ == "__main__":
    try:
        status = asyncio.run(main(choose_phones(), empty_folder()))
    except (KeyboardInterrupt, asyncio.CancelledError):
        status = 0
    structlog.reset_defaults()
    sys.exit(status)
