"""The wire: frames, codecs, framing, multiplexers. Does no I/O, needs the standard library alone, used by both sides.

    value ─codec─► frame ─outbox─► message ═══ carrier ═══► message ─multiplexer─► events

A *frame* says one thing about one call. A *message* is an array of frames: whatever has piled up since the last write.
Control frames go first, then one bulk piece per call in turn, so a flood in one call never stalls another.
"""
