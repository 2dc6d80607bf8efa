"""`chexphi sweep`: a grid of GRPO runs, each a process of its own, on this machine or on a Ray cluster."""
