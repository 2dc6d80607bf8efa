"""What controls show in place of a film, and what their figures say."""

from __future__ import annotations

import random
from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from chexphi.data.phantom.draw import render
from chexphi.data.phantom.language import caption
from chexphi.data.phantom.scene import sample_build, sample_scene
from chexphi.evaluation.film_controls import table
from chexphi.evaluation.film_controls.figures import answers_changed, control_figures, findings_claimed
from chexphi.evaluation.film_controls.names import CONTROLS, chosen_controls
from chexphi.evaluation.film_controls.partners import with_other_films
from chexphi.evaluation.film_controls.pictures import blank_film, mirrored_film, noise_film, picture_of
from chexphi.evaluation.scoring import _scene_counts
from chexphi.graph.lexicon.extractor import LexiconExtractor
from chexphi.prompts import render as completion
from chexphi.schema import Example, InputError, Prediction


@pytest.mark.parametrize(
    ("setting", "names"),
    [
        ("", ()),
        ("blank", ("blank",)),
        (" noise, blank ", ("blank", "noise")),
        ("flip,flip", ("flip",)),
        ("all", ("blank", "shuffle", "flip", "noise")),
        ("all,blank", ("blank", "shuffle", "flip", "noise")),
    ],
)
def test_controls_are_named(setting: str, names: tuple[str, ...]) -> None:
    assert chosen_controls(setting) == names


@pytest.mark.parametrize("setting", ["grey", "blank,gray", "Blank", "blank;noise", ",", "blank,", " "])
def test_another_name_is_refused(setting: str) -> None:
    with pytest.raises(InputError, match="is no control: use all, or some of blank, shuffle, flip, noise"):
        chosen_controls(setting)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("films")
    rng = random.Random(0)
    for name in ("a", "b"):
        film = render(sample_scene(rng, sample_build(rng)), 96).crop((0, 0, 96, 64))
        film.save(folder / f"{name}.png")
    return folder


def pixels(film: Image.Image) -> np.ndarray:
    assert film.mode == "RGB"
    return np.asarray(film)


def test_a_blank_film_has_the_size_and_nothing_else(root: Path) -> None:
    values = pixels(blank_film("a.png", root))
    assert values.shape == (64, 96, 3)
    assert np.unique(values).tolist() == [128]


def test_a_mirrored_film_exchanges_left_and_right(root: Path) -> None:
    film = pixels(Image.open(root / "a.png").convert("RGB"))
    mirrored = pixels(mirrored_film("a.png", root))
    assert (mirrored == film[:, ::-1]).all()
    assert (mirrored != film).any()


def test_noise_is_the_same_each_time_and_another_for_each_film(root: Path) -> None:
    first = pixels(noise_film("a.png", root))
    assert first.shape == (64, 96, 3)
    assert (first == pixels(noise_film("a.png", root))).all()
    assert (first[..., 0] == first[..., 1]).all()  # grey
    for other in (noise_film("b.png", root), noise_film("a.png", root, seed=1)):
        assert (pixels(other) != first).mean() > 0.9
    assert abs(first.mean() - 127.5) < 5


