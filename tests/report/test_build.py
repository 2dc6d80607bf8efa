"""The report: what stands on the page equals the figures, nothing is loaded, text stays text."""

from __future__ import annotations

import base64
import dataclasses
import datetime
import io
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image
from synthetic_predictions import graph, predictions, with_images, write

from chexphi.data.images import load_image
from chexphi.evaluation import tables
from chexphi.evaluation.compare import compare_predictions
from chexphi.evaluation.summary import summarize
from chexphi.graph.types import Graph
from chexphi.report import films as cards
from chexphi.report.build import Arm, Curve, build, build_from_runs, check_page, choose_films
from chexphi.report.collect import read_curves
from chexphi.report.figures import smooth
from chexphi.schema import InputError, Prediction

VOID = {"meta", "link", "img", "br", "hr", "input"}
NAMES = ("SFT (start)", "GRPO, both <b>rewards</b>")
EVIL = '<script>alert("x")</script>'


class Page(HTMLParser):
    """Elements with their attributes, the text outside scripts, and whether tags close as they open."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.cells: dict[tuple[str, str], str] = {}
        self.text = ""
        self._cell: tuple[str, str] | None = None
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.elements.append((tag, values))
        if tag == "td" and values.get("data-figure"):
            self._cell = (str(values["data-arm"]), str(values["data-figure"]))
            self.cells[self._cell] = ""
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag
        if tag == "td":
            self._cell = None

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in ("script", "style"):
            return
        self.text += data
        if self._cell:
            self.cells[self._cell] += data

    def count(self, tag: str, css: str = "") -> int:
        return sum(t == tag and css in [*str(a.get("class") or "").split(), ""] for t, a in self.elements)


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("films")
    for i, size in enumerate((64, 64, 1200)):
        Image.linear_gradient("L").resize((size, size)).save(folder / f"{i}.png")
    return [str(folder / f"{i}.png") for i in range(3)]


@pytest.fixture(scope="module")
def arms(films: list[str]) -> list[Arm]:
    start = with_images(predictions(60, skill=0.5), films)
    start = [dataclasses.replace(p, question=f"{p.question} {EVIL}") for p in start]
    trained = with_images(predictions(60, skill=0.9), films)
    trained = [dataclasses.replace(p, question=f"{p.question} {EVIL}") for p in trained]
    change = compare_predictions(start, trained, resamples=100)
    return [
        Arm(NAMES[0], start, summarize(start, resamples=100)),
        Arm(NAMES[1], trained, summarize(trained, resamples=100), change),
    ]


@pytest.fixture(scope="module")
def source(arms: list[Arm], tmp_path_factory: pytest.TempPathFactory) -> str:
    curves = [
        Curve(NAMES[1], panel, range(1, 31), [i / 30 for i in range(30)])
        for panel in ("Answer reward", "Entropy")
    ]
    out = build(
        tmp_path_factory.mktemp("report") / "deep" / "report.html",
        title=f"Demo {EVIL}",
        arms=arms,
        curves=curves,
        films=choose_films(arms, count=6),
        baseline=NAMES[0],
        notes=[f"A note {EVIL}"],
        date_time=datetime.datetime(2030, 1, 2, 3, 4),
    )
    return out.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def page(source: str) -> Page:
    return Page(source)


def test_tags_close_as_they_open_and_the_header_says_what_it_is(page: Page) -> None:
    assert page.open == []
    assert "Research use only. Not a medical device." in page.text
    assert "2030-01-02 03:04" in page.text
    assert "60 examples of 15 patients" in page.text


def test_text_stays_text(page: Page, source: str) -> None:
    assert "<script>alert" not in source
    assert page.text.count(EVIL) >= 8  # title, heading, note, six questions
    assert page.count("b") == 0


def test_nothing_is_loaded_from_anywhere(page: Page) -> None:
    for tag, attributes in page.elements:
        for name in ("src", "href", "srcset", "action", "data"):
            target = attributes.get(name) or "#"
            assert target.startswith(("#", "data:image/png;base64,")), (tag, name, target[:60])
    policy = [a["content"] for t, a in page.elements if t == "meta" and a.get("http-equiv")]
    assert policy
    assert str(policy[0]).startswith("default-src 'none'")


def test_the_style_sheet_loads_nothing(source: str) -> None:
    style = source[source.index("<style>") : source.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style


def test_numbers_in_the_table_equal_the_summary(page: Page, arms: list[Arm]) -> None:
    names = [metric.name for metric in tables.ROWS if metric.on_page]
    assert len(page.cells) == len(arms) * len(names)
    for arm in arms:
        for name in names:
            shown = " ".join(page.cells[arm.name, name].split())
            assert shown.startswith(tables.value_text(arm.summary[name], name))
            change = (arm.comparison or {}).get(name)
            assert (tables.difference_text(change, name) if change else "") in shown
            verdict = next((word for word in ("better", "worse") if word in shown), "")
            assert verdict == tables.verdict(change, name)


def test_every_chart_is_there_and_the_library_once(page: Page, source: str) -> None:
    assert page.count("figure", "chart") == 4  # accuracy and graph F1 by kind, two training panels
    assert source.count("Plotly.newPlot(") >= 4
    assert len(re.findall(r"\* plotly\.js v", source)) == 1


def test_every_film_shows_question_answers_graphs_and_confidence(page: Page, arms: list[Arm]) -> None:
    assert page.count("article", "film") == 6
    assert page.count("section", "reading") == 12
    assert page.count("img") == 6
    assert page.count("p", "tokens") == 12
    for film in choose_films(arms, count=6):
        assert film.id in page.text


def test_details_can_be_reached_by_keyboard(page: Page) -> None:
    assert page.count("details") == page.count("summary") > 0


def test_chosen_films_hold_every_kind_and_pattern(arms: list[Arm]) -> None:
    chosen = choose_films(arms, count=24)
    assert len({film.id for film in chosen}) == 24
    assert chosen == choose_films(arms, count=24)
    kinds = {next(iter(film.predictions.values())).kind for film in chosen}
    assert kinds == {"basic", "region", "compare"}
    patterns = {tuple(p.is_correct for p in film.predictions.values()) for film in chosen}
    every = {(a.is_correct, b.is_correct) for a, b in zip(*(arm.predictions for arm in arms), strict=True)}
    assert patterns == every
    assert choose_films([]) == []


def test_pieces_add_up_to_the_text_and_mark_whole_words() -> None:
    found = cards.pieces(
        "No Pleural  effusion; effusions absent.", Graph.of([("pleural effusion", "disorder_notpresent")])
    )
    assert "".join(piece["text"] for piece in found) == "No Pleural  effusion; effusions absent."
    assert [(p["text"], p["title"]) for p in found if p["label"]] == [
        ("Pleural  effusion", "finding, absent")
    ]


def test_a_text_with_two_labels_names_both() -> None:
    both = Graph.of([("nodule", "disorder_present"), ("nodule", "disorder_notpresent")])
    assert cards.pieces("nodule", both)[0]["title"] == "finding, absent and finding, present"


def test_graph_rows_mark_matched_missed_and_invented() -> None:
    reference, predicted = graph({"opacity": "left lower", "nodule": None}), graph({"opacity": "left upper"})
    rows = cards.graph_rows(reference, predicted)
    marks = {(row["head"]["text"], row["type"]): row["status"] for row in rows}
    assert marks == {
        ("opacity", "located at"): "matched",
        ("left lower", "modify"): "missed",
        ("left upper", "modify"): "invented",
        ("nodule", ""): "missed",
    }
    assert cards.counts(rows) == {"matched": 1, "missed": 2, "invented": 1}


def test_a_right_answer_with_another_graph_is_marked() -> None:
    one = dataclasses.replace(
        predictions(1)[0], is_correct=True, graph_predicted=graph({"opacity": None}).to_dict()
    )
    wrong = dataclasses.replace(one, graph_reference=graph({"nodule": "left lower"}).to_dict())
    wrong = dataclasses.replace(wrong, clinical={**one.clinical, "is_wrong": 1.0})
    assert cards.reading("x", wrong)["wrong_reason"] is True
    against_itself = {"clinical": {**one.clinical, "is_wrong": 0.0}, "consistency": "contradicts"}
    assert cards.reading("x", dataclasses.replace(one, **against_itself))["wrong_reason"] is True
    agreeing = against_itself | {"consistency": "silent"}
    assert cards.reading("x", dataclasses.replace(one, **agreeing))["wrong_reason"] is False
    assert cards.reading("x", wrong)["f1"] == "F1 0.00"
    assert cards.reading("x", dataclasses.replace(wrong, is_correct=False))["wrong_reason"] is False
    nothing = dataclasses.replace(one, graph_reference=Graph().to_dict())
    assert cards.reading("x", nothing)["f1"] == "not scorable"


def test_token_confidence_needs_one_probability_a_token() -> None:
    one = predictions(1)[0]
    assert len(cards.tokens(one)) == len(one.generated_tokens)
    assert cards.tokens(dataclasses.replace(one, token_probabilities=(0.5,))) == []
    by_log = dataclasses.replace(
        one, token_probabilities=(), token_logprobs=(0.0,), generated_tokens=(" heart",), token_ids=(1,)
    )
    assert cards.tokens(by_log) == [{"text": " heart", "p": 1.0, "alpha": 0.0, "unsure": False}]


def test_the_style_sheet_has_the_width_that_decides_what_is_enlarged() -> None:
    style = Path(cards.__file__).with_name("templates").joinpath("style.css").read_text(encoding="utf-8")
    assert re.findall(r"--film-width: (\d+)px", style) == [str(cards.DISPLAY_WIDTH)]


def test_a_film_is_embedded_small_or_missed_without_harm(films: list[str], tmp_path: Path) -> None:
    small, large = cards.embed(films[0]), cards.embed(films[2])
    assert small is not None
    assert large is not None
    assert (small["width"], small["enlarged"]) == (64, True)
    assert (large["width"], large["enlarged"]) == (512, False)
    inside = Image.open(io.BytesIO(base64.b64decode(small["uri"].partition(",")[2])))
    assert inside.size == (64, 64)
    assert cards.embed(small["uri"]) is not None
    (tmp_path / "text.png").write_text("no image")
    assert cards.embed(str(tmp_path / "text.png")) is None
    assert cards.embed(str(tmp_path / "absent.png")) is None
    assert cards.embed("data:image/png;base64,@@@") is None


def test_a_deep_film_is_embedded_as_the_policy_got_it(tmp_path: Path) -> None:
    """Stretched over its window, and upright: not cut at 255."""
    ramp = np.tile(np.linspace(100, 4095, 64), (48, 1)).astype(np.uint16)
    tags = Image.Exif()
    tags[0x0112] = 3
    Image.fromarray(ramp).save(tmp_path / "deep.png", exif=tags)
    card = cards.embed(str(tmp_path / "deep.png"))
    assert card is not None
    with Image.open(io.BytesIO(base64.b64decode(card["uri"].partition(",")[2]))) as inside:
        assert inside.mode == "L"
        wanted = np.asarray(load_image("deep.png", tmp_path))[..., 0]
        assert (np.asarray(inside) == wanted).all()
    assert wanted[0, 0] == 255
    assert 120 < wanted.mean() < 135


def test_moving_mean_keeps_length_and_a_constant() -> None:
    assert smooth([2.0] * 40) == [2.0] * 40
    assert smooth([1.0, 2.0, 3.0], 3) == [1.5, 2.0, 2.5]
    assert smooth([]) == []


def evaluation(folder: Path, rows: list[Prediction], *, model: Path | None = None, started: str = "") -> Path:
    write(folder / "predictions.jsonl", rows)
    (folder / "summary.json").write_text(json.dumps(summarize(rows, resamples=50)))
    (folder / "manifest.json").write_text(json.dumps({"stage": "evaluate", "seed": 0, "started": started}))
    (folder / "config.yaml").write_text(yaml.safe_dump({"model": str(model)}))
    return folder


def training(folder: Path, rows: list[dict[str, float]]) -> Path:
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text("{}")
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


GRPO = [
    {"step": s, "rewards/external_r1v_acc/mean": 0.5, "entropy": 0.4, "loss": 0.1, "reward": 1.0}
    for s in (1, 2)
]


def test_report_of_a_training_run_and_two_evaluations(tmp_path: Path) -> None:
    grpo = training(tmp_path / "grpo_acc", GRPO)
    start = evaluation(
        tmp_path / "start", with_images(predictions(20, skill=0.5), [str(tmp_path / "gone.png")])
    )
    after = evaluation(tmp_path / "after", predictions(20, skill=0.9), model=grpo / "model")
    page = Page(build_from_runs([start, grpo, after], tmp_path / "r.html").read_text())
    assert page.open == []
    assert {arm for arm, _ in page.cells} == {"start", "after"}
    assert page.count("figure", "chart") == 4
    assert page.count("article", "film") == 12
    assert "film not available" in page.text


def test_report_of_a_folder_that_holds_its_stages_starts_with_the_oldest(tmp_path: Path) -> None:
    demo = tmp_path / "demo"
    training(demo / "grpo_acc", GRPO)
    evaluation(demo / "a_test", predictions(8, skill=0.9), started="2030-01-02")
    evaluation(demo / "start" / "test", predictions(8), started="2030-01-01")
    page = Page(build_from_runs([demo], tmp_path / "r.html").read_text())
    assert list(dict.fromkeys(arm for arm, _ in page.cells)) == ["start/test", "a_test"]


@pytest.mark.parametrize(
    ("left_out", "note"),
    [
        ("summary.json", "no curves"),  # computed again
        ("predictions.jsonl", "no films and no paired differences"),
        ("manifest.json", "no curves"),
        ("config.yaml", "no curves"),
    ],
)
def test_missing_parts_are_noted(tmp_path: Path, left_out: str, note: str) -> None:
    run = evaluation(tmp_path / "run", predictions(12))
    expected = Page(build_from_runs([run], tmp_path / "whole.html").read_text()).cells
    (run / left_out).unlink()
    page = Page(build_from_runs([run], tmp_path / "part.html").read_text())
    assert page.cells.keys() == expected.keys()
    assert note in page.text


def test_other_examples_give_a_note_and_no_difference(tmp_path: Path) -> None:
    runs = [evaluation(tmp_path / "a", predictions(12)), evaluation(tmp_path / "b", predictions(8))]
    page = Page(build_from_runs(runs, tmp_path / "r.html").read_text())
    assert "b and a answered different examples" in page.text


def test_nothing_to_report_is_an_input_error_and_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"no predictions\.jsonl"):
        build_from_runs([tmp_path / "empty"], tmp_path / "r.html")
    with pytest.raises(InputError, match="does not exist"):
        build_from_runs([tmp_path / "absent"], tmp_path / "r.html")
    assert not (tmp_path / "r.html").exists()


def test_training_alone_gives_curves(tmp_path: Path) -> None:
    page = Page(build_from_runs([training(tmp_path / "grpo", GRPO)], tmp_path / "r.html").read_text())
    assert page.count("figure", "chart") == 2
    assert page.count("table") == 0


def test_what_a_run_was_warned_of_stands_in_the_notes(tmp_path: Path) -> None:
    grpo = training(tmp_path / "grpo_kg", GRPO)
    row = {"step": 7, "kind": "zero_spread", "message": "no group had a spread of rewards"}
    (grpo / "diagnostics.jsonl").write_text(json.dumps(row) + "\n")
    page = Page(build_from_runs([grpo], tmp_path / "r.html").read_text())
    assert "grpo_kg, step 7: no group had a spread of rewards." in page.text


def test_curves_of_each_kind_of_run(tmp_path: Path) -> None:
    panels = {curve.panel for curve in read_curves(training(tmp_path / "grpo", GRPO), "x")}
    assert panels == {"Answer reward", "Entropy, nats a token"}
    rows = [row | {"rollout/forwards": 40.0 - row["step"], "rollout/accepted": 0.5} for row in GRPO]
    values = {c.panel: list(c.values) for c in read_curves(training(tmp_path / "drafts", rows), "x")}
    assert values["Forwards that sample a batch"] == [39.0, 38.0]
    assert values["Share of drafts that were right"] == [0.5, 0.5]
    sft = training(
        tmp_path / "sft", [{"step": 1, "loss": 2.0, "entropy": 1.0}, {"step": 1, "train_runtime": 3.0}]
    )
    assert [(c.panel, list(c.values)) for c in read_curves(sft, "x")] == [("SFT loss", [2.0])]
    one = training(tmp_path / "product", [{"step": 1, "reward": 0.4, "rewards/product/mean": 0.4}])
    assert [curve.panel for curve in read_curves(one, "x")] == ["Total reward"]
    assert read_curves(tmp_path, "x") == []


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ({"step": 1}, "line 1 has no step, token_ids and rewards: repair or remove the line"),
        (
            {"step": 1, "token_ids": [], "rewards": {"r": "1"}},
            "line 1 has a reward that is not a number: repair",
        ),
    ],
)
def test_completions_of_another_form(row: dict[str, Any], sentence: str, tmp_path: Path) -> None:
    (tmp_path / "completions.jsonl").write_text(json.dumps(row) + "\n")
    with pytest.raises(InputError, match=sentence):
        read_curves(tmp_path, "x")


def test_files_of_another_form_make_no_page(tmp_path: Path) -> None:
    grpo = training(tmp_path / "grpo", GRPO)
    (grpo / "diagnostics.jsonl").write_text('{"step": 1}\n')
    with pytest.raises(InputError, match="line 1 has no step and message: repair or remove the line"):
        build_from_runs([grpo], tmp_path / "r.html")
    run = evaluation(tmp_path / "run", predictions(4))
    (run / "summary.json").write_text(json.dumps({"accuracy": {}, "by_kind": 1}))
    with pytest.raises(
        InputError, match=r"summary\.json holds figures of another form: remove it, or evaluate"
    ):
        build_from_runs([run], tmp_path / "r.html")
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"notes\.txt exists and is not an HTML page: choose another --out"):
        check_page(tmp_path / "notes.txt")


def test_curves_from_completions_are_means_over_a_step(tmp_path: Path) -> None:
    rewards = [(1, 1.0, None), (1, 0.0, 0.5), (2, 1.0, 0.7)]
    rows = [
        {"step": step, "token_ids": [1] * step, "rewards": {"external_r1v_acc": acc, "external_kg_jac": kg}}
        for step, acc, kg in rewards
    ]
    (tmp_path / "completions.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = {curve.panel: (list(curve.steps), list(curve.values)) for curve in read_curves(tmp_path, "x")}
    assert found == {
        "Answer reward": ([1, 2], [0.5, 1.0]),
        "Graph reward": ([1, 2], [0.5, 0.7]),
        "Completion length, tokens": ([1, 2], [1.0, 2.0]),
    }
