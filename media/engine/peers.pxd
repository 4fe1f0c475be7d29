"""Who a leg talks to."""

from media.engine.types cimport Leg, Loop, sockaddr_storage, socklen_t


cdef enum:                     # the low bits of epoll's user data: which socket of the leg
    ON_RTP = 0
    ON_GUARD = 1
    ON_RTCP = 2


cdef bint same_address(const sockaddr_storage* a, const sockaddr_storage* b) noexcept nogil
cdef void push_address(Loop* loop, Leg* leg, int type, long long a, const sockaddr_storage* address) noexcept nogil
cdef void watch_socket(Loop* loop, int fd, Leg* leg, int which, bint on) noexcept nogil
cdef void start_polling(Loop* loop, Leg* leg) noexcept nogil
cdef void stop_polling(Loop* loop, Leg* leg) noexcept nogil
cdef void connect_leg(Loop* loop, Leg* leg) noexcept nogil
cdef void disconnect_leg(Leg* leg) noexcept nogil
cdef void set_peer(Loop* loop, Leg* leg, const sockaddr_storage* source, socklen_t length) noexcept nogil
