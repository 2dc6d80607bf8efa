"""`import chexphi` has what people use, costs nothing, and no file of the package imports from it."""

from __future__ import annotations

import ast
import inspect
import pkgutil
import subprocess
import sys
from pathlib import Path

import pytest

import chexphi

PACKAGE = Path(chexphi.__file__).parent
TREE = ast.parse((PACKAGE / "__init__.py").read_text())


def python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def places_for_type_checkers() -> dict[str, str]:
    """Public name -> MODULE:NAME, from the imports that only type checkers read."""
    (branch,) = (node for node in TREE.body if isinstance(node, ast.If))
    imports = [node for node in branch.body if isinstance(node, ast.ImportFrom)]
    return {
        alias.asname or alias.name: f"{node.module}:{alias.name}" for node in imports for alias in node.names
    }


def test_type_checkers_and_python_find_the_same_names() -> None:
    places = places_for_type_checkers()
    assert sorted(places) == sorted(chexphi.__all__)
    for name, place in places.items():
        assert getattr(chexphi, name) is pkgutil.resolve_name(place)
        assert name in dir(chexphi)


@pytest.mark.parametrize("name", chexphi.__all__)
def test_a_public_name_explains_itself(name: str) -> None:
    assert inspect.getdoc(getattr(chexphi, name))


def test_no_public_name_hides_a_part_of_the_package() -> None:
    assert {module.name for module in pkgutil.iter_modules([str(PACKAGE)])}.isdisjoint(chexphi.__all__)


def test_a_name_that_is_not_there_is_an_attribute_error() -> None:
    assert not hasattr(chexphi, "scores")
    with pytest.raises(ImportError, match="scores"):
        python_import("scores")


def python_import(name: str) -> None:
    exec(f"from chexphi import {name}", {})


def test_importing_the_package_imports_nothing_else() -> None:
    """No part of the package; of others only what Python has loaded anyway, and `importlib`."""
    code = (
        "import importlib, typing, sys; before = set(sys.modules); import chexphi; "
        "print(*sorted(set(sys.modules) - before))"
    )
    assert python(code).split() == ["chexphi"]


def test_what_needs_no_heavy_library_imports_none() -> None:
    light = sorted(set(chexphi.__all__) - {"load_model", "compare"})
    heavy = ("torch", "transformers", "trl", "datasets", "pandas", "pyarrow")
    code = (
        f"import sys\nfrom chexphi import {', '.join(light)}\nprint([x for x in {heavy} if x in sys.modules])"
    )
    assert python(code).strip() == "[]"


def test_a_library_that_is_missing_is_named_with_the_way_to_install_it() -> None:
    code = (
        "import sys; sys.modules['torch'] = None\nimport chexphi\n"
        "try:\n    chexphi.load_model\nexcept ImportError as error:\n    print(error)"
    )
    assert (
        python(code).strip().startswith("chexphi.load_model needs torch, which is not installed: pip install")
    )


def test_no_file_of_the_package_imports_a_public_name_from_its_top() -> None:
    """The order of layers does not see such an import: `pyproject.toml` leaves the top out."""
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module == "chexphi" and not node.level:
                names = {alias.name for alias in node.names}
                assert names.isdisjoint(chexphi.__all__), path
