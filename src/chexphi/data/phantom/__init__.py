"""Drawn chest films with exact findings: what is on a film, how it looks, how it is spoken about."""
