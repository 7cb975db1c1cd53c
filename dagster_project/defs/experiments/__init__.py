"""Experiments: from moments in the marts to estimates, and what is wrong with an experiment."""
