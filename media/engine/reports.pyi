"""Reached by `cimport` from the engine's other modules; there is nothing in it for Python."""
