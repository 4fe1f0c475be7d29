"""A desktop in 50 lines: follow what concerns me, reconnect without losing or repeating anything, give commands.

python cti_client.py ws://localhost:8080/cti TOKEN [COMMAND '{"param": "value"}']
"""

import asyncio
import json
import sys
import uuid

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed


class Desktop:
    def __init__(self) -> None:
        self.seq: int | None = None  # the last event seen; keep it on disk to survive a restart of your own

    async def follow(self, url: str, token: str) -> None:
        async for socket in connect(url, additional_headers={"Authorization": f"Bearer {token}"}, max_size=None):
            try:
                since = {} if self.seq is None else {"since": self.seq}
                await self.request(socket, "Subscribe", {"all": True} | since)
                async for text in socket:
                    self.handle(json.loads(text))
            except ConnectionClosed:
                continue  # connect() waits a little, then comes back; `since` does the rest

    async def request(self, socket, method: str, params: dict) -> None:
        await socket.send(json.dumps({"jsonrpc": "2.0", "id": str(uuid.uuid4()), "method": method, "params": params}))

    def handle(self, message: dict) -> None:
        if message.get("method") == "event":
            self.seq = message["params"]["seq"]
            print(json.dumps(message["params"]), flush=True)
        elif message.get("method") == "position":
            self.seq = message["params"]["seq"]
        elif "snapshot" in message.get("result", {}):
            self.seq = message["result"]["seq"]
            print("snapshot:", json.dumps(message["result"]["snapshot"]), flush=True)
        elif "error" in message:
            raise SystemExit(message["error"]["message"])


async def command(url: str, token: str, method: str, params: dict) -> None:
    async with connect(url, additional_headers={"Authorization": f"Bearer {token}"}) as socket:
        await Desktop().request(socket, method, params)
        print(await socket.recv())


if __name__ == "__main__":
    url, token, *rest = sys.argv[1:]
    asyncio.run(command(url, token, rest[0], json.loads(rest[1])) if rest else Desktop().follow(url, token))
