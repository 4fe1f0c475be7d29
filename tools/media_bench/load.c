/* Callers for the media benchmark: 50 packets a second to each of many ports, everything that comes back is counted.
 *
 * One socket is all callers. It is read every slice of time, not at every packet, so that the relay under test never
 * pays for waking us. The send time travels in the payload, so that what is relayed untouched tells its transit time.
 *
 *     load -q OWN_PORT -s SECONDS [-w WARM_UP] [-u SLICE_US] [-o PACKETS] < "port/type ..."
 *
 * Type 111 is sent the packets of the file PACKETS in turn (each a 2-byte length and the payload), all others 160
 * bytes. Prints one JSON object.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BATCH 64
#define BUCKETS 200000 /* of 1 us */

static uint32_t histogram[BUCKETS];

static int64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int64_t percentile(uint64_t total, double share)
{
    uint64_t wanted = (uint64_t)((double)total * share), seen = 0;
    for (int i = 0; i < BUCKETS; i++) {
        seen += histogram[i];
        if (seen > wanted)
            return i;
    }
    return BUCKETS;
}

int main(int argc, char **argv)
{
    int own = 0, option;
    const char *packets = NULL;
    double seconds = 5, warm = 1;
    int slice_us = 250;
    while ((option = getopt(argc, argv, "q:s:w:u:o:")) != -1) {
        if (option == 'q') own = atoi(optarg);
        else if (option == 's') seconds = atof(optarg);
        else if (option == 'w') warm = atof(optarg);
        else if (option == 'u') slice_us = atoi(optarg);
        else if (option == 'o') packets = optarg;
        else return 2;
    }
    int count = 0, room = 16384, port, type;
    uint8_t *types = calloc((size_t)room, 1);
    static uint8_t stored[512][1400];
    static int sizes[512];
    int stored_count = 0;
    FILE *file = packets ? fopen(packets, "rb") : NULL;
    uint16_t length;
    while (file && stored_count < 512 && fread(&length, 2, 1, file) == 1 && length <= 1400
           && fread(stored[stored_count], 1, length, file) == length)
        sizes[stored_count++] = length;
    struct sockaddr_in *to = calloc((size_t)room, sizeof *to);
    while (scanf("%d/%d", &port, &type) == 2 && count < room) {
        types[count] = (uint8_t)type;
        to[count].sin_family = AF_INET;
        to[count].sin_port = htons((uint16_t)port);
        inet_pton(AF_INET, "127.0.0.1", &to[count].sin_addr);
        count++;
    }
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
    int size = 64 << 20;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
    struct sockaddr_in self = to[0];
    self.sin_port = htons((uint16_t)own);
    if (bind(fd, (struct sockaddr *)&self, sizeof self) < 0) { perror("bind"); return 1; }

    static uint8_t out[BATCH][1500], in[BATCH][2048];
    struct mmsghdr sends[BATCH], receives[BATCH];
    struct iovec out_iov[BATCH], in_iov[BATCH];
    memset(sends, 0, sizeof sends);
    memset(receives, 0, sizeof receives);
    for (int i = 0; i < BATCH; i++) {
        out_iov[i] = (struct iovec){out[i], 172};
        in_iov[i] = (struct iovec){in[i], sizeof in[i]};
        sends[i].msg_hdr.msg_iov = &out_iov[i];
        sends[i].msg_hdr.msg_iovlen = 1;
        sends[i].msg_hdr.msg_namelen = sizeof(struct sockaddr_in);
        receives[i].msg_hdr.msg_iov = &in_iov[i];
        receives[i].msg_hdr.msg_iovlen = 1;
        out[i][0] = 0x80;
    }
    uint64_t sent = 0, received = 0, measured = 0, done = 0;
    int64_t start = now_ns(), measure = start + (int64_t)(warm * 1e9), end = measure + (int64_t)(seconds * 1e9);
    int64_t next = start;
    while (now_ns() < end + 100000000) {
        int64_t now = now_ns();
        /* How many packets of all legs are due: leg k of round r at (r + k / count) * 20 ms. */
        uint64_t due = now < end ? (uint64_t)((double)(now - start) / 2e7 * count) : 0;
        while (done < due) {
            int batch = due - done > BATCH ? BATCH : (int)(due - done);
            int64_t stamp = now_ns();
            for (int i = 0; i < batch; i++) {
                uint64_t leg = (done + (uint64_t)i) % (uint64_t)count, round = (done + (uint64_t)i) / (uint64_t)count;
                uint16_t seq = htons((uint16_t)round);
                uint32_t ts = htonl((uint32_t)(round * 160)), ssrc = htonl((uint32_t)leg + 77);
                memcpy(out[i] + 2, &seq, 2);
                memcpy(out[i] + 4, &ts, 4);
                memcpy(out[i] + 8, &ssrc, 4);
                out[i][1] = types[leg];
                if (types[leg] == 111 && stored_count) {
                    int which = (int)(round % (uint64_t)stored_count);
                    memcpy(out[i] + 12, stored[which], (size_t)sizes[which]);
                    out_iov[i].iov_len = (size_t)sizes[which] + 12;
                    ts = htonl((uint32_t)(round * 960));
                    memcpy(out[i] + 4, &ts, 4);
                } else {
                    memset(out[i] + 12, 0xFF, 160);
                    memcpy(out[i] + 12, &stamp, 8);
                    out_iov[i].iov_len = 172;
                }
                sends[i].msg_hdr.msg_name = &to[leg];
            }
            int gone = sendmmsg(fd, sends, (unsigned)batch, 0);
            if (gone <= 0)
                break;
            if (stamp >= measure)
                sent += (uint64_t)gone;
            done += (uint64_t)gone;
        }
        for (;;) {
            int got = recvmmsg(fd, receives, BATCH, MSG_DONTWAIT, NULL);
            if (got <= 0)
                break;
            int64_t arrived = now_ns();
            for (int i = 0; i < got; i++) {
                int64_t stamp = 0;
                if (receives[i].msg_len < 12 || (in[i][1] >= 192 && in[i][1] <= 223))
                    continue;
                memcpy(&stamp, in[i] + 12, 8);
                int plain = receives[i].msg_len >= 20 && stamp > start && stamp <= arrived;
                if (arrived < measure)
                    continue;
                if (plain && stamp >= measure && stamp < end) {
                    int64_t us = (arrived - stamp) / 1000;
                    histogram[us < BUCKETS ? us : BUCKETS - 1]++;
                    measured++;
                    received++;
                } else if (!plain && arrived < end) {
                    received++;
                }
            }
            if (got < BATCH)
                break;
        }
        next += (int64_t)slice_us * 1000;
        struct timespec until = {next / 1000000000, next % 1000000000};
        if (next > now_ns())
            clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
        else
            next = now_ns();
    }
    printf("{\"legs\": %d, \"seconds\": %.3f, \"sent\": %llu, \"received\": %llu, \"timed\": %llu, "
           "\"p50_us\": %lld, \"p99_us\": %lld, \"p999_us\": %lld}\n",
           count, seconds, (unsigned long long)sent, (unsigned long long)received, (unsigned long long)measured,
           measured ? (long long)percentile(measured, 0.5) : -1, measured ? (long long)percentile(measured, 0.99) : -1,
           measured ? (long long)percentile(measured, 0.999) : -1);
    return 0;
}
