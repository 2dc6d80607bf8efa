"""Checkpoints that are complete or do not count, and runs that resume from them."""
