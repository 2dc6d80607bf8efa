"""A grid of GRPO runs, several at a time, each a `chexphi grpo` of its own: `chexphi sweep`.

All files and all settings of all runs are checked first. A run that is killed or fails is tried again, from
its checkpoint where it has one. The sweep itself can be killed at any time, and continues with `--resume`.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

from chexphi import config, field_values, ranges
from chexphi.files import read_object, similar_names
from chexphi.models import policy_folder
from chexphi.runs import manifest, run_folder
from chexphi.runs.stop import STOP
from chexphi.schema import Example, InputError, shown
from chexphi.sweep import grid as grids
from chexphi.sweep import trials
from chexphi.sweep.engines import Engine, Local, OnRay
from chexphi.sweep.grid import Trial
from chexphi.sweep.loop import Record, Run, run_all, write_summary
from chexphi.sweep.sweep_recipe import RANGES, SweepRecipe
from chexphi.training import grpo, grpo_checks, trainer_settings
from chexphi.training.grpo_recipe import GRPORecipe
from chexphi.training.preflight import refused

KINDS = (GRPORecipe, trainer_settings.fields_of_trl("GRPOConfig"))
FIXED_FIELDS = ("configs", "model", "data", "settings")
"""Fields that a resumed sweep must not change; the grid may get more values."""
RUNS_SAVE = "the runs save first, and --resume auto goes on; a second one ends at once"


def plan(recipe: SweepRecipe) -> list[tuple[Trial, Any]]:
    """The runs of the grid with TRL's settings; the model and data of each are checked, without torch.

    Raises:
        InputError: For the first problem that a run could not start with.
    """
    check_recipe(recipe)
    settings = field_values.check_values(dict(recipe.settings), KINDS, "sweep: settings")
    if misplaced := next(
        (key for key in settings if key in (*grids.RESERVED_SETTINGS, "model", "data")), None
    ):
        raise InputError(f"sweep: settings has {shown(misplaced)}, which does not belong there: leave it out")
    common_settings = {"model": recipe.model, **settings} if recipe.model else settings
    common_names = [*common_settings, *(["data"] if recipe.data else [])]
    grid = grids.read_grid(recipe.grid, recipe.data, common_names, KINDS)
    trials_of_grid = grids.trials(
        recipe.configs, grid, recipe.data, common_settings, [*field_values.fields_of(KINDS)]
    )
    pools: dict[tuple[Any, ...], list[Example]] = {}
    return [(trial, read_trial_settings(trial, pools)) for trial in trials_of_grid]


def check_recipe(recipe: SweepRecipe) -> None:
    """Refuse invalid settings of the sweep itself."""
    if recipe.engine not in ("local", "ray"):
        raise InputError(f"sweep: engine is {shown(recipe.engine)}: use local or ray")
    ranges.check(vars(recipe), RANGES, "sweep")


def read_trial_settings(trial: Trial, pools: dict[tuple[Any, ...], list[Example]]) -> Any:
    """Read the settings of a run as the run itself will, and check its files; `pools` caches the examples."""
    with _named(trial):
        recipe, args = grpo.parse([*trial.words, "--out", trial.name])
        grpo_checks.check_settings(recipe, args)
        policy_folder.locate(Path(recipe.model))
        if missing := next((file for file in (recipe.data, *recipe.pools) if not Path(file).exists()), None):
            raise InputError(
                f"data {missing} does not exist{similar_names(missing)}: make it, or correct data and the "
                "grid"
            )
        files = (recipe.data, tuple(recipe.pools), recipe.image_root, recipe.limit)
        if files not in pools:
            pools[files] = grpo_checks.read_pools(recipe)
        grpo_checks.check_examples(recipe, args, pools[files])
    return args


def check_with_libraries(planned: Sequence[tuple[Trial, Any]]) -> None:
    """Refuse what torch and TRL do not accept of the settings of a run.

    Raises:
        InputError: For the first such run.
    """
    for trial, settings in planned:
        with _named(trial):
            refused.check(trainer_settings.config(settings, "grpo"), "grpo")


@contextmanager
def _named(trial: Trial) -> Iterator[None]:
    """For a block that checks a run: its errors name the run."""
    try:
        yield
    except (InputError, ValueError) as error:
        raise InputError(f"sweep: run {trial.name}: {' '.join(str(error).split())}") from None


def main(recipe: SweepRecipe) -> dict[str, Any]:
    """Carry out a sweep; returns what is also in `summary.json`, or the commands of a dry run.

    Raises:
        InputError: For invalid settings, files or folders, before anything starts.
        SystemExit: With code 75 if SIGTERM, SIGHUP or Ctrl-C ended it.
    """
    folder = Path(recipe.out) if recipe.out else run_folder.default_folder("sweep")
    if not recipe.dry_run:
        run_folder.check_folder(folder, resume=recipe.resume, overwrite=recipe.overwrite)
    planned = plan(recipe)
    check_with_libraries(planned)
    if recipe.dry_run:
        words = (
            ["chexphi", "grpo", *trial.words, "--out", str(run_folder.default_folder(trial.name, folder))]
            for trial, _ in planned
        )
        return {"out": str(folder), "commands": [shlex.join(line) for line in words]}
    from chexphi.report.sweep import page  # it needs plotly: known before the first run

    hashes = {file: run_folder.sha256(Path(file)) for file in recipe.configs}
    if run_folder.resumes_run(folder, recipe.resume):
        check_same_settings(folder, recipe, hashes)
    with redirect_stdout(sys.stderr):  # where Ray would print the messages of its machines
        engine = open_engine(recipe)
        try:
            out = run_folder.open_run(folder, resume=recipe.resume, overwrite=recipe.overwrite)
            run_folder.log_to(out)
            settings = run_folder.yaml_values(recipe)
            manifest.write(out, config=settings, data=None, seed=0, stage="sweep", configs_sha256=hashes)
            return run_and_summarize(out, engine, open_records(out, planned, retries=recipe.retries), page)
        finally:
            engine.close()


def run_and_summarize(
    out: Path, engine: Engine, todo: Sequence[Run], write_page: Callable[[dict[str, Any], Path], object]
) -> dict[str, Any]:
    """Carry out the runs; `summary.json` and the page are written in any case."""
    try:
        with STOP.keeping(RUNS_SAVE):  # after Ray, which sets a handler of its own
            run_all(todo, engine, out)
    finally:
        summary = write_summary(out, todo)
        write_page(summary, out / "sweep.html")
    return summary


def open_engine(recipe: SweepRecipe) -> Engine:
    """Open the engine that the recipe names."""
    if recipe.engine == "local":
        return Local(recipe.workers or 1)
    return OnRay(recipe.address, workers=recipe.workers, num_cpus=recipe.num_cpus, num_gpus=recipe.num_gpus)


def check_same_settings(folder: Path, recipe: SweepRecipe, hashes: Mapping[str, str]) -> None:
    """Refuse to continue a sweep whose runs would get other settings than before.

    Raises:
        InputError: If so; the message lists what changed.
    """
    earlier, current = config.read_yaml(folder / "config.yaml"), run_folder.yaml_values(recipe)
    differences = [key for key in FIXED_FIELDS if earlier.get(key) != current[key]]
    earlier_hashes = read_object(folder / "manifest.json").get("configs_sha256", {})
    differences += [
        file for file in hashes if file in earlier_hashes and earlier_hashes[file] != hashes[file]
    ]
    if differences:
        raise InputError(
            f"sweep: {folder} was started with other {', '.join(differences)}: choose another --out"
        )


def _earlier_tries(path: Path) -> dict[str, dict[str, Any]]:
    """The tries of each run by name, from the summary of an earlier sweep in this folder.

    Raises:
        InputError: If the file is not such a summary.
    """
    try:
        return {
            str(row["name"]): {key: row[key] for key in ("tries", "exit_code", "seconds")}
            for row in read_object(path)["runs"]
        }
    except (KeyError, TypeError):
        raise InputError(f"sweep: {path} is not a sweep's summary: choose another --out") from None


def open_records(out: Path, planned: Sequence[tuple[Trial, Any]], *, retries: int) -> list[Run]:
    """The runs for the loop, with the tries of an earlier sweep in this folder."""
    path = out / "summary.json"
    tries_of_run = _earlier_tries(path) if path.is_file() else {}
    runs = []
    for trial, args in planned:
        record = Record(trial.name, trial.values, **tries_of_run.get(trial.name, {}))
        run = Run(trial, args.max_steps, args.num_train_epochs, record, tries_left=retries + 1)
        if trial_dir := trials.folder_of(out, trial.name):
            record.set_folder(trial_dir)
            run.record_metrics()
        runs.append(run)
    return runs
