"""SRTP (RFC 3711) through libsrtp: sessions are made by the control side, used by the engine thread."""

from libc.stdint cimport uint8_t

cdef int protect_rtp(void* session, uint8_t* data, int size) noexcept nogil
cdef int unprotect_rtp(void* session, uint8_t* data, int size) noexcept nogil
cdef int protect_rtcp(void* session, uint8_t* data, int size) noexcept nogil
cdef int unprotect_rtcp(void* session, uint8_t* data, int size) noexcept nogil
