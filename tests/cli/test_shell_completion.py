"""What a shell offers after TAB, from the real scripts in real shells."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Literal

import pytest

from chexphi.cli.recipe_command import completions
from chexphi.field_values import described_fields


class Colour(StrEnum):
    RED = "red"
    GREEN = "green"


@dataclass
class Recipe:
    loss_type: Literal["dapo", "grpo", "dr_grpo"] = field(default="dapo", metadata={"help": "which loss"})
    log_colour: Colour = Colour.RED
    overwrite: bool = False
    model: str = ""
    combine: str = "sum"


@pytest.mark.parametrize(
    ("words", "incomplete", "expected"),
    [
        ([], "--lo", ["--loss_type", "--log_colour"]),
        ([], "--loss-", ["--loss-type"]),
        (["--model", "m"], "--m", ["--model"]),
        ([], "--conf", ["--config"]),
        (
            [],
            "-",
            [
                "--loss_type",
                "--log_colour",
                "--overwrite",
                "--model",
                "--combine",
                "--config",
                "--json",
                "--yes",
                "--help",
                "--help-all",
            ],
        ),
        (["--loss_type"], "", ["dapo", "grpo", "dr_grpo"]),
        (["--loss-type"], "d", ["dapo", "dr_grpo"]),
        (["--loss_type", "="], "g", ["grpo"]),
        (["--log_colour"], "", ["red", "green"]),
        (["--overwrite"], "", ["true", "false"]),
        (["--combine"], "", ["sum", "product", "gated"]),
        (["--model"], "", []),  # the shell completes files
        (["--config"], "", []),
        (["loss_type"], "", []),
        ([], "", []),
    ],
)
def test_what_is_offered_for_a_recipe(words: list[str], incomplete: str, expected: list[str]) -> None:
    offered = completions(words, incomplete, described_fields([Recipe]))
    assert [item.value for item in offered] == expected


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """With `chexphi` on the path, and a folder of its own as home and working folder."""
    command = tmp_path / "bin" / "chexphi"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m chexphi "$@"\n')
    command.chmod(0o755)
    return os.environ | {"PATH": f"{command.parent}:{os.environ['PATH']}", "HOME": str(tmp_path)}


def lines_of(shell: str, script: str, environment: dict[str, str]) -> list[str]:
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} here")
    done = subprocess.run([shell, "-c", script], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_bash_offers_verbs_flags_and_choices(environment: dict[str, str]) -> None:
    script = """
source <(chexphi --show-completion bash)
offer() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _chexphi_completion chexphi; echo "${COMPREPLY[*]}"; }
offer chexphi comp
offer chexphi mine score --samp
offer chexphi data import ""
offer chexphi data check ""
complete -p chexphi
"""
    verbs, flags, formats, files, options = lines_of("bash", script, environment)
    assert verbs == "compare"
    assert flags == "--samples"
    assert formats == "mimic-vqa-cot vqa-rad nih-labels"
    assert files == ""
    assert "-o default" in options  # then bash itself offers files


def test_fish_offers_flags_with_their_help(environment: dict[str, str]) -> None:
    script = "chexphi --show-completion fish | source; complete -C 'chexphi mine score --samp'"
    (line,) = lines_of("fish", script, environment)
    assert line.startswith("--samples\t")


def test_zsh_takes_the_script(environment: dict[str, str]) -> None:
    script = """
autoload -Uz compinit; compinit -D
eval "$(chexphi --show-completion zsh)"
_arguments() { echo "$@" }
words=(chexphi mine score --samp); CURRENT=4
_chexphi_completion
"""
    assert "--samples" in " ".join(lines_of("zsh", script, environment))


def test_completion_loads_nothing_heavy() -> None:
    code = """
import os, sys
os.environ |= {"COMP_WORDS": "chexphi data check --", "COMP_CWORD": "3", "_CHEXPHI_COMPLETE": "complete_bash"}
sys.argv = ["chexphi"]
from chexphi.cli import main
try:
    main()
except SystemExit:
    print(*{"torch", "transformers", "trl"} & {*sys.modules})
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "--image-root" in done.stdout
    assert done.stdout.endswith("\n\n")
