"""The same story with SIPp's phones, for where pjsua2 has no wheel: by the clock, keys by INFO, no ear of their own."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from tools.demo import stage, verify
from tools.demo.desktop import Desktop
from tools.sipp_phones import Sipp, write_alaw

if TYPE_CHECKING:
    from tools.demo.__main__ import Story

UNCHECKED = (
    "what each phone heard (SIPp records nothing; the right channel is what was sent to the customer)",
    "keys by RFC 4733 (SIPp's are SIP INFO)",
    "phones that react: SIPp answers, holds and hangs up by the clock",
)
"""What this way cannot show, and pjsua2's phones do."""


async def play(story: Story, did: str) -> tuple[str, Desktop]:
    """Play it. Returns the id of the caller's call. Raises SippFailed, CommandFailed, TimeoutError."""
    write_alaw(story.folder / "caller.alaw", verify.CALLER_HZ)
    write_alaw(story.folder / "agent.alaw", verify.AGENT_HZ)
    server = ("127.0.0.1", story.port)
    caller, agent = Sipp(story.folder, stage.CALLER_ADDRESS, server), Sipp(story.folder, "127.0.0.1", server)
    view = story.view
    try:
        async with story.open_desktop() as desktop:
            view.know(caller.address, "caller")
            view.know(agent.address, "agent")
            view.head()
            view.say("the agent's phone registers with digest; her desktop logs her in")
            await agent.register("1001", story.secrets["extension-1001"])
            await desktop.ask("SetAgentState", {"agent": "8001", "state": "log_on"})
            await agent.start("agent")
            view.say(f"the caller dials {did}, chooses English (2) and then support (2)")
            await caller.start("caller", "-s", did, "-key", "caller", "13912345678")
            offered = await desktop.wait("Offered", called="+861055550100")
            call: str = offered["event"]["call"]
            await desktop.wait("PositionAnnounced", call=call)
            await asyncio.sleep(1.0)
            view.say("the agent becomes ready; they will talk, the agent holds the call and takes it back")
            await desktop.ask("SetAgentState", {"agent": "8001", "state": "ready"})
            await desktop.wait("Retrieved", call=call)
            await caller.finish()
            await agent.finish()
            view.say("the caller hung up; the agent wraps up")
            await story.wrap_up(desktop, call)
            return call, desktop
    finally:
        await caller.stop()
        await agent.stop()
