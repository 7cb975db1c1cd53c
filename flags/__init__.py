"""Feature flags: what a flag may say, and what a user gets. Pure: nothing here reads a clock, a store or a network."""
