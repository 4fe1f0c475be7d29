"""The engine's events as facts for the control side."""

from media.engine.types cimport Event

cdef tuple read_event(Event* event)
