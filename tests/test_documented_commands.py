"""Every command in README, CONTRIBUTING and docs can be typed: verbs, flags, values, files and targets exist.

A line of a code block is read as the command line reads it, up to where a stage would begin. Code inside a
sentence may leave out what a verb needs, so there only its verb, flags and files are looked up. `docs/log.md`
is left out: its entries are history.
"""

from __future__ import annotations

import functools
import importlib
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import typer
from accelerate.commands.launch import launch_command_parser
from test_repository import ROOT, recipe_kinds
from torch.distributed.run import get_args_parser

from chexphi.cli import app
from chexphi.memory_plan.plan_fields import PlanFields
from chexphi.schema import InputError

PAGES = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md")),
    *sorted(path for path in (ROOT / "docs").glob("*.md") if path.name != "log.md"),
]
BLOCK = re.compile(r"^```(.*?)\n(.*?)^```", re.S | re.M)
CODE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
COMMAND = re.compile(
    r"(?:\w+=\S+ )*"
    r"(?:chexphi|make|python (?:-m chexphi|bench/|tests/)|torchrun|accelerate launch|\.ci/run|sh findings/)"
)
LAUNCHERS = {"torchrun": get_args_parser, "accelerate launch": launch_command_parser}
STAGES = {
    "demo": "chexphi.demo.demo", "study": "chexphi.demo.study", "sft": "chexphi.training.sft",
    "grpo": "chexphi.training.grpo", "sweep": "chexphi.sweep.sweep_recipe",
    "plan": "chexphi.memory_plan.plan", "mine score": "chexphi.mining.score",
    "evaluate": "chexphi.evaluation.evaluate",
}  # fmt: skip
"""The verbs whose flags are fields of a recipe, with the module that parses them."""
UsageError = typer.BadParameter.__bases__[0]
TARGETS = set(re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))


class Command(NamedTuple):
    page: str
    text: str
    whole: bool
    """A line of a block, and not code inside a sentence."""


def commands_of(page: Path) -> Iterator[Command]:
    text = page.read_text(encoding="utf-8")
    blocks = [block for language, block in BLOCK.findall(text) if language in ("", "bash")]
    for block in blocks:
        for line in block.replace("\\\n", " ").splitlines():
            typed = line.strip().removeprefix("exec ").removesuffix("'").partition("  #")[0]
            if COMMAND.match(typed):
                yield Command(page.name, typed, True)
    for code in CODE.findall(BLOCK.sub("", text)):
        if COMMAND.match(code):
            yield Command(page.name, code, False)


COMMANDS = [command for page in PAGES for command in commands_of(page)]


def verb_of(words: list[str]) -> tuple[Any, list[str], list[str]]:
    """The command that the words lead to, the words of its name, and those after them."""
    command: Any = typer.main.get_command(app)
    path: list[str] = []
    while hasattr(command, "commands") and len(path) < len(words):
        name = words[len(path)]
        if not re.match(r"[a-z]", name):  # `chexphi VERB --help`, `chexphi --help`
            break
        assert name in command.commands, f"{' '.join([*path, name])}: no such verb"
        command = command.commands[name]
        path.append(name)
    return command, path, words[len(path) :]


def recipe_flags(verb: str) -> set[str]:
    """Every flag of a recipe verb, from what its parser takes."""
    kinds = (
        [PlanFields, *recipe_kinds("sft"), *recipe_kinds("grpo")] if verb == "plan" else recipe_kinds(verb)
    )
    fields = {name for kind in kinds for name in kind.__dataclass_fields__}
    return {f"--{name}" for name in fields | {"config", "json", "help"}}


def check_chexphi(words: list[str], whole: bool) -> None:
    command, path, arguments = verb_of(words)
    verb = " ".join(path)
    flags = {word.partition("=")[0] for word in arguments if word.startswith("--")}
    if verb in STAGES:
        dashed = {flag.replace("-", "_").replace("__", "--", 1) for flag in flags}
        assert dashed <= recipe_flags(verb), f"{verb}: {dashed - recipe_flags(verb)}"
        if whole and "--help" not in flags:
            importlib.import_module(STAGES[verb]).parse([word for word in arguments if word != "--json"])
        return
    names = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    assert flags <= names | {"--help"}, f"{verb}: {flags - names}"
    if whole and "--help" not in flags:
        command.make_context(verb, arguments)


def check_make(words: list[str]) -> None:
    for name, _, value in (word.partition("=") for word in words if "=" in word):
        assert name in ("ARGS", "PYTHON"), name
        if name == "ARGS" and words[0] in ("demo", "study"):
            check_chexphi([words[0], *shlex.split(value)], whole=True)
        for path in re.findall(r"tests/\S+", value):
            assert (ROOT / path).exists(), path
    targets = [word for word in words if "=" not in word]
    assert set(targets) <= TARGETS, set(targets) - TARGETS


@functools.cache
def check(text: str, whole: bool) -> None:
    """Fails at what a command names and nobody has."""
    for path in re.findall(r"\b(?:configs|bench|tests|findings|examples)/[\w/.-]+\.\w+", text):
        assert (ROOT / path).is_file() or "NAME" in path, path
    words = [word for word in shlex.split(re.sub(r" (?:\||>|&&) .*", "", text)) if word != "…"]
    while re.match(r"[A-Z_]+=", words[0]):
        words = words[1:]
    if words[0] == "make":
        check_make(words[1:])
        return
    launcher = next((name for name in LAUNCHERS if text.startswith(name)), None)
    if launcher and whole:
        read = LAUNCHERS[launcher]().parse_args(words[len(launcher.split()) :])
        assert (read.module, read.training_script) == (True, "chexphi")
    if "chexphi" in words:
        check_chexphi(words[words.index("chexphi") + 1 :], whole)


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: f"{command.page}: {command.text[:60]}")
def test_a_documented_command_can_be_typed(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "configs").symlink_to(ROOT / "configs")
    monkeypatch.chdir(tmp_path)
    check(command.text, command.whole)
    assert [path.name for path in tmp_path.iterdir()] == ["configs"]


def test_every_verb_and_target_is_on_some_page() -> None:
    texts = " ".join(command.text for command in COMMANDS)
    main = typer.main.get_command(app)
    for name, command in main.commands.items():
        verbs = [f"{name} {inner}" for inner in getattr(command, "commands", {})] or [name]
        assert [verb for verb in verbs if not re.search(f"(chexphi|make) {verb}\\b", texts)] == []
    assert {target for target in TARGETS if f"make {target}" not in texts} == set()


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("chexphi trian --out x", "no such verb"),
        ("chexphi kg shwo TEXT", "no such verb"),
        ("chexphi grpo --dinamic_sample true", "dinamic_sample"),
        ("chexphi data check FILE --reward format", "--reward"),
        ("chexphi mine select runs/mine --out x.json", "pool"),
        ("chexphi grpo --config configs/grpo_gk.yaml", "grpo_gk"),
        ("make tets", "tets"),
        ("make demo ARGS=--quikc", "quikc"),
        ("python bench/grpo_stpe.py", "grpo_stpe"),
        ("torchrun --standalone --nproc 8 -m chexphi grpo", "nproc"),
        ("chexphi grpo --model m --data d.json --max_steps many", "max_steps"),
    ],
)
def test_a_wrong_command_is_found(text: str, wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises((AssertionError, InputError, UsageError, SystemExit)) as found:
        check(text, True)
    assert wrong in f"{found.value} {getattr(found.value, 'message', '')} {capsys.readouterr().err}"
