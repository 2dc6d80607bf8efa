"""What is checked before a run begins: settings, libraries, rows, and what would leave the machine."""
