"""Every file of a run's folder: which stages write it, what it is, who reads it, whether it is patient data.

`docs/formats.md` has the same table, and a test compares the two. The README of each run's folder has the
rows of its own stage.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

TRAINING = ("sft", "grpo")
WITH_MODEL = (*TRAINING, "evaluate", "mine")
LOOPS = ("demo", "study")
ALL = (*WITH_MODEL, "sweep", "kg-train", "probe", *LOOPS)
"""Every stage that has a folder of its own, as its manifest names it."""


@dataclass(frozen=True, slots=True)
class RunFile:
    """A file, or a folder of files."""

    name: str
    """With `*` for any text."""
    stages: tuple[str, ...]
    meaning: str
    read_by: str = ""
    """Commands that read it."""
    patient_data: bool = False
    """Whether it may hold texts, answers or ids of patients."""
    setting: str = ""
    """The setting without which it is not written."""


FILES = (
    RunFile(
        "config.yaml",
        ALL,
        "the settings, as they came out of files and flags; TRL's under `trainer`",
        "`report`, `card`",
    ),
    RunFile(
        "manifest.json",
        ALL,
        "every start: command, versions, revision; hash of the data, seed, machine",
        "`report`, `card`",
        patient_data=True,
    ),
    RunFile("README.md", ALL, "what is in the folder; written once, add what you like"),
    RunFile(
        "run.lock",
        ALL,
        "the process that uses the folder; the lock is the operating system's, and ends with it",
    ),
    RunFile(
        "train.log",
        (*WITH_MODEL, "sweep", *LOOPS),
        "log lines: time, level, module, message; no text of a report, no patient",
    ),
    RunFile("metrics.jsonl", TRAINING, "figures of each logged step", "`report`"),
    RunFile(
        "completions.jsonl",
        ("grpo",),
        "what the policy wrote, each completion with its rewards",
        "`report`",
        patient_data=True,
    ),
    RunFile("diagnostics.jsonl", ("grpo",), "warnings, with their step", "`report`"),
    RunFile(
        "never_spread.json",
        ("grpo",),
        "prompts that taught nothing",
        patient_data=True,
        setting="dynamic_sample",
    ),
    RunFile(
        "checkpoint-*/",
        TRAINING,
        "the policy and the trainer's state at a step",
        "`sft`, `grpo` with `--resume`",
    ),
    RunFile(
        "model/",
        TRAINING,
        "the trained policy, with a card: it is there when the run has ended",
        "`evaluate`, `mine score`, `grpo`, `ask`, `card`",
    ),
    RunFile(
        "complete.json",
        TRAINING,
        "in `model/` and `checkpoint-*/`, written last: the folder is whole if its sizes agree",
        "`sft`, `grpo` with `--resume`",
    ),
    RunFile(
        "features/",
        WITH_MODEL,
        "films' features, for the run itself",
        patient_data=True,
        setting="cache_vision",
    ),
    RunFile(
        "predictions.jsonl",
        ("evaluate",),
        "each question with the answer and its graphs",
        "`compare`, `report`",
        patient_data=True,
    ),
    RunFile(
        "controls/",
        ("evaluate",),
        "the same with other films, `predictions.jsonl` in a folder for each control",
        "`compare`, `report`",
        patient_data=True,
        setting="controls",
    ),
    RunFile(
        "scored.jsonl",
        ("mine",),
        "how often each question was answered right",
        "`mine select`",
        patient_data=True,
    ),
    RunFile(
        "summary.json",
        ("evaluate", "mine", "sweep", "kg-train"),
        "the figures, as `--json` prints them; it is there when the run has ended",
        "`report`, `card`",
    ),
    RunFile("sweep.html", ("sweep",), "the table of the runs as a page"),
    RunFile("*.log", ("sweep", *LOOPS), "what each stage wrote to the terminal"),
    RunFile("*.yaml", LOOPS, "the settings of each stage, as its verb takes them after `--config`"),
    RunFile(
        "*/",
        ("sweep", *LOOPS),
        "the folder of each run, with a README of its own",
        "`report`",
        patient_data=True,
    ),
    RunFile("results.json", LOOPS, "the figures of all arms and their differences"),
    RunFile("report.html", LOOPS, "all figures, curves and films on one page", patient_data=True),
    RunFile("probe.json", ("probe",), "what cheating pays"),
    RunFile("probe.html", ("probe",), "the same as a page"),
    RunFile(
        "run_entity/",
        ("kg-train",),
        "the network of spans, with its `metrics.jsonl`",
        "`--extractor rexkg:FOLDER`",
    ),
    RunFile(
        "run_relation/",
        ("kg-train",),
        "the network of relations, with its `metrics.jsonl`",
        "`--extractor rexkg:FOLDER`",
    ),
    RunFile("BiomedNLP/", ("kg-train",), "the tokenizer of both", "`--extractor rexkg:FOLDER`"),
)
"""In the order of the table."""


def files_of(stage: str, config: Mapping[str, Any]) -> list[RunFile]:
    """The files that a stage with these settings has, or will have.

    >>> [file.name for file in files_of("grpo", {})][-2:]
    ['model/', 'complete.json']
    """
    return [file for file in FILES if stage in file.stages and (not file.setting or config.get(file.setting))]
