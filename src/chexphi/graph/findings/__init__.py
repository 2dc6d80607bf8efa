"""Findings: what a text claims and denies, each with its place, degree, change and certainty."""
