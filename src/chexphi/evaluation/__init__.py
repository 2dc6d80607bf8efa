"""From a policy's answers to figures with intervals."""
