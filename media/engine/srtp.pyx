"""SRTP and SRTCP in place, by calling the libsrtp that pylibsrtp ships.

pylibsrtp makes and frees the sessions (their policy structures are its business); the engine takes the raw
session pointer and calls the library's own functions, found by name, without the interpreter. A session has one
user: the engine thread from ConfigureLeg until it is handed back.
"""

import ctypes

from libc.stdint cimport uint8_t, uintptr_t

from pylibsrtp import Policy, Session, _binding

ctypedef int (*transform_fn)(void* session, void* data, int* size) noexcept nogil

cdef transform_fn _protect
cdef transform_fn _unprotect
cdef transform_fn _protect_rtcp
cdef transform_fn _unprotect_rtcp

# Kept so that the library stays mapped.
_library = ctypes.CDLL(_binding.__file__)


cdef transform_fn _find(str name) except NULL:
    cdef uintptr_t address = ctypes.cast(getattr(_library, name), ctypes.c_void_p).value
    return <transform_fn>address


_protect = _find("srtp_protect")
_unprotect = _find("srtp_unprotect")
_protect_rtcp = _find("srtp_protect_rtcp")
_unprotect_rtcp = _find("srtp_unprotect_rtcp")

SUITES = {
    "AES_CM_128_HMAC_SHA1_80": (Policy.SRTP_PROFILE_AES128_CM_SHA1_80, 30),
    "AES_CM_128_HMAC_SHA1_32": (Policy.SRTP_PROFILE_AES128_CM_SHA1_32, 30),
    "AEAD_AES_128_GCM": (Policy.SRTP_PROFILE_AEAD_AES_128_GCM, 28),
    "AEAD_AES_256_GCM": (Policy.SRTP_PROFILE_AEAD_AES_256_GCM, 44),
}


def open_session(suite: str, key: bytes, inbound: bool) -> tuple[object, int]:
    """A libsrtp session for one direction and the address the engine calls it by.

    Raises ValueError for a suite that is not known or a key of the wrong length.
    """
    if suite not in SUITES:
        raise ValueError(f"SRTP suite {suite!r} is not supported")
    profile, length = SUITES[suite]
    if len(key) != length:
        raise ValueError(f"SRTP suite {suite} wants {length} bytes of key and salt, not {len(key)}")
    policy = Policy(
        key=key,
        ssrc_type=Policy.SSRC_ANY_INBOUND if inbound else Policy.SSRC_ANY_OUTBOUND,
        srtp_profile=profile,
    )
    policy.window_size = 1024
    session = Session(policy)
    address = int(_binding.ffi.cast("uintptr_t", session._srtp[0]))
    return session, address


cdef int protect_rtp(void* session, uint8_t* data, int size) noexcept nogil:
    """The new size, or -1. Needs 32 bytes of room behind the packet."""
    if _protect(session, data, &size) != 0:
        return -1
    return size


cdef int unprotect_rtp(void* session, uint8_t* data, int size) noexcept nogil:
    """The new size, or -1 for a forged, repeated or damaged packet."""
    if size < 12 or _unprotect(session, data, &size) != 0:
        return -1
    return size


cdef int protect_rtcp(void* session, uint8_t* data, int size) noexcept nogil:
    if _protect_rtcp(session, data, &size) != 0:
        return -1
    return size


cdef int unprotect_rtcp(void* session, uint8_t* data, int size) noexcept nogil:
    if size < 8 or _unprotect_rtcp(session, data, &size) != 0:
        return -1
    return size
