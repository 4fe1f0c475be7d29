"""Descriptors of the Linux kernel that the engine waits on."""

from libc.stdint cimport uint64_t


cdef extern from "<sys/epoll.h>" nogil:
    ctypedef union epoll_data_t:
        uint64_t u64
    struct epoll_event:
        unsigned int events
        epoll_data_t data
    int epoll_create1(int flags)
    int epoll_ctl(int epfd, int op, int fd, epoll_event* event)
    enum:
        EPOLL_CTL_ADD
        EPOLLIN
        EPOLL_CLOEXEC


cdef extern from "<sys/eventfd.h>" nogil:
    int eventfd(unsigned int value, int flags)
    enum:
        EFD_NONBLOCK
        EFD_CLOEXEC


cdef extern from "<sys/timerfd.h>" nogil:
    int timerfd_create(int clock, int flags)
    enum:
        TFD_NONBLOCK
        TFD_CLOEXEC
        CLOCK_MONOTONIC
