"""The measure `clinical`: two lists of findings, compared as radiologists weigh them."""
