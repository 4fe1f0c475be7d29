"""The engine: compiled modules that move packets without the interpreter.

``core.Engine`` is the only thing the rest of :mod:`media` uses; the other modules are reached by
``cimport`` from one another. See media/README.md for threads, ownership and the tick.
"""
