"""Each distinct prompt of a batch, its films included, read once."""
