"""Scoring a pool with a small random model, and writing the chosen subset."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from alike import alike_files
from typer.testing import CliRunner

from chexphi.cli import app
from chexphi.data.phantom import build as phantom
from chexphi.data.read import read_examples
from chexphi.graph.open import open_extractor
from chexphi.mining import score, subset
from chexphi.mining.graph_rewards import graph_rewards
from chexphi.mining.scored_row import has_wrong_reason
from chexphi.models.generate import Generation
from chexphi.rewards import GraphReward, GraphRule
from chexphi.schema import Example, InputError


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mine") / "data"
    phantom.build(folder, counts=phantom.Sizes(sight=4, sft=4, pool=12, valid=4, test=10), seed=3)
    return folder / "annotations" / "pool" / "train.json"


def run(model: Path, pool: Path, out: Path, *flags: str) -> dict:
    argv = ["--model", str(model), "--data", str(pool), "--out", str(out)]
    return score.main(score.parse([*argv, "--max_new_tokens=6", "--batch_size=5", *flags]))


def test_a_pool_is_scored_and_a_subset_written(tiny_model_dir: Path, pool: Path, tmp_path: Path) -> None:
    figures = run(tiny_model_dir, pool, tmp_path / "mine", "--samples=3")
    rows = [json.loads(line) for line in (tmp_path / "mine" / "scored.jsonl").read_text().splitlines()]
    assert figures["rows"] == len(rows) == 12
    assert all(len(row["correct"]) == 3 and 0 < row["confidence"] < 1 for row in rows)
    out = tmp_path / "subset.json"
    made = subset.main(tmp_path / "mine", pool, out, selection="hard_uniform", number=5, seed=0)
    assert made["rows"] == 5
    chosen, everything = read_examples(out, check_images=False), {e.id: e for e in read_examples(pool)}
    assert all(example == everything[example.id] for example in chosen)  # S9: nothing is dropped
    with pytest.raises(InputError, match="--overwrite"):
        subset.main(tmp_path / "mine", pool, out, selection="uniform", number=5, seed=0)


def test_the_selection_is_named_and_its_earlier_flag_works(pool: Path, tmp_path: Path) -> None:
    rows = [{"id": example.id, "correct": [0, 1]} for example in read_examples(pool)]
    scored = tmp_path / "scored.jsonl"
    scored.write_text("\n".join(map(json.dumps, rows)))
    for flags, name in (((), "hard_uniform"), (("--selection", "random"), "random")):
        out = str(tmp_path / f"{name}.json")
        printed = CliRunner().invoke(app, ["mine", "select", str(scored), str(pool), "--out", out, *flags])
        assert f"\nselection: {name}\n" in printed.stdout
    early = tmp_path / "early.json"
    words = ["mine", "select", str(scored), str(pool), "--out", str(early), "--policy", "random"]
    assert "\nselection: random\n" in CliRunner().invoke(app, words).stdout
    assert early.read_bytes() == (tmp_path / "random.json").read_bytes()
    assert "--policy" not in CliRunner().invoke(app, ["mine", "select", "--help"]).stdout


def test_a_killed_scoring_goes_on(tiny_model_dir: Path, pool: Path, tmp_path: Path) -> None:
    out = tmp_path / "mine"
    run(tiny_model_dir, pool, out, "--samples=2", "--batch_size=3")
    whole = Path(shutil.copy(out / "scored.jsonl", tmp_path))
    (out / "scored.jsonl").write_text("".join(whole.read_text().splitlines(keepends=True)[:5]) + '{"id": "to')
    run(tiny_model_dir, pool, out, "--samples=2", "--batch_size=3", "--resume=true")
    assert alike_files(out / "scored.jsonl", whole)  # the same samples, the batch that was cut included


OWN = '[scoliosis]\nterms = ["scoliosis"]\nsignificance = "urgent"\n'


@pytest.fixture(scope="module")
def uneven_pool(pool: Path) -> Path:
    """The pool, in which the second reference has nothing that could be compared."""
    rows = json.loads(pool.read_text())
    rows[1]["explanation"] = "<think>As was asked.</think><answer>yes</answer>"
    path = pool.with_name("uneven.json")
    path.write_text(json.dumps(rows))
    return path


def scored_rows(out: Path) -> list[dict]:
    return [json.loads(line) for line in (out / "scored.jsonl").read_text().splitlines()]


def test_graphs_are_scored_on_request(tiny_model_dir: Path, uneven_pool: Path, tmp_path: Path) -> None:
    plain = run(tiny_model_dir, uneven_pool, tmp_path / "plain", "--samples=2")
    figures = run(tiny_model_dir, uneven_pool, tmp_path / "graded", "--samples=2", "--measure=clinical")
    rows = scored_rows(tmp_path / "graded")
    assert rows[1]["graph"] == [None, None]
    assert all(row["graph"] == [0, 0] for row in rows[:1] + rows[2:])  # a random model is malformed
    for row in rows:
        del row["graph"]
    assert rows == scored_rows(tmp_path / "plain")  # all else is as without a measure
    assert figures == plain | {
        "out": str(tmp_path / "graded"),
        "graph_reward": 0,
        "right_for_wrong_reason": 0,
    }
    assert json.loads((tmp_path / "graded" / "summary.json").read_text())["graph_reward"] == 0


def test_a_killed_scoring_of_graphs_goes_on(tiny_model_dir: Path, pool: Path, tmp_path: Path) -> None:
    out, flags = tmp_path / "mine", ("--samples=2", "--measure=f1")
    run(tiny_model_dir, pool, out, *flags)
    whole = (out / "scored.jsonl").read_text()
    (out / "scored.jsonl").write_text("".join(whole.splitlines(keepends=True)[:6]) + '{"id": "to')
    for words, message in (
        ("--measure=clinical", "measure was .f1. and is .clinical."),
        ("--measure=", "measure was .f1. and is .."),
    ):
        with pytest.raises(InputError, match=message):
            run(tiny_model_dir, pool, out, "--samples=2", words, "--resume=true")
    run(tiny_model_dir, pool, out, *flags, "--resume=true")
    assert (out / "scored.jsonl").read_text() == whole


def test_a_run_from_before_measures_goes_on_without_one(
    tiny_model_dir: Path, pool: Path, tmp_path: Path
) -> None:
    out = tmp_path / "mine"
    run(tiny_model_dir, pool, out, "--samples=2")
    whole, settings = (out / "scored.jsonl").read_text(), (out / "config.yaml").read_text()
    (out / "config.yaml").write_text(
        "".join(line for line in settings.splitlines(keepends=True) if not line.startswith("measure:"))
    )
    (out / "scored.jsonl").write_text("".join(whole.splitlines(keepends=True)[:5]))
    with pytest.raises(InputError, match="was scored without --measure: go on with it as it was begun"):
        run(tiny_model_dir, pool, out, "--samples=2", "--measure=jaccard", "--resume=true")
    run(tiny_model_dir, pool, out, "--samples=2", "--resume=true")
    assert (out / "scored.jsonl").read_text() == whole


REFERENCE = (
    "<think>There is a small left pleural effusion. The heart is enlarged.</think><answer>yes</answer>"
)
SAMPLES = [
    REFERENCE,
    "<think>There is a right pneumothorax.</think><answer>yes</answer>",
    "<think>There is a small left pleural effusion.</think><answer>no</answer>",
    "<answer>yes</answer>",
    "<think>Cardiomegaly and a left effusion.</think><answer>yes</answer>",
]


@pytest.mark.parametrize("measure", ["jaccard", "f1", "clinical"])
def test_a_sample_earns_for_its_graph_what_training_pays(measure: str) -> None:
    rule = GraphRule(measure)
    examples = [
        Example("a", (), "?", ("yes",), REFERENCE),
        Example("b", (), "?", ("yes",), "As was asked."),
        Example("c", (), "?", ("yes",), ""),
    ]
    samples = [[Generation(text, (1,), ("a",), (-1.0,), False, "") for text in SAMPLES]] * 3
    extractor = open_extractor()
    expected, *unscorable = graph_rewards(examples, samples, extractor, rule)
    assert list(expected) == GraphReward(extractor, rule)(SAMPLES, [REFERENCE] * len(SAMPLES))
    assert expected[0] == 1
    assert expected[1] == expected[3] == 0
    assert unscorable == [(None,) * 5] * 2
    row = score.score_samples(examples[0], samples[0], expected)
    assert row.correct == (1, 1, 0, 1, 1)
    assert has_wrong_reason(row)
    figures = score.figures([row, score.score_samples(examples[1], samples[1], unscorable[0])])
    assert figures["graph_reward"] == pytest.approx(sum(map(float, expected)) / 5)
    assert figures["right_for_wrong_reason"] == 1
    alone = [score.score_samples(examples[1], samples[1], unscorable[0])]
    assert score.figures(alone)["graph_reward"] is None


def test_own_concepts_count(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text(OWN)
    text = "<think>A small effusion. There is scoliosis.</think><answer>yes</answer>"
    samples = [
        [Generation("<think>A small effusion.</think><answer>yes</answer>", (1,), ("a",), (-1.0,), False, "")]
    ]
    example = Example("a", (), "?", ("yes",), text)
    plain, own = (
        graph_rewards([example], samples, open_extractor(), GraphRule("clinical", ontology=ontology))[0][0]
        for ontology in ("", str(tmp_path / "own.toml"))
    )
    assert plain is not None
    assert own is not None
    assert own < plain  # what is missed is urgent


def test_a_pool_that_was_scored_with_a_measure_is_chosen_from_by_reasoning(
    pool: Path, tmp_path: Path
) -> None:
    examples = read_examples(pool)
    rows = [{"id": example.id, "correct": [1, 0], "graph": [0.9, 0.0]} for example in examples]
    rows[3]["graph"] = rows[7]["graph"] = [0.1, 0.0]
    rows[5]["correct"] = [0, 0]
    (tmp_path / "scored.jsonl").write_text("\n".join(map(json.dumps, rows)))
    words = ["mine", "select", str(tmp_path), str(pool), "--selection", "hard_reasoning", "--number", "12"]
    printed = CliRunner().invoke(app, [*words, "--out", str(tmp_path / "12.json")]).stdout
    assert "right for wrong reason: 2\nnever right: 1\n" in printed
    assert "Only 2 of the 12 are answered right for the wrong reason" in printed
    chosen = [example.id for example in read_examples(tmp_path / "12.json", check_images=False)]
    assert set(chosen[:2]) == {examples[3].id, examples[7].id}
    assert chosen[-1] == examples[5].id
    del rows[4]["graph"]
    (tmp_path / "scored.jsonl").write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(InputError, match=f"scored example {examples[4].id!r} has no `graph`"):
        subset.main(tmp_path, pool, tmp_path / "x.json", selection="hard_reasoning", number=3, seed=0)
    assert not (tmp_path / "x.json").exists()


def test_an_answer_counts_wherever_it_can_be_read() -> None:
    example = Example("a", (), "?", ("yes",), question_type="presence")
    texts = [
        "<think>a</think><answer>Yes.</answer>",
        "<think>a</think><answer>no</answer>",
        "<answer>yes</answer>",
        "yes",
    ]
    samples = [Generation(text, (1, 2), ("a", "b"), (-1.0, -1.0), False, "") for text in texts]
    row = score.score_samples(example, samples)
    assert row.correct == (1.0, 0.0, 1.0, 0.0)
    assert row.confidence == pytest.approx(0.36787944)


def test_films_that_will_not_be_found_are_named(
    pool: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    scored = tmp_path / "scored.jsonl"
    lines = [
        {"id": example.id, "question_type": example.question_type, "kind": example.kind, "correct": [0]}
        for example in read_examples(pool)
    ]
    scored.write_text("".join(json.dumps(line) + "\n" for line in lines))

    def warned(source: Path, out: Path) -> str:
        caplog.clear()
        subset.main(scored, source, out, selection="uniform", number=5, seed=0)
        return caplog.text

    beside = pool.parent.parent / "hard" / "5.json"
    images = pool.parent.parent.parent / "images"
    assert warned(pool, beside) == ""
    out = tmp_path / "elsewhere" / "5.json"
    text = warned(pool, out)
    assert f"films of {out} are not in {out.parent}" in text
    assert f"--image_root {images}, where those of the pool are" in text
    assert len(read_examples(out, image_root=images)) == 5  # the advice is right
    pool_without_films = tmp_path / "lonely" / "train.json"
    pool_without_films.parent.mkdir()
    shutil.copy(pool, pool_without_films)
    assert "the --image_root that the pool was scored with" in warned(pool_without_films, tmp_path / "6.json")


def test_a_subset_of_another_pool_is_refused(tmp_path: Path, pool: Path) -> None:
    scored = tmp_path / "scored.jsonl"
    scored.write_text('{"id": "zzz", "question_type": "", "kind": "basic", "correct": [1]}\n')
    with pytest.raises(InputError, match="zzz is not in"):
        subset.main(scored, pool, tmp_path / "x.json", selection="uniform", number=1, seed=0)


def test_an_extractor_without_a_measure_is_refused() -> None:
    recipe = score.parse(["--model=m", "--data=d", "--extractor=radgraph"])
    with pytest.raises(InputError, match="extractor is 'radgraph', but without a measure no graph is read"):
        score.check(recipe)
