"""The whole loop on drawn films: `chexphi demo`, and with three seeds `chexphi study`."""
