"""The `README.md` of a run's folder: what it is, its files, how to go on, what must not be shared."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from chexphi.runs.commands import LAUNCHER, resume_command
from chexphi.runs.run_files import LOOPS, TRAINING, WITH_MODEL, RunFile, files_of

NAME = "README.md"
TITLES = {
    "sft": "Supervised fine-tuning",
    "grpo": "GRPO training",
    "evaluate": "Evaluation",
    "mine": "Scored pool",
    "sweep": "Sweep of GRPO runs",
    "kg-train": "Neural extractor of graphs",
    "probe": "What cheating pays",
    "demo": "Demo on drawn films",
    "study": "Study on drawn films",
}
"""Stage -> heading."""
FLAGS = {"kg-train": "--resume"}
"""Stage -> the flag that goes on with it, where it is a switch."""
_TEST = "chexphi evaluate --model RUN/model --data TEST --out NEW_RUN"
NEXT_COMMANDS: Mapping[str, Sequence[tuple[str, str]]] = {
    "sft": (
        ("test the policy", _TEST),
        (
            "find what it gets right only sometimes",
            "chexphi mine score --model RUN/model --data POOL --out NEW_RUN",
        ),
    ),
    "grpo": (("test the policy", _TEST), ("see the curves", "chexphi report RUN --out FILE.html")),
    "evaluate": (
        ("compare with another evaluation of the same examples", "chexphi compare OTHER_RUN RUN"),
        ("see figures, films and graphs", "chexphi report RUN --out FILE.html"),
        ("write the figures on the model's card", "chexphi card MODEL RUN"),
    ),
    "mine": (("choose what to train on", "chexphi mine select RUN POOL --number 1000 --out FILE.json"),),
    "sweep": (("see the curves of all runs", "chexphi report RUN --out FILE.html"),),
    "kg-train": (("read graphs with it", "chexphi kg extract FILE --extractor rexkg:RUN --out FILE.jsonl"),),
    "demo": (("write the page again", "chexphi report RUN --out FILE.html"),),
}
"""Stage -> what can be done with its result, and the command for it."""


def text(stage: str, start: Mapping[str, Any], config: Mapping[str, Any], run: Path = Path("RUN")) -> str:
    """The page of a run's folder.

    Args:
        stage: As the manifest names it.
        start: The run's first start.
        config: The settings, which decide what files there are.
        run: The folder, as the command that goes on names it where the first one does not.
    """
    files = files_of(stage, config)
    sections = [
        f"# {TITLES[stage]}",
        f"This folder was made on {str(start.get('started'))[:10]} by this command:",
        _block(shlex.join(map(str, start.get("command") or ()))),
        "`RUN` below is the path of this folder. `chexphi` is the command line of CheX-Phi4MM; its docs have "
        "every field of these files on the page Formats.",
        _table(files),
        "## How to go on",
        *_resuming(stage, start, run),
        *(f"To {purpose}:\n\n{_block(command)}" for purpose, command in NEXT_COMMANDS.get(stage, ())),
        "## What must not be shared",
        _sharing(stage, files),
    ]
    return "\n\n".join(sections) + "\n"


def _resuming(stage: str, start: Mapping[str, Any], run: Path) -> list[str]:
    """The command that goes on with a stopped run; nothing for a stage that cannot."""
    count = start.get("processes")
    flag = FLAGS.get(stage, "--resume auto")
    command = resume_command(start.get("command"), run, flag=flag, process_count=count)
    if command is None or stage not in (*WITH_MODEL, *LOOPS, "sweep", "kg-train"):
        return []
    launcher = f" `{LAUNCHER}` is what starts {count} processes." if command.startswith(LAUNCHER) else ""
    return [f"Stopped before its end? This goes on:{launcher}\n\n{_block(command)}"]


def _block(command: str) -> str:
    return f"```\n{command}\n```"


def _table(files: Sequence[RunFile]) -> str:
    rows = ["| file | what it is | read by |", "|---|---|---|"]
    rows += [f"| `{file.name}` | {file.meaning} | {file.read_by} |" for file in files]
    return "\n".join(rows)


def _sharing(stage: str, files: Sequence[RunFile]) -> str:
    names = [f"`{file.name}`" for file in files if file.patient_data]
    sentences = ["`config.yaml`, `manifest.json` and this page name paths of the machine that made them."]
    if stage in LOOPS:
        return f"The films are drawn: nothing here is of a patient. {sentences[0]}"
    if names:
        sentences.insert(
            0,
            f"{_listed(names)} may hold texts, answers or ids of patients, if the data are of patients: "
            "share them only where the agreement of the data allows it.",
        )
    if stage in TRAINING:
        sentences.append(
            "To share the policy, share `model/` alone; it learned from the data, so their agreement holds "
            "for it too. If it is an adapter, its `adapter_config.json` names a path as well: write the "
            "public name of the base there."
        )
    return " ".join(sentences)


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
