"""What the control socket answers to `tandem status`, `trace` and `bans`."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping

from pbx.adapters.control_socket import Handler
from pbx.adapters.desk_server import DeskServer
from pbx.adapters.runtime import Runtime
from pbx.adapters.sip_edge import SipEdge
from pbx.storage.event_log import EventLog

LEG = re.compile(r"leg-[0-9a-f]{16}")


def make_answers(
    runtime: Runtime, desk: DeskServer, log: EventLog, edge: SipEdge, describe: Callable[[], str]
) -> dict[str, Handler]:
    """By the name of the request."""

    async def status(arguments: Mapping[str, str]) -> Mapping[str, str]:
        """What `tandem status` shows."""
        switch = runtime.switch
        live = desk.hub.live.state
        found = {"server": describe(), "calls": str(len(switch.exchange.calls))}
        for kind, parts in (("gateway", live.gateways), ("trunk", live.trunks)):
            for name, part in parts.items():
                found[f"{kind} {name}"] = f"{part.state} {part.reason}".strip()
        return found

    async def trace(arguments: Mapping[str, str]) -> Mapping[str, str]:
        """What `tandem trace` shows: the legs of a call, live or over, are known from the log."""
        lines = await asyncio.to_thread(log.read_call, arguments.get("call", ""))
        legs = {leg for line in lines for leg in LEG.findall(str(line))}
        return edge.trace(sorted(legs), arguments)

    async def bans(arguments: Mapping[str, str]) -> list[dict[str, str]]:
        """What `tandem bans` shows."""
        return edge.bans(arguments)

    return {"status": status, "trace": trace, "bans": bans}
