"""The control side of the gateway: one asyncio thread that turns commands into engine calls and facts into events.

Nothing here touches a packet. ``dispatcher`` holds what call control asked for, by the names it chose; ``server``
speaks the protocol; the engine knows only numbers.
"""
