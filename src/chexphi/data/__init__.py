"""Datasets: records read from disk and checked, one importer for each public form, drawn films."""
