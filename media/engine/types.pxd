"""C structures shared by the engine's modules. No code: who may touch what is said beside each field.

One thread, the *engine thread*, owns every structure here from the command that hands it over until the
event that hands it back. The *writer thread* touches only the fields marked so.
"""

from media.dsp.comfort cimport Comfort
from media.dsp.plc cimport Plc

from libc.stdint cimport int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t


cdef extern from "<sys/socket.h>" nogil:
    ctypedef unsigned int socklen_t
    struct sockaddr:
        unsigned short sa_family
    struct sockaddr_storage:
        unsigned short ss_family


cdef struct Leg
cdef struct Roster
cdef struct Pair
cdef struct Player
cdef struct Recorder
cdef struct Tap


cdef enum:
    MAX_CODECS = 6
    MAX_RECORDERS = 2
    PACKET_BYTES = 2048
    HEADROOM = 64
    TICK_MS = 20
    SLOTS = 20                 # places for prompts' frames in the 20 ms of a tick, a millisecond apart
    LATENESS_BOUNDS = 10       # of the distribution of lateness; see pace.pyx
    LINE_BYTES = 64
    PREFETCHED_BYTES = 384     # head, outgoing, incoming, front of config
    FRAME_MAX = 320            # samples of 20 ms at 16 kHz
    JITTER_SLOTS = 16          # power of two; 320 ms
    JITTER_BYTES = 640         # largest payload kept for decoding: 20 ms of L16 at 16 kHz, 80 ms of G.711
    DIGIT_QUEUE = 64
    EVENT_SLOTS = 16384        # power of two
    COMMAND_SLOTS = 4096       # power of two
    NAMELESS = 0               # handle of nothing
    TAP_SAMPLES = 65536        # power of two; 4 s at 16 kHz


cdef enum Kind:
    KIND_PCMU = 0
    KIND_PCMA = 1
    KIND_G722 = 2
    KIND_OPUS = 3
    KIND_L16 = 4
    KIND_NONE = 15


cdef enum EventType:
    EV_NONE = 0
    EV_DIGIT = 1               # a = digit as ASCII, b = method (0 RFC 4733, 1 in-band)
    EV_PLAY_DONE = 2           # a = player, b = reason, c = played ms
    EV_DIGITS_SENT = 3         # a = batch
    EV_MEDIA_STARTED = 4       # address
    EV_TIMEOUT = 5             # a = silent ms
    EV_INTRUDER = 6            # a = packets, address
    EV_LEG_GONE = 7
    EV_CODEC = 8               # a = Kind now received
    EV_REC_STATE = 9           # a = recorder, b = state, c = offset samples
    EV_REC_DONE = 10           # a = recorder, b = errno, c = samples
    EV_REC_FAILED = 11         # a = recorder, b = errno
    EV_FREE = 12               # pointer = malloc'd memory of a replaced table
    EV_FREE_CODER = 13         # pointer = codec pair of a replaced configuration
    EV_FREE_SRTP = 14          # pointer = an SRTP session
    EV_OVERRUN = 15            # a = late us, b = count
    EV_TALK = 16               # a = 1 started, 0 stopped, b = talked ms, c = samples the tap was given up to now
    EV_DETECTED = 17           # a = what, b = ms
    EV_PLAYER_FREE = 18        # a = player, pointer = Player
    EV_FREE_EARS = 19          # pointer = detectors that were replaced
    EV_CONFIRMED = 20          # a = number of the CMD_CONFIRM
    EV_TAP = 21                # the leg's tap holds samples
    EV_FREE_TAP = 22           # pointer = Tap that was replaced or taken off


cdef enum PlayReason:
    PLAY_COMPLETED = 0
    PLAY_DIGIT = 1
    PLAY_SPEECH = 2
    PLAY_STOPPED = 3
    PLAY_REPLACED = 4
    PLAY_CLOSED = 5


cdef struct Event:
    int32_t type
    uint32_t leg
    int64_t a
    int64_t b
    int64_t c
    void* pointer
    uint16_t port
    uint16_t family
    uint8_t address[16]


cdef struct EventRing:
    Event* slots
    uint64_t head              # written by the producer
    uint64_t tail              # written by the consumer
    uint64_t dropped
    int wake_fd
    int pending                # something was pushed since the last wake


# --- codecs -----------------------------------------------------------------------------------------------

