"""`python -m chexphi`, and `chexphi`."""

import sys


def main() -> None:
    """Run the command line; Ctrl-C while it is still read is one line, too."""
    try:
        from chexphi.cli import main as command_line
        from chexphi.pipeline import end_with_parent
    except KeyboardInterrupt:
        sys.stderr.write("Ctrl-C: ended\n")
        sys.exit(130)
    end_with_parent()
    command_line()


if __name__ == "__main__":
    main()
