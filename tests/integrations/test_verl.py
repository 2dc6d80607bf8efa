"""veRL's side of the rewards, as far as it needs no veRL; `test_verl_runs.py` has the rest."""

from __future__ import annotations

import inspect
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
import pytest
from PIL import Image
from typer.testing import CliRunner

from chexphi.cli import app
from chexphi.data.read import write_examples
from chexphi.graph.lexicon.extractor import LexiconExtractor
from chexphi.integrations import verl
from chexphi.rewards import AccuracyReward, AnswerRule, GraphReward, GraphRule, rules, score
from chexphi.schema import Example, InputError


def completion(think: str, answer: str) -> str:
    return f"<think>{think}</think><answer>{answer}</answer>"


THINK = "There is a small left pleural effusion. No pneumothorax."
GOLD = completion(THINK, "yes")
COMPLETIONS = (
    GOLD,
    completion(THINK, "no"),
    completion("There is a small left pleural effusion.", "yes"),
    completion("There is a pneumothorax.", "yes"),
    completion("", "yes"),
    "yes",
    GOLD[:-9],  # cut by the length limit
    "",
)


def scored(text: str, solution: str = GOLD, **extra: Any) -> dict[str, float]:
    return verl.compute_score("chexphi", text, solution, {"id": "row-7"} | extra)


@pytest.mark.parametrize("text", COMPLETIONS)
def test_the_score_is_the_sum_of_what_trl_is_given(text: str) -> None:
    (accuracy,) = AccuracyReward()([text], [GOLD])
    (graph,) = GraphReward(LexiconExtractor())([text], [GOLD])
    parts = scored(text)
    assert (parts["external_r1v_acc"], parts["external_kg_jac"]) == (accuracy, graph)
    assert parts["score"] == accuracy + graph
    weighted = verl.compute_score("chexphi", text, GOLD, reward_weights=(0.5, 2.0))
    assert weighted["score"] == 0.5 * accuracy + 2 * graph


def test_a_completion_that_begins_inside_the_reasoning() -> None:
    inside = GOLD.removeprefix("<think>")
    assert scored(inside)["score"] == 0.0
    assert verl.compute_score("chexphi", inside, GOLD, opened_think=True) == scored(GOLD)


def test_gold_earns_the_most_and_garbage_nothing() -> None:
    values = [scored(text)["score"] for text in COMPLETIONS]
    assert values[0] == 2.0
    assert max(values[1:]) < 2.0
    assert values[4:] == [0.0] * 4


def test_every_row_has_the_same_keys_and_plain_numbers() -> None:
    """veRL makes one array of each key of the first row."""
    keys = scored(GOLD).keys()
    for text in COMPLETIONS:
        for solution in (GOLD, completion("So it is.", "yes"), THINK):
            parts = scored(text, solution, answer=["yes"])
            assert parts.keys() == keys
            assert all(type(value) is float and np.isfinite(value) for value in parts.values())


def test_a_reward_that_the_reference_does_not_allow_is_told_from_zero() -> None:
    no_graph = scored(GOLD, completion("So it is.", "yes"))
    assert (no_graph["score"], no_graph["scored/external_kg_jac"]) == (1.0, 0.0)
    no_answer = scored(GOLD, THINK)
    assert (no_answer["score"], no_answer["scored/external_r1v_acc"]) == (1.0, 0.0)
    assert scored("", GOLD)["scored/external_kg_jac"] == 1.0
    with pytest.raises(InputError, match=r"row 'row-7' of chexphi: .* leave the row out"):
        scored(GOLD, "So it is.")


@pytest.mark.parametrize(
    ("labels", "text", "accuracy"),
    [
        (["left lung", "heart"], "heart, left lung", 1.0),
        (["left lung", "heart"], "heart", 0.0),
        (np.array(["left lung", "heart"], dtype=object), "heart and left lung", 1.0),  # as pandas reads it
        ("no", "no", 1.0),
        ("no", "n, o", 0.0),  # not one label a letter
        (None, "yes", 1.0),  # the reference's own
        ([], "yes", 1.0),
    ],
)
def test_labels_come_from_the_row(labels: Any, text: str, accuracy: float) -> None:
    assert scored(completion(THINK, text), answer=labels)["external_r1v_acc"] == accuracy


