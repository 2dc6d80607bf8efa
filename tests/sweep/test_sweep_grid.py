"""The grid: every combination once, a folder and a command each, and what cannot be is refused in words."""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chexphi import field_values
from chexphi.mining.select import SELECTIONS
from chexphi.schema import InputError
from chexphi.sweep import grid as grids
from chexphi.sweep import run, sweep_recipe, trials
from chexphi.training import generation_batch, grpo

ROOT = Path(__file__).parents[2]
DATA = "d/{policy}/{size}.json"
PLACES = {"policy": ["uniform", "random"], "size": [6, 12]}

numbers = st.lists(st.floats(1e-8, 1.0), min_size=1, max_size=4, unique=True)
words = st.lists(st.text("abcxyz_0123456789", min_size=1, max_size=8), min_size=1, max_size=3, unique=True)


@given(numbers, st.lists(st.integers(0, 99), min_size=1, max_size=4, unique=True), words)
def test_every_combination_has_one_folder_and_a_command_that_means_it(
    rates: list[float], seeds: list[int], policies: list[str]
) -> None:
    raw = {"learning_rate": rates, "seed": seeds, "policy": policies}
    grid = grids.read_grid(raw, "d/{policy}.json", ["model"], run.KINDS)
    known = list(field_values.fields_of(run.KINDS))
    found = grids.trials(["base.yaml"], grid, "d/{policy}.json", {"model": "m m"}, known)
    assert len({trial.name for trial in found}) == len(rates) * len(seeds) * len(policies)
    read = []
    for trial in found:
        assert trial.name == Path(trial.name).name
        given_words = shlex.split(shlex.join(trial.words))
        pairs = dict(zip(given_words[::2], given_words[1::2], strict=True))
        assert (pairs["--config"], pairs["--model"]) == ("base.yaml", "m m")
        assert "--policy" not in pairs
        read.append((float(pairs["--learning_rate"]), int(pairs["--seed"]), pairs["--data"]))
    data = [f"d/{policy}.json" for policy in policies]
    assert read == list(itertools.product(rates, seeds, data))


def test_a_name_stays_when_the_grid_gets_more_values() -> None:
    small, large = ({"beta": [0.5], "seed": seeds} for seeds in ([0], [0, 1]))
    names = [{grids.name_of(values) for values in grids.expand(grid)} for grid in (small, large)]
    assert names[0] < names[1]


@pytest.mark.parametrize(
    ("grid", "message"),
    [
        ({}, "the grid is empty"),
        (
            {**PLACES, "learning_rates": [1e-6]},
            "'learning_rates' is not a setting of grpo, and data (d/{policy}/{size}.json) has no",
        ),
        ({**PLACES, "learning_rates": [1e-6]}, "{learning_rates}: did you mean learning_rate"),
        ({**PLACES, "zzz": [1]}, "has no {zzz}: `chexphi grpo --help`"),
        ({**PLACES, "sizes": [6]}, "has no {sizes}: did you mean size"),
        ({"policy": ["uniform"]}, "the grid has no key 'size'"),
        ({**PLACES, "seed": []}, "'seed' is []: give a list of at least one"),
        ({**PLACES, "seed": 3}, "'seed' is 3: give a list"),
        ({**PLACES, "seed": "0"}, "'seed' is '0': give a list"),
        ({**PLACES, "seed": [0, 1, 0]}, "'seed' has 0 twice"),
        ({**PLACES, "learning_rate": [4e-6, "4.0e-6"]}, "'learning_rate' has 4e-06 twice"),
        ({**PLACES, "size": [6, "6"]}, "'size' has 6 twice"),
        ({**PLACES, "beta": ["much"]}, "beta is 'much', which is not float"),
        ({**PLACES, "beta": [True]}, "beta is True"),
        ({**PLACES, "beta": [None]}, "'beta' has the value None: give a text or a number"),
        ({**PLACES, "policy": [["uniform"]]}, "'policy' has the value ['uniform']"),
        (
            {**PLACES, "seed": [*range(51)], "max_steps": [*range(1, 51)]},
            "sweep: the grid has 10,200 runs: cut its lists to at most 10,000",
        ),
        ({**PLACES, "out": ["x"]}, "'out' is what the sweep itself sets for each run"),
        ({**PLACES, "output_dir": ["x"]}, "'output_dir' is what the sweep itself"),
        ({**PLACES, "model": ["a", "b"]}, "'model' is also set for every run"),
        ({**PLACES, "data": ["a", "b"]}, "'data' is also set for every run"),
    ],
)
def test_a_grid_that_cannot_be_is_refused(grid: Any, message: str) -> None:
    with pytest.raises(InputError) as refused:
        grids.read_grid(grid, DATA, ["model", "data"], run.KINDS)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_key_of_a_grid_without_data_is_refused() -> None:
    with pytest.raises(
        InputError, match=r"'zzz' is not a setting of grpo, and data \(not given\) has no \{zzz\}"
    ):
        grids.read_grid({"zzz": [1]}, "", [], run.KINDS)


