"""Run examples/quickstart.ipynb from top to bottom: `make notebook`, which runs this with nbclient installed.

Its files go to runs/quickstart. Exit code 1 if a cell fails, or if all of them take more than three minutes.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOK = ROOT / "examples" / "quickstart.ipynb"
MOST_SECONDS = 180.0


def main() -> int:
    """Run the cells; the notebook itself is left as it is."""
    cells = nbformat.read(NOTEBOOK, as_version=4)
    client = NotebookClient(cells, timeout=None, resources={"metadata": {"path": str(ROOT)}})
    begun = time.monotonic()
    try:
        client.execute()
    except CellExecutionError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    seconds = time.monotonic() - begun
    sys.stdout.write(f"{NOTEBOOK.name}: {len(cells.cells)} cells in {seconds:.0f} s\n")
    if seconds > MOST_SECONDS:
        sys.stderr.write(f"error: more than {MOST_SECONDS:.0f} s\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
