"""`python -m chexphi`."""

from chexphi.cli import main
from chexphi.pipeline import end_with_parent

if __name__ == "__main__":
    end_with_parent()
    main()
