"""What is in an image file, and the 8-bit picture that it becomes."""
