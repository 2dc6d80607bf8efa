"""What every stage needs of a run: its folder, lock, settings, log lines, processes, and how it stops."""
