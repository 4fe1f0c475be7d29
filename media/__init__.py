"""The media gateway: RTP and RTCP in and out, relay, mixing, playing, digits and recording.

A process of its own that knows nothing of SIP, queues or agents and imports nothing of `pbx`. Call control sends it
the commands of `media.protocol` and receives its events.
"""
