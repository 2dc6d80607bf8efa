"""What pages and code both say is the same: the tree, files of pitfalls, the demo's table, an example."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path

from chexphi.rewards import score

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "chexphi"


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def tree_paths() -> list[str]:
    """Every path of CONTRIBUTING's tree, from the repository's root, in its order."""
    paths: list[str] = []
    folders: list[str] = []
    for line in text_of("CONTRIBUTING.md").split("<!-- tree -->")[1].splitlines():
        if match := re.match(r"( *)([\w./]+(?:, [\w./]+)*)(?:  .*)?$", line):
            names = match[2].split(", ")
            folders = [*folders[: len(match[1]) // 2], names[0]]
            paths += ["".join([*folders[:-1], name]) for name in names]
    return paths


def test_the_tree_has_every_folder_and_every_loose_file() -> None:
    paths = tree_paths()
    assert [path for path in paths if not (ROOT / path).exists()] == []
    folders = [path for path in PACKAGE.rglob("*") if path.is_dir() and path.name != "__pycache__"]
    loose = [path for path in PACKAGE.glob("*.py") if not path.name.startswith("__")]
    here = {f"{path.relative_to(ROOT)}/" for path in folders} | {
        str(path.relative_to(ROOT)) for path in loose
    }
    assert here - set(paths) == set()


def test_in_the_tree_a_package_is_below_what_it_may_import() -> None:
    contracts = tomllib.loads(text_of("pyproject.toml"))["tool"]["importlinter"]["contracts"]
    layers = [re.findall(r"\w+", layer) for layer in reversed(contracts[0]["layers"])]
    height = {package: number for number, layer in enumerate(layers) for package in layer}
    top = [path.removeprefix("src/chexphi/") for path in tree_paths() if path.startswith("src/chexphi/")]
    packages = [re.split(r"[/.]", path)[0] for path in top if path.count("/") <= path.endswith("/")]
    heights = [height[package] for package in packages if package]
    assert heights == sorted(heights)


def test_every_pitfall_says_where_it_is_dealt_with() -> None:
    items = re.findall(r"^- (.*)", text_of("docs/pitfalls.md"), re.M)
    assert len(items) >= 60
    for item in items:
        ending = re.search(r"In ((?:`[^`]+`(?:, )?)+|settings of your own)\.$", item)
        assert ending, item
        for path in re.findall(r"`([^`]+)`", ending[1]):
            assert (ROOT / path).exists(), item


def test_the_demos_table_is_the_same_on_both_pages() -> None:
    tables = [
        re.search(r"^\| `make demo`, five runs.*\n(?:\|.*\n)+", text_of(page), re.M)
        for page in ("README.md", "docs/results.md")
    ]
    assert tables[0]
    assert tables[1]
    assert tables[0][0] == tables[1][0]


def test_the_example_of_the_rewards_page_is_true() -> None:
    (block,) = (
        text
        for text in re.findall(r"```python\n(.*?)```", text_of("docs/rewards.md"), re.S)
        if "import score" in text
    )
    made: dict[str, object] = {}
    exec(block.replace("print(", "found = ("), made)
    assert made["found"] == (1.0, 0.0, 1.0)
    reference = str(made["reference"])
    assert score(reference, reference).total == 2.0
    assert f"```text\n{made['result']}\n```\n" in text_of("docs/rewards.md")


def test_every_method_of_trl_that_is_said_to_be_overridden_is() -> None:
    section = text_of("CONTRIBUTING.md").split("## What we override in TRL")[1].split("\n## ")[0]
    rows = [line.split("|") for line in section.splitlines() if line.startswith("| `")]
    assert len(rows) >= 15
    for row in rows:
        methods, files = (re.findall(r"`([^`]+)`", row[column]) for column in (2, 4))
        sources = [text_of(f"src/chexphi/{file}") for file in files]
        for method in methods:
            assert all(f"def {method}(" in source for source in sources), f"{method} in {files}"


def test_findings_can_be_executed_and_are_on_the_page_of_pitfalls() -> None:
    scripts = sorted((ROOT / "findings").glob("*.sh"))
    assert len(scripts) >= 19
    assert [path.name for path in scripts if not os.access(path, os.X_OK)] == []
    page = text_of("docs/pitfalls.md")
    assert [path.name for path in scripts if f"`findings/{path.name}`" not in page] == []
