"""Files of graphs and annotations that cannot be used, and engines that there are not."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from chexphi.kg import annotated, extract, radgraph_f1
from chexphi.kg.input_texts import read_texts
from chexphi.schema import InputError

GRAPH: dict[str, Any] = {"doc_key": "a", "entities": {}, "relations": []}


def written(path: Path, *rows: Any) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_graphs_with_one_key(tmp_path: Path) -> None:
    path = written(tmp_path / "kg.jsonl", GRAPH, GRAPH)
    with pytest.raises(
        InputError, match=r"kg\.jsonl, line 2: doc_key 'a' is there twice: make the keys unique"
    ):
        extract.read_graphs(path)


def test_files_of_other_texts(tmp_path: Path) -> None:
    graphs = [written(tmp_path / f"{key}.jsonl", GRAPH | {"doc_key": key}) for key in "ab"]
    with pytest.raises(
        InputError, match=r"a\.jsonl and .*b\.jsonl share no doc_key: they are of other texts"
    ):
        extract.audit(*graphs)
    row = {"text": "Clear lungs .", "entities": {}}
    reports = [written(tmp_path / f"{key}.json", {key: row}) for key in "ab"]
    with pytest.raises(InputError, match=r"a\.json and .*b\.json share no report: they are of other texts"):
        radgraph_f1.radgraph_f1(*reports)


def test_files_without_annotations(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a file: name a JSON file of RadGraph's annotations"):
        radgraph_f1.read_annotations(tmp_path)
    with pytest.raises(InputError, match=r"none\.jsonl has no annotated sentence: "):
        annotated.read_annotated(written(tmp_path / "none.jsonl"))


def test_an_engine_or_a_place_that_there_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "report.txt").write_text("Clear lungs.")
    rows = read_texts([tmp_path / "report.txt"]).rows
    options: dict[str, Any] = {"extractor": "lexicon", "options": {}}
    with pytest.raises(InputError, match="engine is 'spark': use local or ray"):
        extract.extract(rows, tmp_path / "kg.jsonl", engine="spark", **options)
    monkeypatch.setattr(sys, "stdout", None)  # as Python has it where file descriptor 1 is closed
    with pytest.raises(
        InputError, match="--out is '-', and standard output is closed: name a file for --out"
    ):
        extract.extract(rows, None, **options)
    assert not (tmp_path / "kg.jsonl").exists()
