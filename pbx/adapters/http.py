"""Serves HTTP and the CTI socket on one port, inside the running event loop."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvicorn


class HttpServer:
    """uvicorn without its own loop and without its signal handlers: those are the server's."""

    def __init__(
        self,
        app: Any,
        make_socket: Callable[..., asyncio.Protocol],
        *,
        address: str = "127.0.0.1",
        port: int = 0,
        certificate: Path | None = None,
        key: Path | None = None,
    ) -> None:
        self._config = uvicorn.Config(
            app,
            host=address,
            port=port,
            ws=make_socket,  # type: ignore[arg-type]  # any callable that makes a protocol will do
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            timeout_keep_alive=30,
            timeout_graceful_shutdown=3,
            h11_max_incomplete_event_size=65_536,
            ssl_certfile=str(certificate) if certificate else None,
            ssl_keyfile=str(key) if key else None,
        )
        self._address = address
        self._port = port
        self._server: uvicorn.Server | None = None
        self.port = 0
        """Where it listens, once started."""

    async def start(self) -> None:
        """Listen. Raises OSError where the port is taken."""
        family = socket.AF_INET6 if ":" in self._address else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((self._address, self._port))
            listener.listen(1024)
        except OSError:
            listener.close()
            raise
        listener.setblocking(False)
        self.port = listener.getsockname()[1]
        self._config.load()
        self._server = uvicorn.Server(self._config)
        self._server.lifespan = self._config.lifespan_class(self._config)
        await self._server.startup(sockets=[listener])
        self._ticking = asyncio.get_running_loop().create_task(self._server.main_loop())

    async def stop(self) -> None:
        """Finish running requests, then close."""
        if self._server is None:
            return
        self._server.should_exit = True
        await self._ticking
        await self._server.shutdown()
        self._server = None
