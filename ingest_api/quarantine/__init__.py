"""Rejected events: looking at them, and taking them in after all once their reason is gone."""
