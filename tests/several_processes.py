"""Start a command on several processes of this machine, and `chexphi grpo` with completions from a table.

Run as a script, this file is `chexphi`; with `--table FILE.json` (question -> texts) it is `chexphi grpo`,
and the completions come from there. What a row of the batch gets depends on its question, the step and its
place in its group, and on nothing of the processes. What accelerate takes for GPUs' only (FSDP, DeepSpeed)
runs on the CPU here.
"""

from __future__ import annotations

import json
import os
import random
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from chexphi.cli import main
from chexphi.prompts import text_of

TIMEOUT = 180
"""Seconds after which a run that should have ended counts as hanging."""


def torchrun(number: int, *words: object) -> subprocess.CompletedProcess[str]:
    """A script or `-m module` with its arguments under `torchrun`."""
    launcher = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(number),
    ]  # fmt: skip
    return subprocess.run(
        [*launcher, *map(str, words)], capture_output=True, text=True, timeout=TIMEOUT, env=_environment()
    )


def accelerate(*words: object) -> subprocess.CompletedProcess[str]:
    """`accelerate launch` with these words."""
    return subprocess.run(
        [sys.executable, "-m", "accelerate.commands.launch", *map(str, words)],
        capture_output=True, text=True, timeout=TIMEOUT, env=_environment(),
    )  # fmt: skip


def side_by_side(*commands: Sequence[object], folder: Path | None = None) -> list[tuple[int, str, str]]:
    """What processes without a launcher end with: exit code, output and errors of each."""
    processes = started(*commands, folder=folder)
    ended = [process.communicate(timeout=TIMEOUT) for process in processes]
    return [(process.returncode, *texts) for process, texts in zip(processes, ended, strict=True)]


def started(
    *commands: Sequence[object], folder: Path | None = None, environment: Mapping[str, str] | None = None
) -> list[subprocess.Popen[str]]:
    """One process a command, without a launcher, as SLURM's `srun` does it."""
    shared = _environment() | dict(environment or {})
    shared |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    shared |= dict.fromkeys(("WORLD_SIZE", "LOCAL_WORLD_SIZE"), str(len(commands)))
    return [
        subprocess.Popen(
            [sys.executable, *map(str, words)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            cwd=folder, env=shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
        )
        for rank, words in enumerate(commands)
    ]  # fmt: skip


def free_port() -> int:
    """A port of this machine that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _environment() -> dict[str, str]:
    if os.cpu_count() == 1:
        pytest.skip("chexphi refuses more processes than there are cores, and here is one")
    return dict(os.environ) | {"OMP_NUM_THREADS": "1", "COLUMNS": "200"}


def table_of(questions: Sequence[str]) -> dict[str, list[str]]:
    """Completions for these questions: some right, some wrong, some without an answer, of several lengths."""
    draw = random.Random(0)
    sides, findings = ("left", "right"), ("an opacity", "a nodule", "no pneumothorax", "an effusion")
    table = {}
    for question in dict.fromkeys(questions):
        texts = []
        for answer in ("yes", "no", "yes", "left lung", "no", "", "opacity"):
            said = f"There is {draw.choice(findings)} in the {draw.choice(sides)} lung. " * draw.randint(1, 3)
            texts.append(f"<think>{said}The heart is enlarged.</think><answer>{answer}</answer>")
        table[question] = [text if draw.random() > 0.2 else text[:20] for text in texts]
    return table


def replay(table: dict[str, list[str]], patch: Any) -> None:
    """Let GRPO take its completions from a table."""
    from chexphi.training.grpo_trainer import LoggedGRPOTrainer

    generate = LoggedGRPOTrainer._generate

    def remember(self: Any, prompts: list[Any]) -> Any:
        self.asked = [text_of(prompt) for prompt in prompts]
        return generate(self, prompts)

    def look_up(self: Any, prompt_ids: Any, *_: Any, **__: Any) -> tuple[list[list[int]], None]:
        first = self.accelerator.process_index * len(prompt_ids)
        found = []
        for place, question in enumerate(self.asked, first):
            texts = table[question]
            text = texts[(self.state.global_step + place % self.num_generations) % len(texts)]
            end = [] if text.endswith(" ") else [self.eos_token_ids[0]]
            found.append([*self._tokenizer(text, add_special_tokens=False)["input_ids"], *end])
        return found, None

    patch.setattr(LoggedGRPOTrainer, "_generate", remember)
    patch.setattr(LoggedGRPOTrainer, "_generate_single_turn", look_up)


def spread(patch: Any) -> None:
    """Let accelerate shard weights (FSDP) on the CPU: it takes them for GPUs' only and trains DDP there."""
    import torch.distributed
    from accelerate import state
    from accelerate.utils import DistributedType

    begin = state.AcceleratorState.__init__
    patch.setenv("ACCELERATE_TORCH_DEVICE", "cpu")
    patch.setattr(
        state.PartialState, "_prepare_backend", lambda *_, **__: ("gloo", DistributedType.MULTI_GPU)
    )
    patch.setattr(
        state.AcceleratorState, "__init__", lambda self, *_, **kwargs: begin(self, **kwargs | {"cpu": False})
    )
    torch.distributed.init_process_group("gloo")


def zero(patch: Any) -> None:
    """Let accelerate start DeepSpeed on the CPU, which it takes for GPUs' only."""
    from accelerate import state
    from accelerate.utils import DistributedType

    begin = state.PartialState.__init__, state.AcceleratorState.__init__
    patch.setenv("ACCELERATE_TORCH_DEVICE", "cpu")
    patch.setattr(
        state.PartialState, "_prepare_backend", lambda *_, **__: ("gloo", DistributedType.MULTI_GPU)
    )
    patch.setattr(state.PartialState, "__init__", lambda self, cpu=False, **kwargs: begin[0](self, **kwargs))
    patch.setattr(
        state.AcceleratorState,
        "__init__",
        lambda self, *_, **kwargs: begin[1](self, **kwargs | {"cpu": False}),
    )


if __name__ == "__main__":
    words = sys.argv[1:]
    with pytest.MonkeyPatch.context() as patch:
        if not torch.cuda.is_available():
            if os.environ.get("ACCELERATE_USE_FSDP") == "true":
                spread(patch)
            if os.environ.get("ACCELERATE_USE_DEEPSPEED") == "true":
                zero(patch)
        if "--table" in words:
            at = words.index("--table")
            replay(json.loads(Path(words[at + 1]).read_text()), patch)
            words = ["grpo", *words[:at], *words[at + 2 :]]
        sys.argv = ["chexphi", *words]
        main()
