"""Events in: decode, normalise, append to the stream, answer; the flusher carries the stream to `raw.events`."""
