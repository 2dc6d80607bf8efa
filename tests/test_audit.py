"""`make audit` says nothing good of packages that it could not look up; the forms are pip-audit 2.10.1's."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / ".ci" / "audit.py"
GOOD = {"name": "a", "version": "1", "vulns": []}
BAD = {"name": "b", "version": "2", "vulns": [{"id": "X-1", "fix_versions": ["3"], "aliases": []}]}
OPEN = {"name": "d", "version": "4", "vulns": [{"id": "X-2", "fix_versions": [], "aliases": []}]}
SKIPPED = {"name": "c", "skip_reason": "Dependency not found and could not be audited: c (1)"}


def module() -> Any:
    spec = importlib.util.spec_from_file_location("audit_of_packages", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


@pytest.mark.parametrize(
    ("packages", "code", "words"),
    [
        ([GOOD], 0, ["1 packages without a known advisory"]),
        ([GOOD, BAD], 1, ["b 2: X-1, mended in 3"]),
        ([OPEN], 1, ["d 4: X-2, mended in no version yet"]),
        ([SKIPPED, GOOD], 2, ["error: 1 of 2 packages could not be looked up, the first of them c"]),
        ([SKIPPED, BAD], 2, ["b 2: X-1, mended in 3", "error: 1 of 2 packages"]),
        ([], 2, ["error: no package is pinned"]),
    ],
)
def test_verdict(packages: list[dict[str, Any]], code: int, words: list[str]) -> None:
    found, said = module().verdict(packages)
    assert found == code
    assert [line.startswith(word) for line, word in zip(said.splitlines(), words, strict=True)] == [
        True
    ] * len(words)


def test_without_its_tool_it_ends_in_one_sentence() -> None:
    done = subprocess.run(
        [sys.executable, "-S", str(SCRIPT), "constraints.txt"], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (2, "")
    assert done.stdout.startswith("error: pip-audit could not ask its database")
    assert done.stdout.count("\n") == 1