cdef struct CodecSpec:
    uint8_t kind
    uint8_t payload_type
    uint8_t channels
    uint32_t clock_rate        # RTP clock
    uint32_t pcm_rate          # rate of decoded audio, 8000 or 16000


ctypedef int (*decode_fn)(void* state, const uint8_t* data, int size, int16_t* out, int capacity) noexcept nogil
ctypedef int (*encode_fn)(void* state, const int16_t* samples, int count, uint8_t* out, int capacity) noexcept nogil


cdef struct Coder:
    uint8_t kind
    uint32_t pcm_rate
    void* encoder
    void* decoder
    encode_fn encode
    decode_fn decode


# --- jitter buffer of a leg whose audio is decoded --------------------------------------------------------

cdef struct JitterSlot:
    uint32_t ts
    uint16_t seq
    uint16_t size
    uint8_t used
    uint8_t kind
    uint8_t data[640]


cdef struct Jitter:
    JitterSlot slots[16]
    int started
    int32_t held               # packets held
    uint16_t next_seq
    uint16_t newest_seq
    uint32_t ssrc
    int target                 # packets to hold back
    int fill_ticks             # ticks waited while filling
    int lossrun                # consecutive concealed frames
    int last_kind              # codec of the last decoded packet
    int surplus                # ticks above target
    int grow                   # a packet came after its turn: wait one frame longer
    int fifo_count
    int16_t fifo[2560]         # decoded, not yet played
    Plc plc
    Comfort comfort            # the peer's description of its background noise (RFC 3389)
    int comforting             # it is what is heard now
    uint64_t late
    uint64_t concealed
    uint64_t inserted
    uint64_t shrunk
    double jitter_ms


# --- players ----------------------------------------------------------------------------------------------

cdef struct PlayItem:
    const uint8_t* data        # one immutable copy shared by all players, kept alive by the control side
    const uint32_t* frames     # offsets of variable-length packets (Opus), or NULL
    int64_t size               # bytes, or number of packets when frames is set
    int endless                # repeat this item for ever (music)


cdef struct Player:
    uint32_t id
    int mixed                  # the leg goes on hearing its bridge underneath
    int linear                 # items are 16-bit host-order samples at the leg's pcm_rate
    int loop
    int paused
    int stop_on_speech
    uint32_t stop_mask         # bit per RFC 4733 event
    int count
    int index
    int64_t offset             # in the current item, same unit as its size
    int64_t bytes_per_ms
    int64_t played_ms
    float gain
    int has_gain
    Player* next
    uint8_t gain_map[256]      # companded volume control
    PlayItem items[1]          # really `count`


# --- recorders --------------------------------------------------------------------------------------------

cdef struct Timeline:
    int valid
    uint32_t ssrc
    uint32_t base_ts
    int64_t base_pos           # sample position of base_ts
    int64_t window_min         # least (arrival - predicted) of the running window
    int64_t window_end         # position where the window ends
    int64_t slew               # samples still to be corrected, spread over packets
    uint32_t clock             # RTP clock
    uint32_t rate              # recorder rate


cdef struct Recorder:
    uint32_t id
    int fd
    int width                  # bytes per sample in the ring: 1 companded, 2 linear
    uint8_t law                # KIND_PCMU or KIND_PCMA when companded
    uint8_t format             # 0 pcm16, 1 pcmu, 2 pcma
    uint8_t paused             # 1 paused, 2 masked
    uint8_t silence
    uint32_t rate
    int64_t start_ns
    int64_t capacity           # samples a channel, power of two
    uint8_t* ring[2]
    Timeline line[2]
    uint64_t flush_to          # engine -> writer (release/acquire)
    uint64_t written           # writer -> engine (release/acquire)
    uint64_t final             # engine -> writer: number of the last queue entry, 0: not the end yet
    uint64_t pushes            # engine: entries put into the writer's queue
    uint64_t served            # writer -> engine: entries taken out
    uint64_t failed            # writer -> engine: errno
    int64_t queued             # engine: last flush_to that was queued
    int64_t late               # samples that came after their block was gone
    # writer thread only
    int64_t file_samples
    int header_bytes
    int rf64


# --- taps -------------------------------------------------------------------------------------------------

cdef struct Tap:
    uint64_t head              # engine -> control side: samples written (release/acquire)
    uint64_t tail              # control side -> engine: samples read (release/acquire)
    uint64_t lost              # engine: samples the control side was too slow for
    int ticks                  # engine: since the control side was last told
    int16_t samples[65536]     # TAP_SAMPLES


