"""One HTML page that opens offline: figures, curves and films."""
