"""What the engine uses and Python owns."""

from media.engine.types cimport LegConfig


cdef class Belongings:
    cdef dict _coders           # address of Coder -> Python owner
    cdef dict _sessions         # address of session -> pylibsrtp.Session
    cdef dict _states           # leg -> what its SRTP sessions and coder were made from, and their addresses

    cdef int fit(self, int leg, object setup, object coder_factory, LegConfig* config) except -1
    cdef int forget_session(self, void* session) except -1
    cdef int forget_coder(self, void* coder) except -1
    cdef int forget_leg(self, int leg, LegConfig* config) except -1
