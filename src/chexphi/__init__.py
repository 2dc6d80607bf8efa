"""CheX-Phi4MM: train a chest-radiograph vision-language model on its answer and its reasoning."""

__version__ = "0.2.0"
