"""The state of a run, read from its folder while it is written, before it exists, and after it has ended."""

from __future__ import annotations

import contextlib
import datetime
import re
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from chexphi.evaluation.film_controls.names import answer_files
from chexphi.files import read_object
from chexphi.runs import run_lock
from chexphi.runs.commands import resume_command
from chexphi.runs.metric_figures import RUN_SECONDS, TOTAL_STEPS, finite, seconds_left, series
from chexphi.schema import InputError
from chexphi.watch.growing_files import GrowingFiles
from chexphi.watch.states import LAST_FILES, LOOPS, OVER, ROW_FILES, Activity, LogLine, RunState

FOLLOWED = ("sft", "grpo", *ROW_FILES, *LOOPS)
"""Stages whose runs can be followed."""
LOG_LINES = 5
"""Of `train.log` that are shown."""
_LOG_LINE = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d),\d+ ([A-Z]+) chexphi\S*: (.*)")
_STOP_LINE = re.compile(r"(SIGTERM|SIGHUP|Ctrl-C): ")
NO_MESSAGE = (
    "its process is gone without a message: it was killed, the machine ran out of memory, or an earlier "
    "version was asked to stop"
)
FILMS = "data"
"""The stage of a loop that draws the films, which has no run folder."""


def state_of(run: Path, files: GrowingFiles | None = None) -> RunState:
    """The state of the run in a folder; a folder that does not exist yet is waited for.

    Args:
        run: The run's folder.
        files: What was read before, so that only new lines are read.
    """
    files = files or GrowingFiles()
    try:
        manifest = read_object(run / "manifest.json")
    except (InputError, OSError):  # not there yet
        _check_permission(run)
        return RunState(str(run))
    stage = str(manifest.get("stage"))
    log = files.lines(run / "train.log", _log_line)
    if stage in LOOPS:
        state = _loop(run, manifest, files)
    elif stage in ROW_FILES:
        state = _rows(run, stage, manifest, files)
    else:
        state = _training(run, files)
    activity, reason = _activity(run, stage, _since(log, manifest), state)
    is_over = activity in OVER
    return RunState(
        **{name: getattr(state, name) for name in ("done", "total", "unit", "figures", "curves", "stages")},
        folder=str(run),
        stage=stage,
        activity=activity,
        seconds_left=state.seconds_left if activity == "running" else None,
        log=log[-LOG_LINES:],
        reason=reason,
        resume=_resume_command(run, manifest) if is_over else None,
    )


def _check_permission(run: Path) -> None:
    """Refuse a folder that would be waited for in vain.

    Raises:
        InputError: If the user may not read what is in it.
    """
    try:
        (run / "manifest.json").open("rb").close()
    except PermissionError:
        raise InputError(
            f"you may not read {run}: ask its owner for permission, or watch as the user who started the run"
        ) from None
    except OSError:
        return


def _resume_command(run: Path, manifest: Mapping[str, Any]) -> str | None:
    return resume_command(manifest.get("command"), run, process_count=manifest.get("processes"))


def _activity(run: Path, stage: str, log: Sequence[LogLine], state: RunState) -> tuple[Activity, str | None]:
    """Whether the run goes on, and else how it came to its end."""
    if run_lock.is_locked(run):
        return "running", None
    if stage == "sweep" and state.total is not None and state.done == state.total:
        return "ended", None
    has_result = stage in LAST_FILES and (run / LAST_FILES[stage]).is_file()
    if has_result and stage not in LOOPS:
        return "ended", None
    if stops := [line for line in log if _STOP_LINE.match(line.message)]:
        return "stopped", stops[0].message
    if errors := [line for line in log if line.level == "ERROR"]:
        return "crashed", errors[-1].message
    if crashed := next((one for one in state.stages if one.activity == "crashed"), None):
        return "crashed", f"{crashed.folder}: {crashed.reason}"
    if has_result and not any(one.activity in OVER for one in state.stages):  # else of an earlier start
        return "ended", None
    return "gone", NO_MESSAGE


def _training(run: Path, files: GrowingFiles) -> RunState:
    rows = files.rows(run / "metrics.jsonl", _compact)
    curves: dict[str, list[float]] = {}
    for row in rows:
        for name, value in row["figures"].items():
            curves.setdefault(name, []).append(value)
    totals = [row[TOTAL_STEPS] for row in rows if row.get(TOTAL_STEPS) is not None]
    return RunState(
        str(run),
        done=max((row["step"] for row in rows), default=0),
        total=int(totals[-1]) if totals else None,
        seconds_left=seconds_left(newest_start(rows)),
        figures={name: values[-1] for name, values in curves.items()},
        curves=curves,
    )


def _compact(row: dict[str, Any]) -> dict[str, Any] | None:
    """What is kept of a row of `metrics.jsonl`."""
    if (step := finite(row, "step")) is None:
        return None
    kept_keys = {key: finite(row, key) for key in (RUN_SECONDS, TOTAL_STEPS)}
    return {"step": int(step), "figures": series(row), **kept_keys}


