"""Graphs of texts from the command line, and their comparison: `chexphi kg`."""
