"""The repository keeps its promises: light imports, configs that load, links and maps that lead somewhere."""

from __future__ import annotations

import ast
import dataclasses
import functools
import importlib
import os
import pkgutil
import re
import subprocess
import sys
import tomllib
from collections import defaultdict
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import binding_names
import grimp
import pytest

import chexphi
from chexphi import config, field_values

ROOT = Path(__file__).resolve().parents[1]
VERBS = (
    "demo", "study", "data phantom", "data import", "data check", "sft", "mine score", "mine select", "grpo",
    "sweep", "plan", "evaluate", "ask", "compare", "report", "card", "checkpoint inspect",
    "checkpoint import", "checkpoint export", "checkpoint merge", "rewards score", "swift-plugin",
    "verl-rows", "kg extract", "kg audit",
)  # fmt: skip
HEAVY = ("torch", "transformers", "trl", "peft", "accelerate", "datasets", "pyarrow", "numpy")
CORE = (
    *(
        "chexphi",
        "chexphi.schema",
        "chexphi.prompts",
        "chexphi.answers",
        "chexphi.rewards",
        "chexphi.rewards.by_name",
    ),
    *("chexphi.graph", "chexphi.graph.lexicon.extractor", "chexphi.graph.match", "chexphi.graph.text"),
    *("chexphi.graph.rexkg.text", "chexphi.integrations.verl"),
)
RECIPES = {
    "demo": ("chexphi.demo.demo:DemoRecipe", None),
    "study": ("chexphi.demo.study:StudyRecipe", None),
    "sft": ("chexphi.training.sft_recipe:SFTRecipe", "SFTConfig"),
    "grpo": ("chexphi.training.grpo_recipe:GRPORecipe", "GRPOConfig"),
    "sweep": ("chexphi.sweep.sweep_recipe:SweepRecipe", None),
    "mine score": ("chexphi.mining.score:MineScoreRecipe", None),
    "evaluate": ("chexphi.evaluation.evaluate:EvaluateRecipe", None),
}
CONFIGS = sorted((ROOT / "configs").glob("*.yaml"))
PRESETS = sorted(
    path for folder in ("presets", "vllm") for path in (ROOT / "configs" / folder).glob("*.yaml")
)
MAPS = [ROOT / "docs" / name for name in ("seed_map.md", "paper_map.md", "security.md")]
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    *sorted((ROOT / "docs").glob("*.md")),
]


