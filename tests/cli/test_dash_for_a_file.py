"""`-` for standard input and standard output: the same as a file, or a clear refusal."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from synthetic_predictions import predictions, write

GOLD = "<think>There is a left pleural effusion.</think><answer>yes</answer>"


def chexphi(
    *words: object, text: str | bytes = "", cwd: Path | None = None, closed: str = ""
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "chexphi", *map(str, words)]
    if closed:
        command = ["sh", "-c", f'exec "$@" {closed}', "sh", *command]
    done = subprocess.run(
        command, input=text.encode() if isinstance(text, str) else text, capture_output=True, cwd=cwd
    )
    return subprocess.CompletedProcess(command, done.returncode, done.stdout.decode(), done.stderr.decode())


@pytest.fixture(scope="module")
def pool(subsets: Path) -> Path:
    return next(iter(sorted(subsets.glob("**/*.json"))))


@pytest.fixture(scope="module")
def scored(pool: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = [
        {"id": row["id"], "question_type": "", "kind": "basic", "correct": [0.0, 1.0]}
        for row in json.loads(pool.read_text())
    ]
    file = tmp_path_factory.mktemp("scored") / "scored.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def test_data_check_reads_either_form_and_finds_films_from_the_working_folder(pool: Path) -> None:
    expected = chexphi("data", "check", pool, "--json")
    rows = json.loads(pool.read_text())
    for text in (pool.read_text(), "\n".join(map(json.dumps, rows))):
        done = chexphi("data", "check", "-", "--json", text=text, cwd=pool.parent)
        assert done.returncode == 0, done.stderr
        figures, others = json.loads(done.stdout), json.loads(expected.stdout)
        assert figures["rows"] == others["rows"]
        assert figures["images"] == others["images"]


def test_selected_rows_go_through_a_pipe(pool: Path, scored: Path) -> None:
    picked = chexphi("mine", "select", scored, "-", "-n", 3, "--out", "-", text=pool.read_text())
    assert picked.returncode == 0, picked.stderr
    assert len(picked.stdout.splitlines()) == 3
    assert "out: -\n" in picked.stderr
    assert "rows: 3\n" in picked.stderr
    checked = chexphi("data", "check", "-", text=picked.stdout, cwd=pool.parent)
    assert "rows: 3\n" in checked.stdout


def test_rewards_and_graphs_and_predictions_are_read(tmp_path: Path) -> None:
    row = json.dumps({"id": 1, "completion": GOLD, "solution": GOLD})
    assert "mean total: 2.0" in chexphi("rewards", "score", "-", text=row).stdout
    graphs = tmp_path / "kg.jsonl"
    extracted = chexphi("kg", "extract", "-", "--out", "-", text="A small left effusion.")
    graphs.write_text(extracted.stdout)
    audit = chexphi("kg", "audit", graphs, "-", "--json", text=extracted.stdout)
    assert json.loads(audit.stdout)["entities"]["f1"] == 1.0
    file = write(tmp_path / "predictions.jsonl", predictions(20))
    same = chexphi("compare", file, "-", "--json", text=file.read_text())
    assert json.loads(same.stdout)["n"] == 20


def test_a_report_goes_to_standard_output(tmp_path: Path) -> None:
    write(tmp_path / "predictions.jsonl", predictions(20))
    done = chexphi("report", tmp_path, "--out", "-")
    assert done.returncode == 0, done.stderr
    assert done.stdout.lstrip().startswith("<!")
    assert done.stdout.rstrip().endswith("</html>")
    assert done.stderr.splitlines()[-1] == "out: -"


@pytest.mark.parametrize(
    ("words", "closed", "sentence"),
    [
        (["kg", "audit", "-", "-"], "", "- is given twice, and there is one standard input"),
        (["rewards", "score", "-"], "<&-", "- is given, and standard input is closed: name a file"),
        (["rewards", "score", "-"], "", "standard input, line 2 is not JSON that can be read"),
        (["mine", "select", "-", "x.json", "--out", "-", "--json"], "", "where --json has its object"),
        (["mine", "select", "-", "x.json", "--out", "-"], ">&-", "standard output is closed"),
        (["report", "x", "--out", "-", "--json"], "", "where --json has its object"),
        (["demo", "--out", "-"], "", "this verb does not write to standard output"),
        (["demo", "--out=-"], "", "this verb does not write to standard output"),
        (["data", "phantom", "--out", "-"], "", "this verb does not write to standard output"),
        (["rewards", "probe", "-", "--out", "-"], "", "this verb does not write to standard output"),
    ],
)
def test_what_cannot_be_is_one_sentence(words: list[str], closed: str, sentence: str, tmp_path: Path) -> None:
    row = json.dumps({"id": 1, "completion": GOLD, "solution": GOLD})
    done = chexphi(*words, text=row + "\n{", cwd=tmp_path, closed=closed)
    assert done.returncode == 2, done.stderr
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert os.listdir(tmp_path) == []


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert chexphi("rewards", "score", "-", text="{").returncode == 2
    assert list(tmp_path.iterdir()) == []
