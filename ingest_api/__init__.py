"""The HTTP API: events in, flags evaluated, numbers out. One package a noun."""
