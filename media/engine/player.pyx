"""Players.

A player walks through items that point into immutable bytes shared by every call; it owns nothing but its place.
One item runs into the next within a frame, so a queue of prompts has no gaps, and an enqueued player continues in
the very frame in which its forerunner ends.
"""

from libc.stdint cimport int16_t, int64_t, uint8_t, uint32_t
from libc.string cimport memcpy, memset

from media.engine.rings cimport push_event
from media.engine.types cimport EV_PLAY_DONE, EV_PLAYER_FREE, KIND_PCMA, Leg, Loop, PLAY_COMPLETED, PlayItem, Player


cdef void end_player(Loop* loop, Leg* leg, int reason) noexcept nogil:
    """Finish the current player; the one queued behind it, if any, takes its place."""
    cdef Player* player = leg.player
    if player == NULL:
        return
    leg.player = player.next
    push_event(&loop.events, EV_PLAY_DONE, leg.handle, player.id, reason, player.played_ms, NULL)
    push_event(&loop.events, EV_PLAYER_FREE, leg.handle, player.id, 0, 0, player)


cdef void end_players(Loop* loop, Leg* leg, int reason) noexcept nogil:
    while leg.player != NULL:
        end_player(loop, leg, reason)


cdef inline bint _advance(Player* player) noexcept nogil:
    """To the next item; False when there is none."""
    player.offset = 0
    if player.items[player.index].endless:
        return player.items[player.index].size > 0
    player.index += 1
    if player.index < player.count:
        return True
    if not player.loop:
        return False
    player.index = 0
    return True


cdef int fill_bytes(Loop* loop, Leg* leg, uint8_t* out, int size) noexcept nogil:
    """Up to `size` bytes of the leg's players; fewer only when the last of them ended."""
    cdef int done = 0
    cdef int64_t run
    cdef int idle = 0
    cdef int i
    cdef Player* player = leg.player
    cdef PlayItem* item
    while done < size and player != NULL:
        if player.index >= player.count:
            end_player(loop, leg, PLAY_COMPLETED)
            player = leg.player
            continue
        item = &player.items[player.index]
        run = item.size - player.offset
        if run <= 0:
            # `idle` ends a loop over nothing but empty items.
            idle += 1
            if idle > player.count + 1 or not _advance(player):
                player.index = player.count
            continue
        idle = 0
        if run > size - done:
            run = size - done
        memcpy(out + done, item.data + player.offset, run)
        if player.has_gain and leg.config.codecs[0].kind <= KIND_PCMA and not player.linear:
            for i in range(<int>run):
                out[done + i] = player.gain_map[out[done + i]]
        player.offset += run
        done += <int>run
    if player != NULL:
        player.played_ms += 20
        # The end is reported with the frame that carries the last byte, not a tick later.
        item = &player.items[player.index]
        if player.offset >= item.size and not _advance(player):
            player.index = player.count
            end_player(loop, leg, PLAY_COMPLETED)
    return done


cdef int next_packet(Loop* loop, Leg* leg, uint8_t* out, int capacity) noexcept nogil:
    """The next ready-made packet (codecs of variable length); 0 when the players ended."""
    cdef Player* player = leg.player
    cdef PlayItem* item
    cdef uint32_t start, end
    cdef int idle = 0
    while player != NULL:
        if player.index >= player.count:
            end_player(loop, leg, PLAY_COMPLETED)
            player = leg.player
            continue
        item = &player.items[player.index]
        if player.offset >= item.size:
            idle += 1
            if idle > player.count + 1 or not _advance(player):
                player.index = player.count
            continue
        start = item.frames[player.offset]
        end = item.frames[player.offset + 1]
        player.offset += 1
        player.played_ms += 20
        if end <= start or <int>(end - start) > capacity:
            continue
        memcpy(out, item.data + start, end - start)
        return <int>(end - start)
    return 0


cdef int fill_samples(Loop* loop, Leg* leg, int16_t* out, int count) noexcept nogil:
    """`count` samples of a linear player, its gain applied, silence behind its end. Returns how many are real."""
    cdef float gain = leg.player.gain if leg.player != NULL else 1.0
    cdef bint scaled = leg.player != NULL and leg.player.has_gain
    cdef int done = fill_bytes(loop, leg, <uint8_t*>out, count * 2) // 2
    cdef float value
    cdef int i
    if scaled:
        for i in range(done):
            value = out[i] * gain
            out[i] = <int16_t>(32767 if value > 32767 else (-32768 if value < -32768 else value))
    if done < count:
        memset(out + done, 0, (count - done) * 2)
    return done


cdef void seek_player(Player* player, int ms) noexcept nogil:
    """Move within the current item, to its ends at most; whole frames, so that samples stay whole."""
    cdef PlayItem* item
    cdef int64_t step, at
    if player.index >= player.count:
        return
    item = &player.items[player.index]
    step = <int64_t>(ms // 20) if item.frames != NULL else <int64_t>(ms // 20) * 20 * player.bytes_per_ms
    at = player.offset + step
    player.offset = 0 if at < 0 else (item.size if at > item.size else at)