def run(*words: str) -> str:
    """Standard output of this Python with `words`, plain and wide; fails with what it wrote."""
    plain = {key: value for key, value in os.environ.items() if key not in ("FORCE_COLOR", "GITHUB_ACTIONS")}
    env = plain | {"COLUMNS": "160", "NO_COLOR": "1"}
    done = subprocess.run(
        [sys.executable, *words], capture_output=True, text=True, cwd=ROOT, env=env, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def recipe_kinds(verb: str) -> list[type]:
    """The dataclasses whose fields a recipe verb takes: ours, then TRL's."""
    place, trl = RECIPES[verb]
    module, name = place.split(":")
    kinds = [getattr(importlib.import_module(module), name)]
    return kinds + ([getattr(importlib.import_module("trl"), trl)] if trl else [])


@functools.cache
def help_of(verb: str) -> str:
    return run("-m", "chexphi", *verb.split(), "--help")


def ours(page: Path) -> list[str]:
    """Every backticked text of a map's columns that are headed `ours`, `file` or `test`."""
    found: list[str] = []
    columns: list[int] = []
    for line in page.read_text(encoding="utf-8").splitlines():
        if not line.startswith("|"):
            columns = []
            continue
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if not columns:
            columns = [i for i, cell in enumerate(cells) if cell in ("ours", "file", "test")]
            assert columns, f"{page.name}: a table without a column `ours`, `file` or `test`: {line}"
            continue
        found += [text for i in columns for text in re.findall(r"`([^`]+)`", cells[i])]
    return found


def test_the_core_imports_no_heavy_library() -> None:
    code = f"import sys, {', '.join(CORE)}; print(*sorted(set({HEAVY!r}) & set(sys.modules)))"
    assert run("-c", code).split() == []


def test_help_names_every_verb() -> None:
    for verb in VERBS:
        *group, name = verb.split()
        assert re.search(rf"\b{name}\b", help_of(" ".join(group))), verb


def test_help_fits_a_screen_and_imports_no_torch() -> None:
    code = (
        "import sys\nfrom typer.testing import CliRunner\nfrom chexphi.cli import app\n"
        "result = CliRunner().invoke(app, ['--help'])\n"
        "print(len(result.output.splitlines()), 'torch' in sys.modules)"
    )
    lines, torch = run("-c", code).split()[-2:]
    assert int(lines) <= 48
    assert torch == "False"


@pytest.mark.parametrize("path", [*CONFIGS, *PRESETS], ids=lambda path: path.stem)
def test_every_config_loads(path: Path) -> None:
    """`configs/<verb>.yaml` or `configs/<verb>_<variant>.yaml`: keys and types are those of the recipe.

    Presets, and what is for vLLM, lie over one of GRPO.
    """
    verb = "grpo" if path in PRESETS else path.stem.split("_")[0].replace("mine", "mine score")
    kinds = recipe_kinds(verb)
    values = field_values.check_values(config.read_yaml(path), kinds, str(path))
    assert values
    if len(kinds) == 1:
        config.parse(["--config", str(path)], *kinds, prog="chexphi")


def test_there_are_configs() -> None:
    assert CONFIGS
    assert PRESETS


@pytest.mark.parametrize("page", MAPS, ids=lambda page: page.stem)
def test_every_target_of_a_map_exists(page: Path) -> None:
    targets = ours(page)
    assert targets
    for target in targets:
        if target.startswith("chexphi "):
            check_command(target)
        elif "::" in target:
            file, _, name = target.partition("::")
            assert re.search(rf"\b(def|class) {name}\b|^{name}\b", (ROOT / file).read_text(), re.M), target
        else:
            assert (ROOT / target).exists(), f"{page.name} names {target}, which does not exist"


def check_command(command: str) -> None:
    """`chexphi VERB word --flag …`: the verb is known; its help, or TRL's config, knows words and flags."""
    words = command.removeprefix("chexphi ").split()
    verb = next((verb for verb in VERBS if words[: len(verb.split())] == verb.split()), None)
    assert verb, f"{command}: no such verb"
    if verb in RECIPES:
        known = {f"--{field.name}" for kind in recipe_kinds(verb) for field in dataclasses.fields(kind)} | {
            "--config"
        }
    else:
        known = set(re.findall(r"[\w-]+", help_of(verb)))
    for word in words[len(verb.split()) :]:
        assert {word, word.replace("_", "-")} & known, f"{verb} knows no {word}"


def anchors_of(page: Path) -> set[str]:
    """The anchors that a git host, and the site, give the headings of a page."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.S | re.M)
    titles = [title.strip().lower() for title in re.findall(r"^#+ (.*)$", text, re.M)]
    return {re.sub(r"[^\w\- ]", "", title).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_relative_links_lead_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#\s]*)(?:#([^)\s]*))?\)", text)
    links += [(link, "") for link in re.findall(r"\b(?:src|href)=\"([^\"#]+)", text)]
    for link, anchor in links:
        if "://" not in link and not link.startswith("mailto:"):
            target = page.parent / link if link else page
            assert target.exists(), f"{page.name} links to {link}"
            assert not anchor or anchor in anchors_of(target), f"{page.name} links to {link}#{anchor}"


NOW = [page for page in PAGES if page.stem not in ("CHANGELOG", "log")]
"""Pages about the code as it is: the other two are history."""


@pytest.mark.parametrize("page", NOW, ids=lambda page: page.name)
def test_names_of_the_package_on_a_page_exist(page: Path) -> None:
    names = set(re.findall(r"\bchexphi(?:\.[a-zA-Z_]\w*)+", page.read_text(encoding="utf-8")))
    for name in names - {"chexphi.integrations.ms_swift"}:  # that one needs ms-swift
        pkgutil.resolve_name(name)


def documented_and_real_arguments(node: ast.FunctionDef | ast.ClassDef) -> tuple[set[str], set[str]]:
    """Names under `Args:` in a docstring, and the parameters of the function or of the class's `__init__`."""
    described = re.search(r"^Args:\n((?:    .*\n?|\n)+)", ast.get_docstring(node) or "", re.M)
    function = node
    if isinstance(node, ast.ClassDef):
        initialisers = [part for part in node.body if getattr(part, "name", "") == "__init__"]
        function = initialisers[0] if initialisers else None
    if not described or not isinstance(function, ast.FunctionDef):
        return set(), set()
    parameters = {part.arg for part in ast.walk(function.args) if isinstance(part, ast.arg)}
    return set(re.findall(r"^    (\w+):", described[1], re.M)), parameters


def test_docstrings_name_the_arguments_that_there_are() -> None:
    described_functions = 0
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                described, parameters = documented_and_real_arguments(node)
                assert described <= parameters, (path, node.name)
                described_functions += bool(described)
    assert described_functions > 150


def test_the_version_is_the_same_everywhere() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert chexphi.__version__ == version
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text()
    assert re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.M)[1] == version  # type: ignore[index]


