"""The asyncio shells: sockets, timers and clients that implement the ports. They decide nothing."""
