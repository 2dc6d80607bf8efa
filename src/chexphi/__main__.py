"""`python -m chexphi`, and `chexphi`."""

import sys

CTRL_C = 130
"""Exit code, as typer and shells have it."""


def main() -> None:
    """Run the command line. Ctrl-C while it is imported prints one line, too."""
    try:
        from chexphi.cli import main as command_line
        from chexphi.runs.child import end_with_parent
    except KeyboardInterrupt:
        sys.stderr.write("Ctrl-C: ended\n")
        sys.exit(CTRL_C)
    end_with_parent()
    command_line()


if __name__ == "__main__":
    main()
