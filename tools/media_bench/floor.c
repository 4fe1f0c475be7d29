/* The floor the media gateway is measured against: the least a relay of telephone calls can do in C.
 *
 * One thread, level-triggered epoll, one recv and one send for each packet. The header is rewritten (SSRC, sequence
 * number, timestamp). With -r, both directions are also decoded from u-law into one stereo 16-bit WAV file a call,
 * placed by RTP timestamp and written in blocks of one second. With -c, sockets are connected to their peer, which is
 * the faster way to use them. It checks nothing, counts nothing, and never ends by itself.
 *
 *     floor -n CALLS -p FIRST_PORT -q PEER_PORT [-c] [-r FOLDER]
 *
 * Leg i of call k listens on FIRST_PORT + 4k + 2i; everything is sent to 127.0.0.1:PEER_PORT.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define BLOCK 8000

typedef struct leg {
    int fd;
    int side;
    struct leg *other;
    struct call *call;
    uint32_t ssrc, ts_offset, first_ts;
    uint16_t seq_offset;
    int started;
} leg_t;

typedef struct call {
    int fd;
    uint32_t block_start; /* sample position of pcm[0] */
    uint64_t written;
    int16_t *pcm;         /* 1 s and a margin, interleaved */
    leg_t legs[2];
} call_t;

#define MARGIN 1600

static int16_t expand[256];

static void fill_table(void)
{
    for (int code = 0; code < 256; code++) {
        int inverted = ~code & 0xFF;
        int magnitude = ((((inverted & 15) << 3) + 0x84) << ((inverted >> 4) & 7)) - 0x84;
        expand[code] = (int16_t)((inverted & 0x80) ? -magnitude : magnitude);
    }
}

static void write_header(int fd, uint32_t data)
{
    uint8_t h[44] = "RIFF....WAVEfmt ";
    uint32_t v;
    v = 36 + data; memcpy(h + 4, &v, 4);
    v = 16; memcpy(h + 16, &v, 4);
    uint16_t s = 1; memcpy(h + 20, &s, 2);
    s = 2; memcpy(h + 22, &s, 2);
    v = 8000; memcpy(h + 24, &v, 4);
    v = 32000; memcpy(h + 28, &v, 4);
    s = 4; memcpy(h + 32, &s, 2);
    s = 16; memcpy(h + 34, &s, 2);
    memcpy(h + 36, "data", 4);
    memcpy(h + 40, &data, 4);
    if (pwrite(fd, h, 44, 0) != 44)
        perror("header");
}

static void flush_block(call_t *call)
{
    if (pwrite(call->fd, call->pcm, BLOCK * 4, 44 + (off_t)call->written) != BLOCK * 4)
        perror("write");
    call->written += BLOCK * 4;
    write_header(call->fd, (uint32_t)call->written);
    memmove(call->pcm, call->pcm + 2 * BLOCK, MARGIN * 4);
    memset(call->pcm + 2 * MARGIN, 0, BLOCK * 4);
    call->block_start += BLOCK;
}

static void record(leg_t *leg, uint32_t ts, const uint8_t *payload, int count)
{
    call_t *call = leg->call;
    uint32_t position = ts - leg->first_ts;
    while ((int32_t)(position + count - call->block_start) > BLOCK + MARGIN)
        flush_block(call);
    int32_t at = (int32_t)(position - call->block_start);
    if (at < 0)
        return;
    int16_t *out = call->pcm + 2 * at + leg->side;
    for (int i = 0; i < count; i++)
        out[2 * i] = expand[payload[i]];
}

int main(int argc, char **argv)
{
    int calls = 0, first = 0, peer = 0, connected = 0, option;
    const char *folder = NULL;
    while ((option = getopt(argc, argv, "n:p:q:cr:")) != -1) {
        if (option == 'n') calls = atoi(optarg);
        else if (option == 'p') first = atoi(optarg);
        else if (option == 'q') peer = atoi(optarg);
        else if (option == 'c') connected = 1;
        else if (option == 'r') folder = optarg;
        else return 2;
    }
    struct rlimit files = {0, 0};
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    fill_table();
    int poll_fd = epoll_create1(0);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)peer)};
    inet_pton(AF_INET, "127.0.0.1", &to.sin_addr);
    call_t *table = calloc((size_t)calls, sizeof(call_t));
    for (int k = 0; k < calls; k++) {
        call_t *call = &table[k];
        if (folder) {
            char path[4096];
            snprintf(path, sizeof path, "%s/floor-%d.wav", folder, k);
            call->fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0640);
            call->pcm = calloc(BLOCK + MARGIN, 4);
            if (call->fd < 0 || !call->pcm) { perror(path); return 1; }
            write_header(call->fd, 0);
        }
        for (int i = 0; i < 2; i++) {
            leg_t *leg = &call->legs[i];
            leg->side = i;
            leg->call = call;
            leg->other = &call->legs[1 - i];
            leg->ssrc = htonl((uint32_t)(k * 2 + i + 1));
            leg->seq_offset = (uint16_t)(k * 7919);
            leg->ts_offset = (uint32_t)k * 7919000u;
            leg->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
            struct sockaddr_in own = to;
            own.sin_port = htons((uint16_t)(first + 4 * k + 2 * i));
            if (bind(leg->fd, (struct sockaddr *)&own, sizeof own) < 0) { perror("bind"); return 1; }
            if (connected && connect(leg->fd, (struct sockaddr *)&to, sizeof to) < 0) { perror("connect"); return 1; }
            struct epoll_event event = {.events = EPOLLIN, .data.ptr = leg};
            epoll_ctl(poll_fd, EPOLL_CTL_ADD, leg->fd, &event);
        }
    }
    printf("ready\n");
    fflush(stdout);
    struct epoll_event ready[64];
    uint8_t packet[2048];
    for (;;) {
        int count = epoll_wait(poll_fd, ready, 64, -1);
        for (int i = 0; i < count; i++) {
            leg_t *leg = ready[i].data.ptr;
            ssize_t size;
            if (connected) {
                size = recv(leg->fd, packet, sizeof packet, 0);
            } else {
                struct sockaddr_in from;
                socklen_t length = sizeof from;
                size = recvfrom(leg->fd, packet, sizeof packet, 0, (struct sockaddr *)&from, &length);
            }
            if (size < 12)
                continue;
            leg_t *other = leg->other;
            uint16_t seq;
            uint32_t ts;
            memcpy(&seq, packet + 2, 2);
            memcpy(&ts, packet + 4, 4);
            ts = ntohl(ts);
            if (!leg->started) {
                leg->started = 1;
                leg->first_ts = ts;
            }
            if (folder)
                record(leg, ts, packet + 12, (int)size - 12);
            seq = htons((uint16_t)(ntohs(seq) + other->seq_offset));
            ts = htonl(ts + other->ts_offset);
            memcpy(packet + 2, &seq, 2);
            memcpy(packet + 4, &ts, 4);
            memcpy(packet + 8, &other->ssrc, 4);
            if (connected)
                send(other->fd, packet, (size_t)size, 0);
            else
                sendto(other->fd, packet, (size_t)size, 0, (struct sockaddr *)&to, sizeof to);
        }
    }
}
