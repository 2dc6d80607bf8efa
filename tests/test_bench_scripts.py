"""Benchmarks and examples run by hand: what they import has to be there."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted([*ROOT.glob("bench/*.py"), *ROOT.glob("examples/*.py")])


def imports(script: Path) -> list[tuple[str, str]]:
    """Module and name of each `from module import name`."""
    nodes = ast.walk(ast.parse(script.read_text()))
    from_nodes = [node for node in nodes if isinstance(node, ast.ImportFrom)]
    return [(node.module or "", alias.name) for node in from_nodes for alias in node.names]


def bound_names(script: Path) -> set[str]:
    """What a script defines, assigns or imports at its top."""
    found: set[str] = {name for _, name in imports(script)}
    for node in ast.parse(script.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        targets = node.targets if isinstance(node, ast.Assign) else []
        found.update(name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name))
    return found


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_what_a_script_imports_is_there(script: Path) -> None:
    for module, name in imports(script):
        beside = script.with_name(f"{module}.py")
        if beside.exists():
            assert name in bound_names(beside), f"{beside.name} has no {name}"
        elif module.split(".")[0] == "chexphi" and not hasattr(importlib.import_module(module), name):
            importlib.import_module(f"{module}.{name}")


def test_the_test_sees_imports() -> None:
    found = imports(ROOT / "bench/grpo_step.py")
    assert ("chexphi.training.grpo_trainer", "LoggedGRPOTrainer") in found
    assert "LENGTHS" in bound_names(ROOT / "bench/_cells.py")
