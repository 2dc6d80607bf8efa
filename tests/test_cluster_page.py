"""docs/cluster.md has a command for every stage and launcher, and a script that is one.

That each command can be typed is held by `test_documented_commands.py`, as for every page.
"""

from __future__ import annotations

import re
import subprocess

from test_repository import ROOT

PAGE = (ROOT / "docs" / "cluster.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(?:bash)?\n(.*?)```", PAGE, re.S)
COMMANDS = [
    line.strip().removeprefix("exec ").rstrip("'")
    for line in "".join(BLOCKS).splitlines()
    if re.match(r" *(exec )?(chexphi|torchrun|accelerate launch|python -m chexphi) ", line)
]


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
