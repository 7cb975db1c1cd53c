"""Feature flags over HTTP: their definitions, and what they are for a user."""
