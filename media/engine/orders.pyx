"""What the control side orders, built as the engine's structures: plain memory that comes back with an event."""

from libc.stdint cimport uint8_t, uint32_t
from libc.stdlib cimport calloc, free, malloc
from libc.string cimport memset

from media.engine.handover cimport Clip, fill_address, free_recorder
from media.engine.terms import DIGIT_CODES
from media.engine.timeline cimport reset_timeline
from media.engine.types cimport DigitOut, LegConfig, MAX_CODECS, Player, PlayItem, Recorder


cdef int fill_config(LegConfig* config, object setup, int family) except -1:
    """What a LegSetup says, but for what belongs to Python (keys, coders). Raises ValueError."""
    cdef int i
    memset(config, 0, sizeof(LegConfig))
    if not 0 < len(setup.codecs) <= MAX_CODECS:
        raise ValueError(f"a leg has 1 to {MAX_CODECS} codecs, not {len(setup.codecs)}")
    config.codec_count = len(setup.codecs)
    for i in range(config.codec_count):
        spec = setup.codecs[i]
        config.codecs[i].kind = spec.kind
        config.codecs[i].payload_type = spec.payload_type
        config.codecs[i].channels = spec.channels
        config.codecs[i].clock_rate = spec.clock_rate
        config.codecs[i].pcm_rate = spec.pcm_rate
    config.dtmf_pt = setup.dtmf_payload_type
    config.cn_pt = setup.cn_payload_type
    config.send = setup.send
    config.receive = setup.receive
    config.lock_source = setup.lock_source
    config.rtcp_mux = setup.rtcp_mux
    config.ptime_ms = setup.ptime_ms
    config.timeout_ms = setup.timeout_ms
    config.remote_changed = setup.remote_changed
    if setup.remote_port:
        config.remote_length = fill_address(setup.remote_address, setup.remote_port, family, &config.remote)
        fill_address(setup.remote_address, (setup.remote_port + 1) & 0xFFFF, family, &config.remote_rtcp)
        config.remote_port = setup.remote_port
    return 0


cdef Player* new_player(uint32_t number, object clips, bint loop, bint mixed, bint linear, str stop_digits,
                        bint stop_on_speech, int bytes_per_ms) except NULL:
    """`clips`: pairs of a Clip, which the caller keeps alive, and what is skipped of it (of the first only)."""
    cdef int count = len(clips)
    cdef int i
    cdef Clip clip
    cdef PlayItem* item
    cdef Player* fresh = <Player*>calloc(1, sizeof(Player) + count * sizeof(PlayItem))
    if fresh == NULL:
        raise MemoryError
    fresh.id = number
    fresh.mixed = mixed
    fresh.linear = linear
    fresh.loop = loop
    fresh.stop_on_speech = stop_on_speech
    fresh.count = count
    fresh.gain = 1.0
    fresh.bytes_per_ms = bytes_per_ms
    for character in list(stop_digits.upper()):
        if character in DIGIT_CODES:
            fresh.stop_mask |= 1 << <int>DIGIT_CODES[character]
    for i in range(count):
        clip, skip = clips[i]
        item = &fresh.items[i]
        item.data = <const uint8_t*>clip.data
        item.frames = clip.frames
        item.size = clip.frame_count if clip.frames != NULL else len(clip.data)
        item.endless = clip.endless
        if i == 0 and skip:
            fresh.offset = min(skip, item.size)
    return fresh


cdef DigitOut* new_digits(str digits, int duration_ms, int gap_ms, bint inband, uint32_t batch,
                          uint32_t clock) except NULL:
    """At most 64 of 0-9, *, #, A-D; others are left out. Raises ValueError when none is left."""
    cdef DigitOut* fresh = <DigitOut*>calloc(1, sizeof(DigitOut))
    if fresh == NULL:
        raise MemoryError
    for character in list(digits.upper()[:64]):
        if character in DIGIT_CODES:
            fresh.queue[fresh.count] = DIGIT_CODES[character]
            fresh.count += 1
    if fresh.count == 0:
        free(fresh)
        raise ValueError("no digit to send")
    if inband:
        clock = 8000
    fresh.inband = inband
    fresh.duration = min(max(duration_ms, 40), 5000) * clock // 1000
    fresh.gap = min(max(gap_ms, 20), 5000) * clock // 1000
    fresh.batch = batch
    return fresh


cdef Recorder* new_recorder(uint32_t number, int fd, str format, int law, uint32_t rate) except NULL:
    """Its rings hold G.711 (`law` 0 or 1) or samples (-1). `free_recorder` frees it."""
    cdef Recorder* fresh = <Recorder*>calloc(1, sizeof(Recorder))
    cdef int side
    if fresh == NULL:
        raise MemoryError
    fresh.id = number
    fresh.fd = fd
    fresh.format = {"pcm16": 0, "pcmu": 1, "pcma": 2}[format]
    fresh.width = 1 if law >= 0 else 2
    fresh.law = law if law >= 0 else 0
    fresh.silence = (0xFF if law == 0 else 0xD5) if law >= 0 else 0
    fresh.rate = rate
    # Two seconds: a block of 0.75 s, its settling time, and as much again for a slow disk.
    fresh.capacity = 16384 if rate <= 8000 else 32768
    for side in range(2):
        fresh.ring[side] = <uint8_t*>malloc(fresh.capacity * fresh.width)
        if fresh.ring[side] == NULL:
            free_recorder(fresh)
            raise MemoryError
        memset(fresh.ring[side], fresh.silence, fresh.capacity * fresh.width)
        reset_timeline(&fresh.line[side], 8000, rate)
    return fresh
