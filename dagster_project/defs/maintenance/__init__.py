"""Keeping the house: old runs, leftovers, alerts."""
