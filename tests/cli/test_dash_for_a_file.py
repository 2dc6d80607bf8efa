"""`-` for standard input and standard output: the same as a file, or a clear refusal."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from synthetic_predictions import predictions, write

from chexphi.cli import main, standard_input, standard_output
from chexphi.schema import InputError

GOLD = "<think>There is a left pleural effusion.</think><answer>yes</answer>"


class Ended(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def chexphi(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., Ended]]:
    """`chexphi WORDS` in this process, with a text as standard input."""

    def run(*words: object, text: str = "", cwd: Path | None = None) -> Ended:
        standard_input._files.clear()
        if cwd:
            monkeypatch.chdir(cwd)
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text.encode())))
        monkeypatch.setattr(sys, "argv", ["chexphi", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        return Ended(int(ended.value.code or 0), *capsys.readouterr())

    yield run
    standard_input._files.clear()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def in_shell(redirection: str, *words: object, text: str = "") -> subprocess.CompletedProcess[str]:
    """`chexphi WORDS` in a process of its own, with a redirection such as `<&-`."""
    command = [
        "sh",
        "-c",
        f'exec "$@" {redirection}',
        "sh",
        sys.executable,
        "-m",
        "chexphi",
        *map(str, words),
    ]
    return subprocess.run(command, input=text, capture_output=True, text=True)


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


def test_data_check_reads_either_form_and_finds_films_from_the_working_folder(
    chexphi: Callable[..., Ended], pool: Path
) -> None:
    expected = chexphi("data", "check", pool, "--json")
    rows = json.loads(pool.read_text())
    for text in (pool.read_text(), "\n".join(map(json.dumps, rows))):
        done = chexphi("data", "check", "-", "--json", text=text, cwd=pool.parent)
        assert done.returncode == 0, done.stderr
        figures, others = json.loads(done.stdout), json.loads(expected.stdout)
        assert figures["rows"] == others["rows"]
        assert figures["images"] == others["images"]


def test_selected_rows_go_through_a_pipe(chexphi: Callable[..., Ended], pool: Path, scored: Path) -> None:
    picked = chexphi("mine", "select", scored, "-", "-n", 3, "--out", "-", text=pool.read_text())
    assert picked.returncode == 0, picked.stderr
    assert len(picked.stdout.splitlines()) == 3
    assert "out: -\n" in picked.stderr
    assert "rows: 3\n" in picked.stderr
    checked = chexphi("data", "check", "-", text=picked.stdout, cwd=pool.parent)
    assert "rows: 3\n" in checked.stdout
    assert "file: standard input\n" in checked.stdout


def test_rewards_and_graphs_and_predictions_are_read(chexphi: Callable[..., Ended], tmp_path: Path) -> None:
    row = json.dumps({"id": 1, "completion": GOLD, "solution": GOLD})
    assert "mean total: 2.000" in chexphi("rewards", "score", "-", text=row).stdout
    graphs = tmp_path / "kg.jsonl"
    extracted = chexphi("kg", "extract", "-", "--out", "-", text="A small left effusion.")
    graphs.write_text(extracted.stdout)
    audit = chexphi("kg", "audit", graphs, "-", "--json", text=extracted.stdout)
    assert json.loads(audit.stdout)["entities"]["f1"] == 1.0
    file = write(tmp_path / "predictions.jsonl", predictions(20))
    same = chexphi("compare", file, "-", "--json", text=file.read_text())
    assert json.loads(same.stdout)["n"] == 20


def test_a_report_goes_to_standard_output(chexphi: Callable[..., Ended], tmp_path: Path) -> None:
    write(tmp_path / "predictions.jsonl", predictions(20))
    done = chexphi("report", tmp_path, "--out", "-")
    assert done.returncode == 0, done.stderr
    assert done.stdout.lstrip().startswith("<!")
    assert done.stdout.rstrip().endswith("</html>")
    assert done.stderr.splitlines()[-1] == "out: -"


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["kg", "audit", "-", "-"], "- is given twice, and there is one standard input"),
        (["rewards", "score", "-"], "standard input, line 2 is not JSON that can be read"),
        (["mine", "select", "-", "x.json", "--out", "-", "--json"], "where --json has its object"),
        (["report", "x", "--out", "-", "--json"], "where --json has its object"),
        (["demo", "--out", "-"], "this verb does not write to standard output"),
        (["demo", "--out=-"], "this verb does not write to standard output"),
        (["data", "phantom", "--out", "-"], "this verb does not write to standard output"),
        (["rewards", "probe", "-", "--out", "-"], "this verb does not write to standard output"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    chexphi: Callable[..., Ended], words: list[str], sentence: str, tmp_path: Path
) -> None:
    row = json.dumps({"id": 1, "completion": GOLD, "solution": GOLD})
    done = chexphi(*words, text=row + "\n{", cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert sentence in done.stderr
    assert os.listdir(tmp_path) == []


def test_closed_streams_are_one_sentence_and_nothing_is_left_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    for redirection, words, sentence in (
        ("<&-", ["rewards", "score", "-"], "- is given, and standard input is closed: name a file"),
        (">&-", ["mine", "select", "-", "x.json", "--out", "-"], "standard output is closed: name a file"),
        ("", ["rewards", "score", "-"], "standard input is not JSON that can be read"),
    ):
        done = in_shell(redirection, *words, text="{")
        assert done.returncode == 2, done.stderr
        assert sentence in done.stderr.replace(", line 1", "")
        assert "Traceback" not in done.stderr
        assert list(tmp_path.iterdir()) == []


def test_closed_streams_are_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As Python gives them where the shell closed them."""
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(InputError, match=r"^- is given, and standard input is closed: name a file$"):
        standard_input.input_file(Path("-"))
    monkeypatch.setattr(sys, "stdout", None)
    with (
        pytest.raises(
            InputError, match=r"^--out is '-', and standard output is closed: name a file for --out$"
        ),
        standard_output.output_file(Path("-"), ".json", as_json=False),
    ):
        pytest.fail("there is no output")
