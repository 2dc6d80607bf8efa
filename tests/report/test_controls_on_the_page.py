"""The page's table of film controls: its cells are those of the terminal, and bad figures make no page."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from synthetic_predictions import predictions, write

from chexphi.evaluation.film_controls.figures import control_figures
from chexphi.evaluation.film_controls.table import control_rows, sentences
from chexphi.evaluation.summary import summarize
from chexphi.graph.lexicon.extractor import LexiconExtractor
from chexphi.report.build import build_from_runs
from chexphi.schema import InputError


def figures() -> dict[str, Any]:
    by_control = {"blank": predictions(60, skill=0.1), "shuffle": predictions(60, skill=0.2)}
    return control_figures(predictions(60), by_control, LexiconExtractor())


def evaluation(folder: Path, controls: Any) -> Path:
    rows = predictions(60)
    write(folder / "predictions.jsonl", rows)
    summary = summarize(rows, resamples=20) | ({} if controls is None else {"controls": controls})
    (folder / "summary.json").write_text(json.dumps(summary))
    return folder


def cells(page: str) -> list[list[str]]:
    section = page.partition('<section id="controls"')[2].partition("</section>")[0]
    rows = re.findall("<tr>(.*?)</tr>", section)
    return [re.findall("<t[hd][^>]*>(.*?)</t[hd]>", row) for row in rows]


def test_the_page_has_the_cells_of_the_terminal(tmp_path: Path) -> None:
    controls = figures()
    page = build_from_runs([evaluation(tmp_path / "run", controls)], tmp_path / "r.html").read_text()
    columns, rows = control_rows(controls)
    assert cells(page) == [columns, *rows]
    assert all(sentence in page for sentence in sentences(controls))
    assert 'href="#controls"' in page


def test_without_controls_there_is_no_section(tmp_path: Path) -> None:
    page = build_from_runs([evaluation(tmp_path / "run", None)], tmp_path / "r.html").read_text()
    assert "Does it look at the film?" not in page


@pytest.mark.parametrize(
    "change",
    [
        {"n": "60"},
        {"as_shown": []},
        {"blank": {"accuracy": 0.5}},
        {"blank": {"accuracy": {"value": "0.5", "low": None, "high": None, "n": 3}}},
        {"image_sensitivity": 0.3},
    ],
)
def test_figures_of_another_form_make_no_page(change: dict[str, Any], tmp_path: Path) -> None:
    folder = evaluation(tmp_path / "run", figures() | change)
    with pytest.raises(InputError, match=r"summary\.json holds figures of another form"):
        build_from_runs([folder], tmp_path / "r.html")
    assert not (tmp_path / "r.html").exists()