# --- outgoing stream --------------------------------------------------------------------------------------

cdef struct Outgoing:
    uint32_t ssrc
    uint32_t clock             # RTP clock of what is sent
    uint32_t last_ts
    uint32_t last_span         # timestamp units of the last packet
    uint16_t next_seq
    uint8_t started
    uint8_t marker_next
    # relay anchor: which source the offsets belong to
    uint32_t source
    uint32_t source_ssrc
    uint16_t seq_offset
    uint16_t first_seq         # in the source's numbers: older ones belong to before the change
    uint32_t ts_offset
    int64_t last_ns
    uint64_t packets
    uint64_t octets


# --- incoming stream --------------------------------------------------------------------------------------

cdef struct Incoming:
    uint32_t ssrc
    uint16_t max_seq
    uint8_t started
    uint8_t kind               # of the last audio packet
    uint8_t flood              # refused until the next second
    uint8_t fresh              # the last packet came when its kind usually comes: nothing waits behind it
    uint8_t untimed            # when the last packet came is not known
    uint32_t cycles
    uint32_t pps
    int32_t transit
    int32_t transit_floor      # least transit lately
    int32_t jitter             # times 16, RFC 3550 A.8
    uint64_t window            # bit i: max_seq - i was received
    int64_t last_ns
    uint64_t packets           # since the leg opened
    uint64_t epoch_packets     # of this SSRC
    uint64_t octets
    # less often
    uint32_t base_ext
    uint64_t duplicates
    uint64_t late
    uint64_t rejected
    uint64_t stranger          # packets of foreign sources in this second
    uint64_t lost_before       # of earlier SSRCs
    # what the last report said, for the fraction lost of the next
    uint32_t report_expected
    uint32_t report_received


cdef struct DigitIn:
    uint8_t seen
    uint8_t ended
    uint8_t code
    uint32_t ts
    uint32_t duration
    int64_t last_ns


cdef struct DigitOut:
    uint8_t active
    uint8_t inband
    uint8_t phase              # 0 tone, 1 end packets, 2 gap
    uint8_t count
    uint8_t position
    uint8_t ends
    uint8_t queue[64]
    uint32_t ts
    uint32_t elapsed           # timestamp units of this digit
    uint32_t duration
    uint32_t gap
    uint32_t batch
    uint8_t first
    double angle_low
    double angle_high


cdef struct RtcpState:
    uint32_t remote_lsr        # middle 32 bits of the peer's last SR
    int64_t remote_lsr_ns
    uint32_t remote_ssrc
    int64_t round_trip_us      # -1: not known
    int64_t remote_lost        # -1: not known
    uint32_t sent              # reports
    uint32_t received
    int next_second            # countdown to the next report


# --- legs and bridges -------------------------------------------------------------------------------------

cdef struct LegConfig:
    # the packet path
    CodecSpec codecs[6]        # accepted; the first is sent
    int codec_count
    int16_t dtmf_pt            # -1: none
    int16_t cn_pt
    uint16_t remote_port       # host order, 0: not known
    uint8_t send
    uint8_t receive
    uint8_t lock_source
    uint8_t rtcp_mux
    uint8_t remote_changed
    void* srtp_send
    void* srtp_receive
    Coder* coder               # of the sent codec; NULL: G.711 and L16 need none
    int ptime_ms
    int timeout_ms
    socklen_t remote_length
    sockaddr_storage remote
    sockaddr_storage remote_rtcp
    sockaddr_storage signalled # what SDP said, wherever the peer turned out to be


cdef struct Pair:
    Leg* source
    float gain                 # wanted
    float current              # reached; ramps to `gain` over one tick


cdef struct Hearing:
    int count
    int capacity
    Pair pairs[1]              # really `capacity`


cdef struct Sinks:
    int count
    Leg* legs[1]               # really `count`


