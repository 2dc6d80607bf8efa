"""What a run takes of a GPU's memory, before one is rented: `chexphi plan`."""
