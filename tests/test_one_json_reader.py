"""JSON that somebody else may have written is read in one place: `chexphi.files`."""

from __future__ import annotations

import ast
from pathlib import Path

SOURCE = Path(__file__).parents[1] / "src" / "chexphi"
EXCEPTIONS = {
    "files.py": "the reader itself",
    "doctor/imports.py": "lines that a child process of ours wrote a moment ago",
    "installation.py": "what pip noted about this package",
    "kg/engines.py": "what was written a moment ago, on its way to and from another process",
    "runs/run_folder.py": "settings of this process, written and read at once to make them plain",
    "models/tensor_headers.py": "the header of a tensor file, checked there",
    "training/recovery/checkpoints.py": "our own mark of a complete checkpoint; anything else is no mark",
}


def readers(file: Path) -> list[int]:
    """Lines that name the library's readers."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return [
        node.lineno
        for node in ast.walk(tree)
        if (isinstance(node, ast.Attribute) and node.attr in ("loads", "load", "JSONDecoder", "raw_decode"))
        and isinstance(node.value, ast.Name)
        and node.value.id == "json"
    ] + [node.lineno for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module == "json"]


def test_only_one_module_reads_json() -> None:
    found = {
        file.relative_to(SOURCE).as_posix(): lines
        for file in sorted(SOURCE.rglob("*.py"))
        if (lines := readers(file))
    }
    assert not found.keys() - EXCEPTIONS.keys(), found


def test_the_search_finds_what_it_looks_for() -> None:
    assert readers(SOURCE / "files.py")
