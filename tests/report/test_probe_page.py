"""The page and the tables of `chexphi rewards probe`."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from chexphi.report import probe as report

NAMES = ("total", "external_r1v_acc")


def cheat(name: str, total: float | None) -> dict[str, Any]:
    means = dict.fromkeys(NAMES, total)
    return {"name": name, "form": "", "rows": 4, "earned": means, "gold": means, "ratio": means}


@pytest.fixture
def found() -> dict[str, Any]:
    setups = [
        {"name": name, "settings": {}, "tried": 7, "cheats": [cheat("gold", 1.0), cheat("all", paid)]}
        for name, paid in (("default", 0.25), ("<b>&co", None))
    ]
    setups[1]["cheats"] = [
        entry | {key: {"total": entry[key]["total"]} for key in ("earned", "gold", "ratio")}
        for entry in setups[1]["cheats"]
    ]
    return {"rows": 4, "rows_without_explanation": 2, "seed": 0, "flipped": 1.0, "configurations": setups}


def test_the_page_stands_alone(found: dict[str, Any], tmp_path: Path) -> None:
    page = report.page(found, {"all": "everything"}, tmp_path / "probe.html", title="Probe").read_text()
    assert page.count("plotly.js v") == 1  # the library is there, and once
    markup = re.sub(r"<script\b.*?</script>", "", page, flags=re.DOTALL)
    assert not re.search(r"\b(?:src|href)=\"(?!#)", markup)
    assert "0.250 (0.250)" in markup
    assert "2 without explanation left out" in markup
    assert "<b>&co" not in markup
    assert "&lt;b&gt;&amp;co" in markup
    assert len(re.findall("<figure", markup)) == len(NAMES)


def test_the_tables_have_a_row_a_cheat(found: dict[str, Any]) -> None:
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(report.tables(found))
    text = console.export_text()
    assert text.count("gold") >= 2
    assert "0.250 (0.250)" in text
    assert "<b>&co" in text
