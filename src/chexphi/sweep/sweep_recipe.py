"""The settings of `chexphi sweep`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from chexphi import config
from chexphi.ranges import COUNT_OR_NONE, PROCESSES, Range
from chexphi.runs import run_folder

RANGES = {
    "workers": PROCESSES,
    "retries": COUNT_OR_NONE,
    "num_cpus": Range(0, 1024, excluded="minimum"),
    "num_gpus": Range(0, 1, note="a run is one process"),
}


@dataclass
class SweepRecipe:
    """A grid of GRPO runs, each a process of its own; a table, summary.json and sweep.html at the end."""

    configs: list[str] = field(
        default_factory=list, metadata={"help": "YAML files of grpo, for every run; later over earlier"}
    )
    model: str = field(default="", metadata={"help": "folder of the policy, for every run"})
    data: str = field(default="", metadata={"help": "examples; {names} in it are keys of the grid"})
    settings: dict[str, Any] = field(
        default_factory=dict, metadata={"help": "more settings of grpo, for every run (in YAML)"}
    )
    grid: dict[str, Any] = field(
        default_factory=dict, metadata={"help": "settings of grpo, each with a list of values (in YAML)"}
    )
    out: str | None = field(default=None, metadata={"help": "run folder (default runs/<timestamp>_sweep)"})
    engine: str = field(default="local", metadata={"help": "local or ray"})
    workers: int | None = field(
        default=None, metadata={"help": "runs at a time (default: local one, ray what the cluster holds)"}
    )
    retries: int = field(default=2, metadata={"help": "more tries for a run that fails"})
    address: str = field(
        default="", metadata={"help": "ray: of the cluster (default: this machine's, else a new one)"}
    )
    num_cpus: float = field(default=1.0, metadata={"help": "ray: CPUs of a run"})
    num_gpus: float | None = field(
        default=None, metadata={"help": "ray: GPUs of a run (default: one where the cluster has some)"}
    )
    dry_run: bool = field(default=False, metadata={"help": "check all, print the commands, start nothing"})
    resume: run_folder.Resume = field(
        default=False, metadata={"help": "go on with the sweep in --out; auto: or begin one"}
    )
    overwrite: bool = field(default=False, metadata={"help": "replace the sweep in --out"})


def parse(argv: Sequence[str]) -> SweepRecipe:
    """Read the recipe from the command line."""
    return config.parse(argv, SweepRecipe, prog="chexphi sweep", number_ranges=RANGES)[0]