@pytest.mark.parametrize(
    ("values", "message"),
    [(["a/b", "a b"], "trainable-a-b, two runs would have this name"), (["x" * 300], "more than 200 bytes")],
)
def test_names_that_make_no_folder_are_refused(values: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        grids.trials([], {"trainable": values}, "", {}, ["trainable"])


def test_the_original_grid_is_all_there_and_each_run_can_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    recipe = sweep_recipe.parse(["--config", "configs/sweep.yaml", "--model", "m"])
    data = "d/{policy}/{size}.json"
    grid = grids.read_grid(recipe.grid, data, ["model", "data", *recipe.settings], run.KINDS)
    found = grids.trials(recipe.configs, grid, data, recipe.settings, list(field_values.fields_of(run.KINDS)))
    assert len(found) == 288  # as the file says
    policies = {trial.values["policy"] for trial in found}
    assert len(policies) == 4
    assert policies <= set(SELECTIONS)
    for generations in (8, 16, 32):
        one = next(trial for trial in found if trial.values["num_generations"] == generations)
        _, args = grpo.parse(one.words)
        generation_batch.check(args, 1)  # it divides
        assert generation_batch.size(args, 1) == 32


def test_a_key_that_stands_twice_in_yaml_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "sweep.yaml"
    file.write_text("retries: 1\ngrid:\n  seed: [0]\n  beta: [0.1]\n  seed: [1]\n")
    with pytest.raises(InputError, match=r"sweep.yaml has the key 'seed' a second time at line 5"):
        sweep_recipe.parse(["--config", str(file)])


def test_a_torn_line_of_metrics_is_left_out(tmp_path: Path) -> None:
    assert trials.read_metrics(tmp_path) == []
    assert trials.last_metrics(tmp_path) is None
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "reward": 1.0}\n{"step": 2, "rew')
    assert trials.read_metrics(tmp_path) == [{"step": 1, "reward": 1.0}]
    assert trials.last_metrics(tmp_path) == {"step": 1, "reward": 1.0}
    assert trials.final_means([{"step": 1, "train_runtime": 2.0}]) == {}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"data": "nowhere/{policy}/{size}.json"}, "run policy-uniform_size-6: .*nowhere/uniform/6.json"),
        ({"model": "nowhere"}, "run policy-uniform_size-6: model folder nowhere does not exist"),
        ({"model": ""}, "grpo needs --model: give it"),
        ({"grid": {"policy": ["uniform"], "size": [6, 13]}}, "run policy-uniform_size-13: .*13.json"),
        (
            {"grid": {**PLACES, "policy": ["uniform"], "num_generations": [2, 3]}},
            "num_generations-3: .*divisible",
        ),
        ({"settings": {"rewards": ["external_kg"]}}, "did you mean external_kg_jac"),
        ({"settings": {"lerning_rate": 1}}, "sweep: settings: unknown key 'lerning_rate'"),
        ({"settings": {"out": "x"}}, "settings has 'out', which does not belong there"),
        ({"configs": ["nowhere.yaml"]}, "nowhere.yaml does not exist"),
        ({"engine": "slurm"}, "engine is 'slurm': use local or ray"),
        ({"workers": 0}, "workers is 0"),
        ({"retries": -1}, "retries is -1"),
        ({"num_cpus": 0}, "num_cpus is 0"),
        ({"engine": "ray", "address": "127.0.0.1:9"}, "no Ray cluster answers at 127.0.0.1:9"),
        ({"num_gpus": 2}, r"num_gpus is 2.0: use at most 1 \(a run is one process\)"),
    ],
)
def test_what_one_run_cannot_start_with_stops_the_sweep_before_it_starts(
    write_sweep: Callable[..., Path], tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    values = {"grid": {"policy": ["uniform"], "size": [6, 12]}, **change}
    file = write_sweep(tmp_path, values.pop("grid"), **values)
    with pytest.raises(InputError, match=message):
        run.main(sweep_recipe.parse(["--config", str(file), "--out", str(tmp_path / "out")]))
    assert not (tmp_path / "out").exists()
