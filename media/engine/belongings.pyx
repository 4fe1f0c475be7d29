"""What the engine uses and Python owns: SRTP sessions and coders, kept alive until the engine has let go of them."""

from libc.stdint cimport uintptr_t

from media.engine.srtp import open_session
from media.engine.types cimport Coder, LegConfig


cdef class Belongings:
    """Of all legs."""

    def __cinit__(self):
        self._coders = {}
        self._sessions = {}
        self._states = {}

    cdef int fit(self, int leg, object setup, object coder_factory, LegConfig* config) except -1:
        """Put the leg's sessions and coder into `config`. Raises ValueError (suite, key, codec parameters).

        What did not change keeps its state: SRTP's roll-over counter and replay list, a decoder's history."""
        state = self._states.get(leg, {})
        fresh = {}
        for name, wanted, make in (
            ("send", setup.srtp_send, lambda keys: self._open_srtp(keys, False)),
            ("receive", setup.srtp_receive, lambda keys: self._open_srtp(keys, True)),
            ("coder", tuple((spec.kind, spec.pcm_rate, spec.fmtp) for spec in setup.codecs),
             lambda _: self._open_coder(setup.codecs, coder_factory)),
        ):
            known = state.get(name)
            fresh[name] = known if known is not None and known[0] == wanted else (wanted, make(wanted))
        config.srtp_send = <void*><uintptr_t>fresh["send"][1]
        config.srtp_receive = <void*><uintptr_t>fresh["receive"][1]
        config.coder = <Coder*><uintptr_t>fresh["coder"][1]
        self._states[leg] = fresh
        return 0

    def _open_srtp(self, keys, inbound):
        if keys is None:
            return 0
        session, address = open_session(keys[0], keys[1], inbound)
        self._sessions[address] = session
        return address

    def _open_coder(self, codecs, coder_factory):
        """State for the first codec that needs any; the factory returns its owner and the address of a Coder."""
        if coder_factory is None:
            return 0
        for spec in codecs:
            made = coder_factory(spec)
            if made is not None:
                self._coders[made[1]] = made[0]
                return made[1]
        return 0

    cdef int forget_session(self, void* session) except -1:
        self._sessions.pop(<uintptr_t>session, None)
        return 0

    cdef int forget_coder(self, void* coder) except -1:
        self._coders.pop(<uintptr_t>coder, None)
        return 0

    cdef int forget_leg(self, int leg, LegConfig* config) except -1:
        """The engine has let go of the leg, whose last configuration this is."""
        self._states.pop(leg, None)
        self.forget_session(config.srtp_send)
        self.forget_session(config.srtp_receive)
        self.forget_coder(config.coder)
        return 0
