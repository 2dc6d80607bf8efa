"""A run's files in Python: `chexphi.load(FOLDER)` gives its rows as data frames, one row a record."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chexphi.evaluation.predictions import check_first, read_predictions
from chexphi.evaluation.scored_predictions import graph_match
from chexphi.files import LINE_ADVICE, read_json, similar_names
from chexphi.installation import install_line
from chexphi.mining.scored_row import ScoredRow
from chexphi.number_text import counted
from chexphi.runs import jsonl
from chexphi.schema import Completion, InputError, Prediction
from chexphi.training import completions
from chexphi.yaml_files import parse_yaml

if TYPE_CHECKING:
    import pandas

NAMES = ("predictions", "completions", "metrics", "scored")
"""The frames of a run; each is `NAME.jsonl` in its folder."""
TYPES = {
    "int64": ("step",),
    "Int64": ("reasoning_words",),
    "boolean": (
        *("is_correct", "correct_clinical", "correct_no_format_gate", "correct_substring", "opened_think"),
        *("truncated", "kept"),
    ),
    "string": (
        *("id", "prompt", "completion", "question", "explanation", "generated_text", "parse_status", "kind"),
        *("question_type", "semantic_type", "subject_id", "predicted_answer", "consistency"),
        "film_control",
    ),
    "object": (
        *("image_ids", "answer", "image_paths", "generated_tokens", "token_ids", "token_logprobs", "extra"),
        *("token_probabilities", "graph_reference", "graph_predicted", "scene_counts", "correct"),
        *(
            "clinical",
            "graph",
            "answer_probabilities",
            "present_findings",
            "raw_completion_tokens",
            "per_token_logps",
        ),
    ),
}
"""Type in pandas -> its columns; `object` are lists and objects. All other columns are numbers."""
TYPE_OF_COLUMN = {column: dtype for dtype, columns in TYPES.items() for column in columns}


@dataclass(frozen=True)
class Run:
    """A run, or a file of predictions. Frames hold patients' texts where the data do; `repr` does not.

    A frame is read when it is first asked for. To see what a run has written since then, load it again.
    """

    folder: Path
    kind: str
    """The stage: `sft`, `grpo`, `evaluate`, `mine`, …; `predictions` without a manifest."""
    config: Mapping[str, Any] = field(repr=False)
    """Its settings, from `config.yaml`."""
    manifest: Mapping[str, Any] = field(repr=False)
    """What was run, on what and with what, from `manifest.json`."""
    files: Mapping[str, Path] = field(repr=False)
    """The file of each frame that there is."""

    @property
    def summary(self) -> Mapping[str, Any] | None:
        """The figures of `summary.json`; None while the run has not written them."""
        path = self.folder / "summary.json"
        summary = read_json(path, nan=True) if path.is_file() else None
        if summary is not None and not isinstance(summary, dict):
            raise InputError(f"{path} is not a JSON object: copy it again")
        return summary

    @functools.cached_property
    def predictions(self) -> pandas.DataFrame:
        """`predictions.jsonl`: an evaluated example a row, with its `graph_f1`."""
        rows = read_predictions(self._file("predictions"), allow_torn_tail=True)
        names = [*Prediction.__dataclass_fields__, "graph_f1"]
        return frame(map(prediction_row, rows), "predictions", names)

    @functools.cached_property
    def completions(self) -> pandas.DataFrame:
        """`completions.jsonl`: a sampled completion a row; each reward is a column `rewards/NAME`."""
        rows = completions.read(self._file("completions"))
        names = [name for name in Completion.__dataclass_fields__ if name not in ("rewards", "schema")]
        return frame(map(completion_row, rows), "completions", names)

    @functools.cached_property
    def metrics(self) -> pandas.DataFrame:
        """`metrics.jsonl`: a logged step a row; a figure without a value is NaN."""
        return frame(jsonl.read(self._file("metrics"), nan=True, growing=True), "metrics", ["step"])

    @functools.cached_property
    def scored(self) -> pandas.DataFrame:
        """`scored.jsonl`: a question of the pool a row, with the share of right samples as `accuracy`."""
        names = [*ScoredRow.__dataclass_fields__, "accuracy"]
        return frame(scored_rows(self._file("scored")), "scored", names)

    def _file(self, name: str) -> Path:
        if name not in self.files:
            there = ", ".join(self.files) or "no rows yet"
            raise InputError(
                f"run {self.folder} ({self.kind}) has no {name}.jsonl: load a run that wrote it; "
                f"this one has {there}"
            )
        return self.files[name]

    def __repr__(self) -> str:
        counts = (f"{name} ({counted(jsonl.line_count(path), 'row')})" for name, path in self.files.items())
        return f"Run({str(self.folder)!r}, {self.kind}: {', '.join(counts) or 'no rows yet'})"


def load(path: str | os.PathLike[str]) -> Run:
    """Open a run to look at its rows; the run may still be going on.

    >>> run = chexphi.load("runs/grpo")  # doctest: +SKIP
    >>> run  # doctest: +SKIP
    Run('runs/grpo', grpo: completions (1,600 rows), metrics (200 rows))
    >>> run.completions.groupby("step")["rewards/external_kg_jac"].mean()  # doctest: +SKIP

    Args:
        path: The folder of a run, or a file of predictions.

    Raises:
        InputError: If it is neither; the message says what is there. If one of its files is damaged:
            the rows after the first are read, and refused, when their frame is asked for.
    """
    folder = Path(path)
    if folder.is_file():
        check_first(folder)
        return Run(folder.parent, "predictions", {}, {}, {"predictions": folder})
    files = {name: folder / f"{name}.jsonl" for name in NAMES if (folder / f"{name}.jsonl").is_file()}
    manifest_path, config_path = folder / "manifest.json", folder / "config.yaml"
    if manifest_path.is_file():
        manifest = read_json(manifest_path)
        config = parse_yaml(config_path.read_bytes(), str(config_path)) if config_path.is_file() else {}
        if isinstance(manifest, dict) and isinstance(config, dict):
            return Run(folder, str(manifest.get("stage", "run")), config, manifest, files)
        raise InputError(f"run {folder} has a manifest or settings of another form: copy the run again")
    if "predictions" in files:
        return Run(folder, "predictions", {}, {}, files)
    raise InputError(not_a_run(folder))


def not_a_run(folder: Path) -> str:
    """Why a folder cannot be loaded, and what can."""
    if not folder.exists():
        similar = similar_names(folder)
        return f"run {folder} does not exist{similar}: give the folder of a run, or a file of predictions"
    inside = sorted(manifest.parent.name for manifest in folder.glob("*/manifest.json"))
    if inside:
        return f"{folder} is no run itself and holds several: load one of them, such as {folder / inside[0]}"
    return f"{folder} is not a run: it has no manifest.json; give the folder that a stage wrote with --out"


def prediction_row(prediction: Prediction) -> dict[str, Any]:
    """The fields of a prediction, and the F1 of its graph."""
    match = graph_match(prediction)
    row = {name: getattr(prediction, name) for name in Prediction.__dataclass_fields__}
    return row | {"subject_id": str(prediction.subject_id), "graph_f1": match.f1 if match else None}


def completion_row(completion: Completion) -> dict[str, Any]:
    """The fields of a completion, each reward under a name of its own."""
    row = completion.to_dict()
    rewards = row.pop("rewards")
    del row["schema"]
    return row | {f"rewards/{name}": value for name, value in rewards.items()}


def scored_rows(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of a `scored.jsonl`."""
    for row in map(ScoredRow.from_dict, jsonl.read(path, growing=True)):
        yield {**row.to_dict(), "accuracy": row.accuracy}


def frame(rows: Iterable[Mapping[str, Any]], name: str, names: Iterable[str]) -> pandas.DataFrame:
    """Rows as a data frame with typed columns: those of `names` always, others in the order they come.

    Raises:
        InputError: If pandas is not installed, or a column holds a value of another type.
    """
    try:
        import pandas
    except ImportError:
        raise InputError(f"data frames need pandas: {install_line('train')}") from None
    records = list(rows)
    columns = dict.fromkeys([*names, *(key for record in records for key in record)])
    values: dict[str, Any] = {}
    for column in columns:
        dtype = TYPE_OF_COLUMN.get(column, "float64")
        try:
            values[column] = pandas.Series([record.get(column) for record in records], dtype=dtype)
        except (TypeError, ValueError):
            raise InputError(f"{name}.jsonl has a {column} that is no {dtype}: {LINE_ADVICE}") from None
    return pandas.DataFrame(values)
