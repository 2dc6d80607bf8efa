"""Scoring a pool with a small random model, and writing the chosen subset."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from chexphi.cli import app
from chexphi.data.phantom import build as phantom
from chexphi.data.read import read_examples
from chexphi.mining import score, subset
from chexphi.models.generate import Generation
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
    whole = (out / "scored.jsonl").read_text()
    (out / "scored.jsonl").write_text("".join(whole.splitlines(keepends=True)[:5]) + '{"id": "to')
    run(tiny_model_dir, pool, out, "--samples=2", "--batch_size=3", "--resume=true")
    assert (out / "scored.jsonl").read_text() == whole  # the same samples, the batch that was cut included


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