cdef struct Leg:
    # The packet path in the order of its cache lines; PREFETCHED_BYTES covers them. Allocated on a line boundary.
    int rtp_fd
    int guard_fd
    uint32_t handle
    uint8_t configured
    uint8_t locked             # the peer's address has been taken over
    uint8_t connected
    uint8_t unverified         # connected a moment ago: packets of others may still be queued
    uint8_t relayed            # hears by relay (its sinks entry sits at the source)
    uint8_t mixing             # hears by mixing
    uint8_t decoding           # its audio is wanted as samples
    uint8_t recorders
    uint8_t timed_out
    uint8_t sending_digits     # digit_out.active, where the packet path looks
    uint8_t polled             # its socket is read in its slot, not on an edge of epoll
    uint8_t stamped            # the kernel notes when its packets come
    Sinks* sinks
    Leg* sink                  # the first of the sinks
    Recorder* recorder[2]
    Player* player
    Outgoing outgoing
    Incoming incoming
    LegConfig config
    # less often
    int rtcp_fd
    uint64_t send_failures
    DigitIn digit_in
    DigitOut digit_out
    RtcpState rtcp
    Hearing* hearing
    Jitter* jitter
    void* ears                 # detectors (talk, tones), see ears.pxd
    Tap* tap                   # what the leg says, for a recogniser
    int64_t configured_ns
    int64_t locked_ns
    int64_t opened_ns
    int index                  # in Loop.legs
    Roster* roster             # where it has its turn, NULL: nowhere
    int position               # in the roster
    int slot                   # the slot that is kept for its prompts, counted from 1; 0: none yet
    int frame_ready            # samples of the current tick
    uint32_t frame_rate
    int16_t frame[320]
    int16_t frame_other[320]   # the same at the other rate
    int frame_other_ready
    int ptime_fill             # samples kept for a longer ptime
    int16_t up_state[64]
    int16_t down_state[64]


cdef struct Roster:
    Leg** legs                 # those that have work now
    int count
    int members                # those whose slot this is
    int64_t since              # grid number at which the first of `count` came


cdef struct Route:
    Leg* leg
    Hearing* hearing           # new table or NULL
    Sinks* sinks               # new table or NULL
    Jitter* jitter             # fresh, or NULL when the leg has one or needs none
    uint8_t relayed
    uint8_t mixing
    uint8_t decoding


cdef enum CommandType:
    CMD_NONE = 0
    CMD_ADD = 1
    CMD_CONFIGURE = 2
    CMD_REMOVE = 3
    CMD_ROUTES = 4             # pointer = Route[a], freed by the engine through EV_FREE
    CMD_PLAY = 5               # pointer = Player, a = enqueue
    CMD_STOP_PLAY = 6          # a = player or 0
    CMD_CONTROL_PLAY = 7       # a = player, b = pause (-1 leave), c = seek ms, gain = factor (<0 leave)
    CMD_DIGITS = 8             # pointer = DigitOut
    CMD_RECORD = 9             # pointer = Recorder
    CMD_REC_STATE = 10         # a = recorder, b = paused state
    CMD_REC_STOP = 11          # a = recorder
    CMD_STOP = 12
    CMD_EARS = 13              # pointer = detectors or NULL
    CMD_CONFIRM = 14           # a = number: everything before it has been done
    CMD_TAP = 15               # pointer = Tap or NULL


cdef struct Command:
    int32_t type
    Leg* leg
    int64_t a
    int64_t b
    int64_t c
    double gain
    void* pointer
    LegConfig config


cdef struct CommandRing:
    Command* slots
    uint64_t head
    uint64_t tail
    int wake_fd


cdef struct WriterQueue:
    Recorder** slots
    uint64_t head
    uint64_t tail
    int wake_fd


cdef struct Loop:
    int epoll_fd
    int timer_fd
    int64_t now                # CLOCK_MONOTONIC ns at the last wake-up
    int64_t wall_offset        # CLOCK_REALTIME less CLOCK_MONOTONIC, of the last turn
    int64_t origin             # of the grid of milliseconds on which the turns lie
    int64_t grid               # number of the last turn
    int64_t armed              # number of the turn the timer is set to, 0: not set
    uint64_t ticks
    uint64_t overruns
    int64_t overrun_reported_ns
    uint64_t lateness[11]      # turns by how late they came; the last: later than all bounds
    int64_t late_ns            # of all turns
    CommandRing commands
    EventRing events
    WriterQueue writer
    Leg** legs
    int leg_count
    int leg_capacity
    int sweep                  # next leg of the once-a-second sweep
    int sweep_left
    Roster tick                # legs that decode, mix or send digits
    int slot_legs              # so many legs in a slot before the next is opened
    Roster slots[20]           # legs that only hear a prompt
    uint64_t running
    uint64_t rtcp_interval_s
    uint8_t untimed            # when the packet in hand came is not known, but for a tick
    uint8_t* packet            # scratch for one packet, HEADROOM before it
    uint32_t seed
