"""What `chexphi kg` runs: graphs of texts, and their comparison."""
