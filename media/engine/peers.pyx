"""Who a leg talks to: addresses, the connected socket, and the guard beside it that catches strangers."""

from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t, uintptr_t
from libc.string cimport memcmp, memcpy, memset
from posix.unistd cimport close

from media.engine.rings cimport begin_event, commit_event
from media.engine.types cimport Event, Leg, Loop, sockaddr, sockaddr_storage, socklen_t


cdef extern from "<sys/epoll.h>" nogil:
    ctypedef union epoll_data_t:
        void* ptr
        uint64_t u64
    struct epoll_event:
        uint32_t events
        epoll_data_t data
    int epoll_ctl(int epfd, int op, int fd, epoll_event* event)
    enum:
        EPOLL_CTL_ADD
        EPOLL_CTL_MOD
        EPOLLIN
        EPOLLET


cdef extern from "<sys/socket.h>" nogil:
    int socket(int family, int type, int protocol)
    int c_bind "bind"(int fd, const sockaddr* address, socklen_t length)
    int c_connect "connect"(int fd, const sockaddr* address, socklen_t length)
    int getsockname(int fd, sockaddr* address, socklen_t* length)
    int setsockopt(int fd, int level, int name, const void* value, socklen_t length)
    enum:
        AF_INET
        AF_INET6
        AF_UNSPEC
        SOCK_DGRAM
        SOCK_NONBLOCK
        SOCK_CLOEXEC
        SOL_SOCKET
        SO_REUSEADDR
        SO_TIMESTAMPNS


cdef extern from "<netinet/in.h>" nogil:
    struct in_addr:
        uint32_t s_addr
    struct sockaddr_in:
        unsigned short sin_family
        uint16_t sin_port
        in_addr sin_addr
    struct in6_addr:
        uint8_t s6_addr[16]
    struct sockaddr_in6:
        unsigned short sin6_family
        uint16_t sin6_port
        in6_addr sin6_addr
    uint16_t ntohs(uint16_t value)
    uint16_t htons(uint16_t value)
    int IPPROTO_IPV6
    int IPV6_V6ONLY


cdef bint same_address(const sockaddr_storage* a, const sockaddr_storage* b) noexcept nogil:
    cdef const sockaddr_in* a4 = <const sockaddr_in*>a
    cdef const sockaddr_in* b4 = <const sockaddr_in*>b
    cdef const sockaddr_in6* a6 = <const sockaddr_in6*>a
    cdef const sockaddr_in6* b6 = <const sockaddr_in6*>b
    if a.ss_family != b.ss_family:
        return False
    if a.ss_family == AF_INET:
        return a4.sin_port == b4.sin_port and a4.sin_addr.s_addr == b4.sin_addr.s_addr
    return a6.sin6_port == b6.sin6_port and memcmp(&a6.sin6_addr, &b6.sin6_addr, 16) == 0


cdef void push_address(Loop* loop, Leg* leg, int type, long long a, const sockaddr_storage* address) noexcept nogil:
    cdef Event* event = begin_event(&loop.events)
    if event == NULL:
        return
    event.type = type
    event.leg = leg.handle
    event.a = a
    event.pointer = NULL
    event.family = address.ss_family
    memset(event.address, 0, 16)
    if address.ss_family == AF_INET:
        event.port = ntohs((<const sockaddr_in*>address).sin_port)
        memcpy(event.address, &(<const sockaddr_in*>address).sin_addr, 4)
    else:
        event.port = ntohs((<const sockaddr_in6*>address).sin6_port)
        memcpy(event.address, &(<const sockaddr_in6*>address).sin6_addr, 16)
    commit_event(&loop.events)


cdef void watch_socket(Loop* loop, int fd, Leg* leg, int which, bint on) noexcept nogil:
    cdef epoll_event event
    event.events = EPOLLIN if on else 0
    if which == ON_RTP:
        event.events |= <uint32_t>EPOLLET
    event.data.u64 = <uint64_t><uintptr_t>leg | which
    if epoll_ctl(loop.epoll_fd, EPOLL_CTL_MOD, fd, &event) < 0:
        epoll_ctl(loop.epoll_fd, EPOLL_CTL_ADD, fd, &event)


cdef void start_polling(Loop* loop, Leg* leg) noexcept nogil:
    """No more edges for this leg: nobody waits for what it sends, and it is looked at in its slot anyway.

    The kernel notes the time of each packet from here on, so that jitter stays what it is."""
    cdef int one = 1
    if not leg.stamped:
        if setsockopt(leg.rtp_fd, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof(one)) < 0:
            return
        leg.stamped = 1
    watch_socket(loop, leg.rtp_fd, leg, ON_RTP, False)
    leg.polled = 1


cdef void stop_polling(Loop* loop, Leg* leg) noexcept nogil:
    """Edges again; what waits now is one."""
    leg.polled = 0
    watch_socket(loop, leg.rtp_fd, leg, ON_RTP, True)


cdef void _open_guard(Loop* loop, Leg* leg) noexcept nogil:
    """A second socket on the leg's port: packets that are not the connected peer's go there."""
    cdef sockaddr_storage own
    cdef socklen_t length = sizeof(own)
    cdef int one = 1
    cdef int fd
    if leg.guard_fd >= 0 or getsockname(leg.rtp_fd, <sockaddr*>&own, &length) < 0:
        return
    fd = socket(own.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
    if fd < 0:
        return
    # Set after the first bind, so that nobody else could share the port until here.
    setsockopt(leg.rtp_fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one))
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one))
    if own.ss_family == AF_INET6:
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one))
    if c_bind(fd, <sockaddr*>&own, length) < 0:
        close(fd)
        return
    leg.guard_fd = fd
    watch_socket(loop, fd, leg, ON_GUARD, True)


cdef void connect_leg(Loop* loop, Leg* leg) noexcept nogil:
    """Bind the socket to the peer in `config.remote`: cheaper to use, and strangers are told apart by the kernel."""
    if leg.config.remote_port == 0:
        return
    _open_guard(loop, leg)
    if leg.guard_fd < 0:
        return
    leg.connected = c_connect(leg.rtp_fd, <sockaddr*>&leg.config.remote, leg.config.remote_length) == 0
    leg.unverified = 1


cdef void disconnect_leg(Leg* leg) noexcept nogil:
    cdef sockaddr_storage nobody
    cdef sockaddr_storage own
    cdef socklen_t length = sizeof(own)
    if not leg.connected:
        return
    getsockname(leg.rtp_fd, <sockaddr*>&own, &length)
    memset(&nobody, 0, sizeof(nobody))
    nobody.ss_family = AF_UNSPEC
    c_connect(leg.rtp_fd, <sockaddr*>&nobody, sizeof(nobody))
    leg.connected = 0


cdef void set_peer(Loop* loop, Leg* leg, const sockaddr_storage* source, socklen_t length) noexcept nogil:
    """Send to, and listen to, `source` from now on."""
    cdef uint16_t port
    memcpy(&leg.config.remote, source, length)
    leg.config.remote_length = length
    memcpy(&leg.config.remote_rtcp, source, length)
    if source.ss_family == AF_INET:
        port = ntohs((<const sockaddr_in*>source).sin_port)
        (<sockaddr_in*>&leg.config.remote_rtcp).sin_port = htons(<uint16_t>(port + 1))
    else:
        port = ntohs((<const sockaddr_in6*>source).sin6_port)
        (<sockaddr_in6*>&leg.config.remote_rtcp).sin6_port = htons(<uint16_t>(port + 1))
    leg.config.remote_port = port
    connect_leg(loop, leg)
