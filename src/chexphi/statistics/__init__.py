"""Figures as ratios of sums, and their 95 % intervals by patient or case."""
