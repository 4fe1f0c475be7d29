"""SDP without I/O: parse, serialise and negotiate offer and answer as pure functions (RFC 8866, RFC 3264)."""