def newest_start(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows since training began or went on, which is where their seconds begin again."""
    timed = [row for row in rows if row[RUN_SECONDS] is not None]
    begin = 0
    for number in range(1, len(timed)):
        if timed[number][RUN_SECONDS] < timed[number - 1][RUN_SECONDS]:
            begin = number
    return timed[begin:]


def _rows(run: Path, stage: str, manifest: Mapping[str, Any], files: GrowingFiles) -> RunState:
    """A stage that answers questions: how many, and the share of right answers with the films themselves."""
    paths = answer_files(run, ROW_FILES[stage])
    right_shares = [share for path in paths for share in files.rows(path, _right_share)]
    own_shares = [share for path in paths if path.parent == run for share in files.rows(path, _right_share)]
    total = manifest.get("answers", manifest.get("examples"))
    seconds = None
    if paths and right_shares and isinstance(total, int) and len(manifest.get("starts") or [0]) == 1:
        written = max(path.stat().st_mtime for path in paths)
        seconds = (written - _started(manifest).timestamp()) / len(right_shares) * (total - len(right_shares))
    figures = {"accuracy": statistics.fmean(own_shares)} if own_shares else {}
    return RunState(
        str(run),
        done=len(right_shares),
        total=total if isinstance(total, int) else None,
        unit="questions",
        seconds_left=seconds,
        figures=figures,
    )


def _right_share(row: dict[str, Any]) -> float | None:
    """The share of right answers to a question: of one answer, or of the samples of `mine score`."""
    answers = row.get("correct") or [float(bool(row.get("is_correct")))]
    try:
        return statistics.fmean(float(answer) for answer in answers)
    except (TypeError, ValueError):  # a damaged row is passed over
        return None


def _loop(run: Path, manifest: Mapping[str, Any], files: GrowingFiles) -> RunState:
    """A stage of stages: those that have begun, those to come if they are known, and how many have ended."""
    folders = [path.parent for pattern in ("*", "*/*") for path in run.glob(f"{pattern}/manifest.json")]
    states = [state_of(folder, files) for folder in sorted(folders, key=_begin)]
    states = [state for state in states if state.stage in FOLLOWED]
    try:
        total = len(read_object(run / "summary.json")["runs"])
    except (InputError, OSError, KeyError, TypeError):
        total = None
    names = manifest.get("stages")
    if isinstance(names, list) and names:
        run_folders = {Path(state.folder) for state in states}
        without_run = [_to_come(run / str(name), run) for name in names if run / str(name) not in run_folders]
        states = [state for state in without_run if state.stage] + states  # films first
        states += [state for state in without_run if not state.stage]
        total = len(names)
    ended = sum(state.activity == "ended" for state in states)
    return RunState(str(run), done=ended, total=total, unit="stages", stages=tuple(states))


def _to_come(folder: Path, run: Path) -> RunState:
    """A stage of a loop that has no run folder yet; the loop writes its settings when it starts it."""
    is_running = run_lock.is_locked(run)
    if folder.name == FILMS:
        return _films(folder, is_running=is_running)
    starts = folder.with_suffix(".yaml").exists() and is_running
    return RunState(str(folder), activity="starting" if starts else "waiting")


def _films(folder: Path, *, is_running: bool) -> RunState:
    """The films of a loop: drawn into a folder beside their own, which gets its name when all are there."""
    if (folder / "phantom.json").exists():
        return RunState(str(folder), stage="films", activity="ended", unit="films")
    part_folder = folder.with_name(f"{folder.name}.part")
    if not (is_running and part_folder.exists()):
        return RunState(str(folder))
    film_count = 0
    with contextlib.suppress(OSError):  # it gets its name while they are counted
        film_count = sum(1 for _ in part_folder.rglob("*.png"))
    return RunState(str(folder), stage="films", activity="running", done=film_count, unit="films")


def _begin(folder: Path) -> tuple[float, str]:
    """When the settings of a stage were written first, and its name."""
    for path in (folder.with_suffix(".yaml"), folder / "config.yaml"):
        with contextlib.suppress(OSError):
            return path.stat().st_mtime, folder.name
    return 0.0, folder.name  # settings that were lost


def _log_line(line: bytes) -> LogLine | None:
    match = _LOG_LINE.fullmatch(line.decode("utf-8", "replace"))
    return LogLine(*match.groups()) if match else None


def _started(manifest: Mapping[str, Any]) -> datetime.datetime:
    try:
        return datetime.datetime.fromisoformat(str(manifest.get("started")))
    except ValueError:  # of another program
        return datetime.datetime.fromtimestamp(0).astimezone()


def _since(log: Sequence[LogLine], manifest: Mapping[str, Any]) -> list[LogLine]:
    """The lines of the newest start; the log has the time of the machine that ran it, as the manifest has."""
    begin = _started(manifest).strftime("%Y-%m-%d %H:%M:%S")
    return [line for line in log if line.time >= begin]