def test_settings_and_what_verl_adds() -> None:
    both = completion(THINK, "yes, no")
    assert verl.compute_score("d", both, GOLD, {})["external_r1v_acc"] == 0.0
    told = verl.compute_score("d", both, GOLD, None, match="any", measure="f1", reward_router_address="x:1")
    assert told["external_r1v_acc"] == told["external_kg_jac"] == 1.0
    same_finding = completion("The cardiac silhouette is mildly enlarged.", "yes")
    reference = completion("Mild cardiomegaly.", "yes")
    paid = [
        verl.compute_score("d", same_finding, reference, None, measure=name)["external_kg_jac"]
        for name in ("jaccard", "clinical")
    ]
    assert paid == [0.0, 1.0]
    with pytest.raises(InputError, match="lexicn"):
        verl.compute_score("d", both, GOLD, extractor="lexicn")


@pytest.mark.parametrize(
    ("text", "settings", "reward", "paid"),
    [
        ("<answer>yes</answer>", {"format_gate": False}, "external_r1v_acc", (0.0, 1.0)),
        (completion(f"{THINK} {THINK}", "yes"), {"repetitions": "ignore"}, "external_kg_jac", (0.5, 1.0)),
        (completion(f"No {THINK}", "yes"), {"contradictions": "ignore"}, "external_kg_jac", None),
        (completion("effusion", "yes"), {"empty": "zero"}, "external_kg_jac", None),
    ],
)
def test_each_rule_can_be_set(
    text: str, settings: dict[str, Any], reward: str, paid: tuple[float, float] | None
) -> None:
    found = tuple(verl.compute_score("d", text, GOLD, **given)[reward] for given in ({}, settings))
    answer_rule, graph_rule = (
        kind(**{name: value for name, value in settings.items() if name in kind.__dataclass_fields__})
        for kind in (AnswerRule, GraphRule)
    )
    wanted = score(text, GOLD, answer_rule=answer_rule, graph_rule=graph_rule).parts[reward]
    assert found[1] == wanted
    assert paid is None or found == pytest.approx(paid)


def test_settings_are_those_that_are_named() -> None:
    """veRL's reward managers hand over a router's address and a tokenizer where there is a reward model."""
    parameters = inspect.signature(verl.compute_score).parameters
    named = {name for name, p in parameters.items() if p.kind is p.KEYWORD_ONLY}
    assert named | set(rules.RULE_FIELDS) == set(verl.NAMES)
    scored(GOLD)
    verl.compute_score("d", GOLD, GOLD, reward_router_address="x:1", reward_model_tokenizer=object())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mesure": "f1"}, "reward_kwargs has 'mesure', .*: use measure$"),
        ({"weights": [1, 2]}, "reward_kwargs has 'weights', .*: use reward_weights$"),
        ({"x": 1}, "reward_kwargs has 'x', .*: use match, format_gate, measure, empty, .*, opened_think$"),
        ({"empty": 1}, "reward_kwargs has empty = 1: give a text"),
        ({"format_gate": "no"}, "reward_kwargs has format_gate = 'no': give a text, or true or false"),
        ({"empty": "both"}, "empty is 'both': use skip, one, zero"),
        ({"reward_weights": [1.0]}, "reward_weights has 1 value for 2 rewards"),
        ({"match": "exactly"}, "match is 'exactly': use exact, clinical, f1, any$"),
        ({"measure": "dice"}, "measure is 'dice': use jaccard, f1, clinical$"),
    ],
)
def test_a_wrong_setting_is_said_in_words(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=f"^veRL: {message}"):
        verl.compute_score("d", GOLD, GOLD, **settings)


def test_a_row_of_another_form_is_said_in_words() -> None:
    with pytest.raises(
        InputError, match=r"^veRL: extra_info of a row of d is a list: give a mapping, with `answer`"
    ):
        verl.compute_score("d", GOLD, GOLD, extra_info=["yes"])


def test_rows_need_pyarrow(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)  # as where it is not installed
    with pytest.raises(InputError, match=r"^veRL's rows need pyarrow: install it with pip install pyarrow$"):
        verl.check_form(tmp_path / "rows.parquet")


