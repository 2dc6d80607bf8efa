"""Rewards of rows on disk, and what cheating pays: `chexphi rewards`, `data check --rewards`."""
