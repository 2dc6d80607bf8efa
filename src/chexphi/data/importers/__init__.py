"""Public datasets in our records: one module a dataset."""