def test_threads_share_one_extractor_and_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[str] = []

    def open_slowly(name: str, real: Callable[..., Any] = verl.open_extractor, **settings: Any) -> Any:
        built.append(name)
        time.sleep(0.05)  # long enough for all threads to ask
        return real(name, **settings)

    expected = [scored(text) for text in COMPLETIONS]
    monkeypatch.setattr(verl, "open_extractor", open_slowly)
    verl._build.cache_clear()
    threads = 16
    together = threading.Barrier(threads)

    def work(first: int) -> list[dict[str, float]]:
        together.wait()
        order = [(first + i) % len(COMPLETIONS) for i in range(len(COMPLETIONS))]
        found = {i: scored(COMPLETIONS[i]) for i in order}
        return [found[i] for i in range(len(COMPLETIONS))]

    with ThreadPoolExecutor(threads) as pool:
        results = list(pool.map(work, range(threads)))
    verl._build.cache_clear()
    assert built == ["lexicon"]
    assert all(result == expected for result in results)


@pytest.fixture
def examples(tmp_path: Path) -> list[Example]:
    """A question with two films, one with a film in the reference itself, one without films."""
    for name in ("prior", "current"):
        Image.new("L", (8, 8)).save(tmp_path / f"{name}.png")
    uri = "data:image/png;base64,iVBORw0KGgo="
    return [
        Example("a", ("prior.png", "current.png"), "Has it grown?", ("yes",), GOLD, "compare"),
        Example("b", (uri,), "Is it clear?", ("left lung", "heart"), completion(THINK, "left lung, heart")),
        Example("c", (), "What is an effusion?", ("fluid",), completion(THINK, "fluid")),
    ]


def test_rows_as_verl_reads_them(tmp_path: Path, examples: list[Example]) -> None:
    out = tmp_path / "new" / "train.parquet"
    verl.write_rows(out, examples, tmp_path, data_source="drawn")
    rows = pyarrow.parquet.read_table(out).to_pylist()
    assert [row["prompt"] for row in rows] == [
        [{"role": "user", "content": "<image><image>Has it grown?"}],
        [{"role": "user", "content": "<image>Is it clear?"}],
        [{"role": "user", "content": "What is an effusion?"}],
    ]
    assert [Path(path).name for path in rows[0]["images"]] == ["prior.png", "current.png"]
    assert all(Path(path).is_absolute() and Path(path).is_file() for path in rows[0]["images"])
    assert rows[1]["images"] == list(examples[1].images)
    assert rows[2]["images"] == []
    for index, (row, example) in enumerate(zip(rows, examples, strict=True)):
        assert row["extra_info"] == {"index": index, "id": example.id, "answer": list(example.answer)}
        truth = row["reward_model"]["ground_truth"]
        score = verl.compute_score(row["data_source"], example.explanation, truth, row["extra_info"])
        assert score["score"] == 2.0
    assert [path.name for path in out.parent.iterdir()] == ["train.parquet"]


def test_rows_go_into_parquet_only(tmp_path: Path, examples: list[Example]) -> None:
    with pytest.raises(InputError, match=r"rows.json is not a Parquet file: end its name in .parquet"):
        verl.write_rows(tmp_path / "rows.json", examples, tmp_path)


def test_the_verbs_of_other_stacks(tmp_path: Path, examples: list[Example]) -> None:
    data, out = tmp_path / "train.json", tmp_path / "train.parquet"
    write_examples(data, [examples[0], examples[2]])
    words = ["verl-rows", str(data), "--out", str(out), "--image-root", str(tmp_path), "--limit", "1"]
    assert CliRunner().invoke(app, words).exit_code == 0
    assert pyarrow.parquet.read_table(out).num_rows == 1
    plugin = Path(CliRunner().invoke(app, ["swift-plugin"]).output.rstrip("\n"))
    assert plugin.is_file()
    # Swift puts the plugin's folder first on sys.path, and processes that it spawns import `swift`.
    assert not [path for path in plugin.parent.iterdir() if path.stem in ("swift", "trl", "torch", "chexphi")]
