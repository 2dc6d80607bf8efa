"""The card of a folder of weights: its `README.md`, made from what is on the disk."""