@pytest.mark.parametrize("control", ["blank", "flip", "noise"])
def test_a_film_that_is_missing_is_refused_by_each_control(control: str, root: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.png"):
        picture_of(control, seed=0)("gone.png", root)


def prediction(id: str, **fields: Any) -> Prediction:
    text = fields.pop("generated_text", completion("No opacity is seen.", "no"))
    return Prediction(
        id, ("a",), "Is there an opacity?", ("no",), completion("No opacity is seen.", "no"), text,
        is_correct=True, correct_substring=True, parse_status="ok", subject_id=id, **fields,
    )  # fmt: skip


def answered(answers: Sequence[str | None]) -> list[Prediction]:
    return [prediction(str(n), predicted_answer=answer) for n, answer in enumerate(answers)]


def test_an_answer_changes_where_it_is_another_set_of_labels() -> None:
    plain = answered(["yes", "Yes.", "opacity, nodule", None, None, "no"])
    other = answered(["no", "yes", "nodule, opacity", None, "yes", None])
    assert answers_changed(plain, other).numerator.tolist() == [1, 0, 0, 0, 1, 1]


def test_a_reasoning_claims_a_finding_where_one_is_present() -> None:
    texts = {
        "There is a small left effusion.": 1,
        "Possible opacity in the right lower lobe.": 1,
        "No effusion. The heart is normal.": 0,
        "The lungs are clear. No pneumothorax is seen.": 0,
        "": 0,
    }
    rows = [prediction(text, generated_text=completion(text, "no")) for text in texts]
    assert findings_claimed(rows, LexiconExtractor()).numerator.tolist() == list(texts.values())


def test_figures_of_a_policy_that_does_not_look_survive_whole() -> None:
    texts = [completion("There is an opacity in the left lung.", "yes"), completion("No opacity.", "no")]
    rows = [prediction(str(n), generated_text=texts[n % 2], predicted_answer="yes") for n in range(8)]
    found = control_figures(rows, {"blank": rows, "shuffle": rows}, LexiconExtractor())
    assert found["image_sensitivity"]["value"] == 0
    assert found["hallucinated_reasoning"]["value"] == 0.5
    assert found["blank"]["accuracy"] == found["as_shown"]["accuracy"]
    assert found["n"] == 8
    assert "image_sensitivity" not in control_figures(rows, {"blank": rows}, LexiconExtractor())


def test_the_truth_of_another_film_is_met_by_chance_alone() -> None:
    """A reader that says exactly what is on the film it is shown, against what is on the question's own."""
    rng = random.Random(3)
    scenes = [sample_scene(rng, sample_build(rng)) for _ in range(60)]
    examples = [
        Example(str(n), (f"{n}.png",), "Any opacity?", ("yes",), subject_id=str(n), scene=(scene.to_dict(),))
        for n, scene in enumerate(scenes)
    ]
    graph_of_films = {
        own.images: caption(rng, scene, "train")[1].graph for own, scene in zip(examples, scenes, strict=True)
    }

    def f1(shown: Sequence[Example], own: Sequence[Example]) -> float:
        counts = [_scene_counts(o, graph_of_films[s.images]) for s, o in zip(shown, own, strict=True)]
        tp, fp, fn = np.array(counts, dtype=float).T
        return float((2 * tp).sum() / (2 * tp + fp + fn).sum())

    shuffled = with_other_films(examples, seed=0)
    chance = [f1(rng.sample(examples, len(examples)), examples) for _ in range(200)]
    assert f1(examples, examples) == 1
    assert np.quantile(chance, 0.005) <= f1(shuffled, examples) <= np.quantile(chance, 0.995)
    assert np.mean(chance) < 0.5


def estimate(value: float, low: float | None = None, high: float | None = None) -> dict[str, Any]:
    return {"value": value, "low": low, "high": high, "n": 9}


def test_the_table_has_what_survives() -> None:
    controls = {
        "n": 9,
        "as_shown": {"accuracy": estimate(0.5), "findings_claimed": estimate(0.4)},
        "blank": {
            "accuracy": estimate(0.4),
            "findings_claimed": estimate(0.6),
            "answers_changed": estimate(0.3),
        },
        "hallucinated_reasoning": estimate(0.6, 0.5, 0.7),
    }
    out = StringIO()
    Console(file=out, width=90).print(table.control_table(controls))
    text = out.getvalue()
    assert "0.400 (80%)" in text
    assert "Hallucinated reasoning 0.600 [0.500, 0.700]" in text
    assert CONTROLS["blank"] in text
    assert CONTROLS["flip"] not in text


@pytest.mark.parametrize(
    ("difference", "low", "high", "verdict"),
    [
        (-0.2, -0.3, -0.1, "B looks at the film less than A"),
        (0.2, 0.1, 0.3, "B looks at the film more than A"),
        (-0.2, -0.5, 0.1, "no difference is shown"),
        (0.0, None, None, "no difference is shown"),
    ],
)
def test_a_change_of_sensitivity_is_a_sentence(
    difference: float, low: float | None, high: float | None, verdict: str
) -> None:
    change = {"a": 0.6, "b": 0.6 + difference, "difference": difference, "low": low, "high": high, "n": 9}
    assert table.sensitivity_sentence(change, "A", "B").endswith(f": {verdict}.")
