"""Every command line of docs/cluster.md: launcher, verb and their flags are known, configs exist."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator

import pytest
from accelerate.commands.launch import launch_command_parser
from test_repository import RECIPES, ROOT, VERBS, help_of, recipe_kinds
from torch.distributed.run import get_args_parser

PAGE = (ROOT / "docs" / "cluster.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(?:bash)?\n(.*?)```", PAGE, re.S)
COMMANDS = [
    line.strip().removeprefix("exec ").rstrip("'")
    for line in "".join(BLOCKS).splitlines()
    if re.match(r" *(exec )?(chexphi|torchrun|accelerate launch|python -m chexphi) ", line)
]
LAUNCHERS = {"torchrun": get_args_parser, "accelerate launch": launch_command_parser}


def flags(words: list[str]) -> Iterator[str]:
    yield from (word for word in words if word.startswith("--"))


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_line_is_one_that_works(line: str) -> None:
    before, _, after = line.rpartition("chexphi ")
    words = shlex.split(after)
    verb = next(verb for verb in VERBS if words[: len(verb.split())] == verb.split())
    if verb in RECIPES:
        fields = {name for kind in recipe_kinds(verb) for name in kind.__dataclass_fields__} | {"config"}
        assert {flag[2:] for flag in flags(words)} <= fields
    else:
        assert {*flags(words)} <= {*re.findall(r"--[\w-]+", help_of(verb))}
    for name, parser in LAUNCHERS.items():
        if before.startswith(name):
            read = parser().parse_args([*shlex.split(before.removeprefix(name)), "chexphi", *words])
            assert read.module
            assert (read.training_script, read.training_script_args) == ("chexphi", words)
    for path in re.findall(r"configs/\S+\.yaml", line):
        assert (ROOT / path).is_file()


def test_there_are_commands_for_every_stage_and_launcher() -> None:
    text = "\n".join(COMMANDS)
    for verb in ("data import", "checkpoint import", "sft", "mine score", "mine select", "grpo", "evaluate"):
        assert f"chexphi {verb} " in text
    assert text.count("torchrun ") >= 5
    assert text.count("accelerate launch ") == 2
    assert "--resume auto" in text


def test_the_slurm_script_is_a_script() -> None:
    (script,) = (block for block in BLOCKS if block.startswith("#!/bin/bash"))
    done = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
