"""Sampling of completions: fixed random numbers, rows of their own length, and drafts that are verified."""