def test_no_circle_of_imports_in_the_package_or_in_a_folder_of_it() -> None:
    """Folders and files of one level import each other in one direction only."""
    imports = grimp.build_graph("chexphi")
    below: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for module in imports.modules:
        for other in imports.find_modules_directly_imported_by(module):
            ours, theirs = module.split("."), other.split(".")
            level = next((at for at, (a, b) in enumerate(zip(ours, theirs, strict=False)) if a != b), 0)
            if level:
                below[".".join(ours[:level])][ours[level]].add(theirs[level])
    assert {"chexphi", "chexphi.models", "chexphi.training.recovery"} <= below.keys()
    for folder, arrows in below.items():
        try:
            TopologicalSorter(arrows).prepare()
        except CycleError as error:
            pytest.fail(f"{folder}: {error.args[1]}")


def test_no_registry_host_and_no_index_url() -> None:
    """Packages come from wherever the machine's own settings say."""
    hosts = re.compile(
        "|".join(("pypi" + r"\.org", "python" + "hosted", "index" + "-url", "find" + "-links"))
    )
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    if listed.returncode:
        pytest.skip("not a git checkout: no list of its files")
    for name in listed.stdout.splitlines():
        path = ROOT / name
        if path.is_file() and path.suffix not in (".png", ".jpg"):
            assert not hosts.search(path.read_text(encoding="utf-8", errors="replace")), name


def test_constraints_pin_what_pyproject_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = [
        *project["dependencies"],
        *extras["train"],
        *extras["report"],
        *extras["docs"],
        *extras["notebook"],
        *extras["dev"],
    ]
    pinned = re.findall(r"^([\w.-]+)==", (ROOT / "constraints.txt").read_text(), re.M)
    plain = {re.sub(r"[-_.]+", "-", name).lower() for name in pinned}
    for requirement in wanted:
        name = re.match(r"[\w.-]+", requirement)
        assert name
        assert re.sub(r"[-_.]+", "-", name[0]).lower() in plain, requirement


def test_names_say_what_they_hold() -> None:
    counts = {path: binding_names.count(path) for path in binding_names.SRC.rglob("*.py")}
    assert sum(bound for bound, _ in counts.values()) > 10_000
    without_content = sum(len(names) for _, names in counts.values())
    assert without_content < 0.02 * sum(bound for bound, _ in counts.values())
    assert not [(path, names) for path, (bound, names) in counts.items() if len(names) > 0.05 * bound]


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("kept, place = f()", ["kept", "place"]),
        ("kept_rows = [row for row in rows]", []),
        ("for found in rows: pass", ["found"]),
        ("def f(rest, *given, **said): _ = 1", ["given", "rest", "said"]),
        ("class C:\n    whole: int\n    def f(self): self._last = self.last_row = 1", ["_last", "whole"]),
        ("with open(path) as there: pass", ["there"]),
        ("try: pass\nexcept ValueError as first: pass", ["first"]),
        ("if kept := f(): g(found=kept, part=1)", ["kept"]),
    ],
)
def test_what_counts_as_a_name_without_content(code: str, names: list[str]) -> None:
    found = [
        name for _, name in binding_names.bindings(ast.parse(code)) if binding_names.without_content(name)
    ]
    assert sorted(found) == names
