"""Model cards: what they say, what they never say, and what of them belongs to the user."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from huggingface_hub import ModelCard
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file
from synthetic_predictions import predictions
from typer.testing import CliRunner

from chexphi import model_folder
from chexphi.cli import app
from chexphi.evaluation.card_figures import card_of, write_cards
from chexphi.evaluation.summary import summarize
from chexphi.model_card import lineage, pages, text, write
from chexphi.model_card.facts import CardFacts, DataFile
from chexphi.runs import manifest
from chexphi.schema import InputError
from chexphi.training.recovery import checkpoints

SECRET = "annsmith"
"""The name of a user, in every path of the machine."""
CONFIG = {
    "model": f"/home/{SECRET}/phi4",
    "extractor": f"rexkg:/home/{SECRET}/kg",
    "rewards": ["external_r1v_acc", "external_kg_jac"],
    "trainable": "all",
    "trainer": {
        "max_steps": 3,
        "learning_rate": 3e-4,
        "reward_weights": [2.0, 1.0],
        "seed": 5,
        "bf16": False,
    },
}


def weights(folder: Path, value: float = 0.0) -> dict[str, str]:
    folder.mkdir(parents=True, exist_ok=True)
    save_file({"w": np.full(3, value, np.float32)}, folder / "model.safetensors")
    return model_folder.weights_sha256(folder)


def trained(above: Path, **policy: Any) -> Path:
    """The folder of a finished GRPO run, on the machine of a user with a name."""
    run = above / SECRET / "run"
    hashes = weights(run / "model")
    data = above / SECRET / "train.json"
    data.write_text("[]")
    manifest.write(
        run,
        config=CONFIG,
        data=data,
        seed=5,
        stage="grpo",
        from_step=0,
        examples=12,
        unscorable=["patient-17"],
        pools_sha256={f"/home/{SECRET}/more.json": "ab" * 32},
        trainable={"tensors": 1, "parameters": 3, "share": 1.0, "names": ["w"]},
        policy={"kind": "phi4_multimodal", "weights_sha256": hashes, "base_sha256": {}} | policy,
    )
    checkpoints.mark(run / "model", 3)
    write.after_training(run)
    return run


def evaluated(out: Path, hashes: dict[str, str] | None, *, stage: str = "evaluate") -> Path:
    """The folder of a finished evaluation of weights with these hashes."""
    out.mkdir()
    policy = {} if hashes is None else {"policy": {"weights_sha256": hashes}}
    manifest.write(out, config={}, data=None, seed=0, stage=stage, **policy)
    (out / "summary.json").write_text(json.dumps(summarize(predictions(20), resamples=50)))
    return out


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return trained(tmp_path, base_name="microsoft/Phi-4-multimodal-instruct", license="mit")


def page_of(run: Path) -> str:
    return (run / "model" / "README.md").read_text()


def test_weights_that_training_left_alone_are_said(tmp_path: Path) -> None:
    unchanged, changed = tmp_path / "unchanged", tmp_path / "changed"
    (unchanged / SECRET).mkdir(parents=True)
    (changed / SECRET).mkdir(parents=True)
    sentence = "The weights are those that training started from"
    same, other = weights(tmp_path / "start"), weights(tmp_path / "other", 1.0)
    assert sentence in page_of(trained(unchanged, weights_sha256=same))
    assert sentence not in page_of(trained(changed, weights_sha256=other))


def test_the_hub_reads_the_settings(run: Path) -> None:
    values = ModelCard(page_of(run)).data.to_dict()
    assert values["base_model"] == "microsoft/Phi-4-multimodal-instruct"
    assert values["base_model_relation"] == "finetune"
    assert (values["license"], values["library_name"]) == ("mit", "transformers")


def test_a_card_says_the_recipe_and_no_path_and_no_patient(run: Path) -> None:
    page = page_of(run)
    for words in (
        "`train.json`", "`more.json`", "12 examples, without 1 that no reward could score", "3 parameters",
        "--reward_weights 2.0 1.0", "--learning_rate 0.0003", "--extractor rexkg:kg", "--seed 5",
        "Research use only", "may not be shared unless that agreement allows it", "no test figures yet",
    ):  # fmt: skip
        assert words in page
    assert SECRET not in page
    assert "patient-17" not in page
    assert str(run.parent) not in page


def test_steps_and_starts_are_those_of_the_whole_run(run: Path) -> None:
    manifest.write(run, config=CONFIG, data=None, seed=5, stage="grpo", from_step=2)
    page = card_of(run, [])[1]
    assert "3 steps." in page
    assert "started 2 times" in page


def test_sentences_are_short(run: Path) -> None:
    page = re.sub(r"^```.*?^```$|<!--.*?-->", "", pages.split(page_of(run))[1], flags=re.S | re.M)
    lines = [line for line in page.splitlines() if line and not line.startswith(("|", "#"))]
    sentences = [part for line in lines for part in re.split(r"(?<=[.:?!])\s", re.sub(r"`[^`]*`", "x", line))]
    versions = re.compile("Trained on")
    assert max(len(part.split()) for part in sentences if not versions.match(part)) <= 30


def test_figures_come_from_evaluations_of_that_model(run: Path, tmp_path: Path) -> None:
    mine = evaluated(tmp_path / "mine", model_folder.weights_sha256(run / "model"))
    summary = json.loads((mine / "summary.json").read_text())
    page = card_of(run, [mine])[1]
    accuracy = summary["accuracy"]
    expected = f"{accuracy['value']:.3f} [{accuracy['low']:.3f}, {accuracy['high']:.3f}]"
    assert f"| strict accuracy | {expected} | 20 |" in page
    assert "no test figures yet" not in page
    (run / "model" / "README.md").write_text(page)
    assert f"| {expected} |" in card_of(run / "model", [])[1]  # and stays when the card is written again


@pytest.mark.parametrize(
    ("hashes", "stage", "message"),
    [
        ({"model.safetensors": "0" * 64}, "evaluate", "other weights than those in"),
        (None, "evaluate", "of an earlier version.* evaluate again"),
        ({}, "mine", "is a run of mine: give a run of evaluate"),
    ],
)
def test_figures_of_another_model_are_refused(
    run: Path, tmp_path: Path, hashes: dict[str, str] | None, stage: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        card_of(run, [evaluated(tmp_path / "other", hashes, stage=stage)])


def test_what_is_no_evaluation_or_no_model_is_refused(run: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="not a finished evaluation"):
        card_of(run, [tmp_path / "empty"])
    with pytest.raises(InputError, match="has no weights: name a model's folder"):
        card_of(tmp_path / "empty", [])
    weights(tmp_path / "loose")
    with pytest.raises(InputError, match="no run around it, and no card of chexphi"):
        card_of(tmp_path / "loose", [])
    with pytest.raises(InputError, match="is a run of evaluate, which trains no model"):
        card_of(evaluated(tmp_path / "evaluation", {}), [])
    (run / "model" / "model.safetensors").unlink()
    with pytest.raises(InputError, match="its training has not ended"):
        card_of(run, [])
    (run / "manifest.json").write_text('{"stage": "gr')
    with pytest.raises(InputError, match=r"manifest\.json is not JSON that can be read .*: copy it again"):
        card_of(run, [])


def test_a_loop_of_an_earlier_version_ends_with_cards_without_its_figures(
    run: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """That version noted no policy in a manifest: neither its kind nor its weights."""
    earlier = trained(tmp_path / "earlier")
    noted = json.loads((earlier / "manifest.json").read_text())
    del noted["policy"]
    (earlier / "manifest.json").write_text(json.dumps(noted))
    (earlier / "model" / "config.json").write_text('{"model_type": "qwen3_vl"}')
    (earlier / "model" / "README.md").unlink()
    unnoted = evaluated(tmp_path / "eval_earlier", None)
    known = evaluated(tmp_path / "eval_known", model_folder.weights_sha256(run / "model"))
    write_cards({earlier: unnoted, run: known})
    assert "| strict accuracy |" in page_of(run)
    page = page_of(earlier)
    assert "no test figures yet" in page
    assert "# Chest-radiograph model: Qwen3-VL architecture, GRPO" in page
    (earlier / "model" / "config.json").unlink()
    write_cards({earlier: unnoted})
    assert "# Chest-radiograph model: GRPO" in page_of(earlier)
    assert "of type" not in page_of(earlier)
    assert caplog.messages[0] == caplog.messages[1]
    assert caplog.messages[0].startswith("eval_earlier is of an earlier version")


def test_the_users_settings_and_text_stay(run: Path, tmp_path: Path) -> None:
    path = run / "model" / "README.md"
    own = "license: cc-by-4.0  # ours\ncontact: lab@example.org\n"
    page = path.read_text().replace("license: mit\n", own).replace("---\n\n<!--", "---\nAbove.\n<!--")
    path.write_text(page + "\nBelow.\n")
    again = card_of(run, [evaluated(tmp_path / "e", model_folder.weights_sha256(run / "model"))])[1]
    assert own in again
    assert "license: mit" not in again.split("---")[1]
    assert "---\nAbove.\n<!--" in again
    assert again.endswith("\nBelow.\n")
    assert "| strict accuracy |" in again


prose = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\r")).filter(
    lambda words: "chexphi" not in words and not words.startswith("---")
)


@given(prose, prose)
def test_writing_twice_changes_nothing(above: str, below: str) -> None:
    facts = CardFacts(stage="sft", kind="gemma3", data=(DataFile("a.json", "0" * 64),), examples=1)
    header, card = pages.split(write.compose(facts))
    edited = f"---\n{header}---\n{above}{card}{below}"
    assert write.compose(facts, earlier=edited) == edited


def test_a_card_of_somebody_else_is_not_replaced_without_a_word(run: Path, tmp_path: Path) -> None:
    path = run / "model" / "README.md"
    path.write_text("# My model\n")
    with pytest.raises(InputError, match="did not write: replace it with --overwrite"):
        card_of(run, [])
    assert pages.is_ours(card_of(run, [], overwrite=True)[1])
    done = CliRunner().invoke(app, ["card", str(run), "--out", "-"])
    assert (done.exit_code, path.read_text()) == (0, "# My model\n")
    assert done.stdout == card_of(run, [], overwrite=True)[1]


def test_the_verb_writes_into_the_models_folder_or_a_file(run: Path, tmp_path: Path) -> None:
    path = run / "model" / "README.md"
    before = path.read_text()
    path.unlink()
    done = CliRunner().invoke(app, ["card", str(run), "--json"])
    assert json.loads(done.stdout) == {"out": str(path), "evaluations": 0}
    assert path.read_text() == before
    done = CliRunner().invoke(app, ["card", str(run / "model"), "--out", str(tmp_path / "card.md")])
    assert done.exit_code == 0
    assert (tmp_path / "card.md").read_text() == path.read_text()


def test_editing_the_card_does_not_make_a_model_incomplete(run: Path) -> None:
    (run / "model" / "README.md").write_text("# shorter\n")
    assert isinstance(checkpoints.marker(run / "model"), dict)
    (run / "model" / "README.md").unlink()
    assert isinstance(checkpoints.marker(run / "model"), dict)


def test_a_merged_model_says_how_it_was_trained(run: Path, tmp_path: Path) -> None:
    hashes = weights(tmp_path / "merged", 1.0)
    write.converted(run / "model", tmp_path / "merged", "merge", kind="phi4_multimodal", base=tmp_path)
    page = (tmp_path / "merged" / "README.md").read_text()
    assert "chexphi grpo --model MODEL" in page
    assert "folded into its base" in page
    assert hashes["model.safetensors"] in page
    with_figures = card_of(tmp_path / "merged", [evaluated(tmp_path / "e", hashes)])[1]
    assert "| strict accuracy |" in with_figures
    assert with_figures.startswith(page.split(pages.FIGURES_BEGIN)[0])


@pytest.mark.parametrize(
    ("folder", "card", "expected"),
    [
        ("hub/models--microsoft--Phi-4-mm/snapshots/ab12", "", "microsoft/Phi-4-mm"),
        ("models/phi4", "", ""),
        ("phi4", "---\nbase_model: google/gemma-3-4b-it\n---\nA card from the hub", ""),
        ("phi4", "---\nbase_model: google/gemma-3-4b-it\n---\n{ours}", "google/gemma-3-4b-it"),
        ("phi4", "---\nbase_model: /home/ann/phi4\n---\n{ours}", ""),
        ("phi4", "---\nbase_model: [a/b, c/d]\n---\n{ours}", ""),
        ("phi4", "---\nbase_model: {{\n---\n{ours}", ""),
    ],
)
def test_a_base_has_a_name_only_where_it_is_one(
    tmp_path: Path, folder: str, card: str, expected: str
) -> None:
    path = tmp_path / folder
    path.mkdir(parents=True)
    if card:
        (path / "README.md").write_text(card.format(ours=f"{pages.BEGIN}\n{pages.END}"))
    assert lineage.base_name(path) == expected


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("README.md", "---\nlicense: apache-2.0\n---\n", "apache-2.0"),
        ("README.md", "---\nlicense: [mit]\n---\n", ""),
        ("README.md", "---\nlicense: See our site!\n---\n", ""),
        ("LICENSE", "    MIT License\n\nCopyright", "mit"),
        ("LICENSE.txt", "   Apache License\n  Version 2.0", "apache-2.0"),
        ("LICENSE", "Gemma Terms of Use", ""),
        ("config.json", "{}", ""),
    ],
)
def test_a_licence_is_the_one_that_the_folder_states(
    tmp_path: Path, name: str, content: str, expected: str
) -> None:
    (tmp_path / name).write_text(content)
    assert lineage.license_of(tmp_path) == expected


def test_an_evaluation_names_its_data() -> None:
    evaluation = text.Evaluation((DataFile("eval"),), True, 1, 1, (("strict accuracy", "0.500", 1),))
    block = text.figures_block([evaluation])
    assert "Test data `eval`: 1 question of 1 patient, drawn by a program." in block
