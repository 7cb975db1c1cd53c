"""Numbers at a glance, read from the marts: each with its previous period, and as of when it is."""
