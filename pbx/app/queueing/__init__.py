"""Agents and queues: the ACD on calls, callbacks, who spoke with whom last."""
