"""Experiments over HTTP: their definitions, who gets which variant, and what came of them, in numbers and in words."""
