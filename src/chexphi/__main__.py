"""`python -m chexphi`."""

from chexphi.cli import main

if __name__ == "__main__":
    main()
