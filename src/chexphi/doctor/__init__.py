"""`chexphi doctor`: what is installed, whether it works, and what each verb would miss."""
