"""The `analytics` command: one module a noun."""
