"""The CTI protocol without I/O: commands, events, permissions and the per-client state machine.

Names are those of ECMA-269 (CSTA).
"""
