"""Checkpoints that are complete or do not count, and runs that go on from them."""
