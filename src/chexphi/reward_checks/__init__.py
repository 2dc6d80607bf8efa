"""Rewards of rows on disk, and what cheating earns: `chexphi rewards`, `data check --rewards`."""
