"""`chexphi kg`: texts in every form, graphs as they come, resumed, compared and shown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from chexphi.cli import app
from chexphi.graph.lexicon.extractor import LexiconExtractor
from chexphi.graph.records import from_row, to_row
from chexphi.kg import extract
from chexphi.kg.input_texts import read_texts
from chexphi.runs import jsonl
from chexphi.schema import InputError

TEXTS = [
    "There is a small left effusion. No pneumothorax.",
    "Possible nodule in the right upper lobe.",
    "<think>The heart is enlarged.</think><answer>cardiomegaly</answer>",
]


def invoke(*argv: object, stdin: str | None = None) -> Result:
    return CliRunner().invoke(app, ["kg", *map(str, argv)], input=stdin)


def write_rows(path: Path, rows: list[dict[str, object]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    return write_rows(
        tmp_path / "texts.jsonl", [{"id": f"t{n}", "text": text} for n, text in enumerate(TEXTS)]
    )


def test_extract_writes_what_the_extractor_finds(texts: Path, tmp_path: Path) -> None:
    done = invoke("extract", texts, "--out", tmp_path / "kg.jsonl", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == {
        "out": str(tmp_path / "kg.jsonl"),
        "texts": 3,
        "new": 3,
        "bad_lines": 0,
    }
    found = dict(from_row(row) for row in jsonl.read(tmp_path / "kg.jsonl"))
    reasoning = [*TEXTS[:2], "The heart is enlarged."]  # of a tagged text the answer is no part
    assert list(found) == ["t0", "t1", "t2"]
    assert list(found.values()) == LexiconExtractor().extract(reasoning)
    assert found["t1"].uncertain == {("nodule", "disorder_present")}


@pytest.mark.parametrize(
    ("lines", "keys"),
    [
        ("No effusion.\n\n{sic} Heart enlarged.\n", ["1"]),
        ('{"id": 7, "text": "No effusion."}\n', ["7"]),
        (
            '{"id": "p", "question": "?", "generated_text": "<think>Edema.</think><answer>yes</answer>"}\n',
            ["p"],
        ),
    ],
)
def test_forms_of_texts_on_standard_input(lines: str, keys: list[str], tmp_path: Path) -> None:
    done = invoke("extract", "-", "--out", tmp_path / "kg.jsonl", stdin=lines)
    assert done.exit_code == 0, done.output
    assert [row["doc_key"] for row in jsonl.read(tmp_path / "kg.jsonl")] == keys


def test_an_interrupted_extraction_goes_on(texts: Path, tmp_path: Path) -> None:
    whole, torn = tmp_path / "whole.jsonl", tmp_path / "torn.jsonl"
    invoke("extract", texts, "--out", whole)
    content = whole.read_bytes()
    torn.write_bytes(content[: content.index(b"\n") + 30])  # killed within the second line
    assert isinstance(invoke("extract", texts, "--out", torn).exception, InputError)
    done = invoke("extract", texts, "--out", torn, "--resume", "--json")
    assert json.loads(done.stdout)["new"] == 2
    assert torn.read_bytes() == content
    torn.write_text(json.dumps(to_row("other", LexiconExtractor().parse(["Edema."])[0])) + "\n")
    done = invoke("extract", texts, "--out", torn, "--resume")
    assert "of other texts" in str(done.exception)


def test_several_processes_write_the_same(tmp_path: Path) -> None:
    rows = [(str(n), f"{TEXTS[n % 2]} Case {n}.") for n in range(200)]
    one, two = tmp_path / "one.jsonl", tmp_path / "two.jsonl"
    extract.extract(rows, one, extractor="lexicon", options={})
    extract.extract(rows, two, extractor="lexicon", options={"cache": tmp_path / "cache.sqlite"}, workers=2)
    assert one.read_bytes() == two.read_bytes()


def test_graphs_on_standard_output_come_with_the_rest_on_standard_error(
    texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    invoke("extract", texts, "--out", "kg.jsonl")
    done = invoke("extract", texts, "--out", "-")
    assert done.stdout == Path("kg.jsonl").read_text()
    assert "texts: 3" in done.stderr
    assert "texts.jsonl: JSON lines, rows: 3, text from 'text', keys from 'id'" in done.stderr
    assert not Path("-").exists()


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("extract", "texts.jsonl", "--out", "-", "--resume"), "leave --resume out"),
        (("extract", "texts.jsonl", "--out", "-", "--json"), "leave --json out"),
        (("extract", "texts.jsonl", "--out", "texts.jsonl", "--overwrite"), "both read and written"),
        (("extract", "texts.jsonl", "--out", ".", "--overwrite"), "is a folder"),
        (("train", "texts.jsonl", "--encoder", "bert", "--out", "-"), "does not write to standard output"),
    ],
)
def test_places_that_cannot_be_written(
    argv: tuple[str, ...], message: str, texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = texts.read_bytes()
    done = invoke(*argv)
    assert isinstance(done.exception, InputError), done.output
    assert message in str(done.exception)
    assert texts.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["texts.jsonl"]


def test_a_text_to_show_comes_from_standard_input() -> None:
    shown = [invoke("show", "No effusion.", "--json"), invoke("show", "-", "--json", stdin="No effusion.\n")]
    assert shown[0].stdout == shown[1].stdout


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"[1, 2]", r"line 2: not a JSON object"),
        (b"Edema.", r"line 2: .*is not JSON"),
        (b"{not json", r"line 2: .*is not JSON"),
        (b'{"text": "Edema\xff"}', r"line 2: not UTF-8"),
        (b'{"id": "x"}', r"line 2: no text in field 'text'"),
        (b'{"id": "a", "text": "Edema."}', r"line 2: id 'a' is there twice"),
    ],
)
def test_bad_lines_are_named_and_left_out_only_when_asked(line: bytes, message: str, tmp_path: Path) -> None:
    source = tmp_path / "texts.jsonl"
    source.write_bytes(b'\xef\xbb\xbf{"id": "a", "text": "No effusion."}\r\n' + line + b"\n")
    with pytest.raises(InputError, match=message):
        read_texts([source])
    if "twice" not in message:
        read = read_texts([source], skip_bad=True)
        assert (read.rows, read.bad_rows) == ([("a", "No effusion.")], 1)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (("extract", "texts.jsonl", "--extractor", "foo"), "extractor is 'foo'"),
        (("extract", "texts.jsonl", "--extractor", "rexkg:nowhere"), "nowhere does not exist"),
        (("extract", "texts.jsonl", "--compat", "original"), "lexicon has no option 'compat'"),
        (("extract", "texts.jsonl", "--workers", "0"), "workers is 0"),
        (("extract", "nothing.jsonl"), "is not a file"),
        (("eval", "nothing.jsonl"), "is not a file"),
        (("eval", "."), "is not a file"),
        (("audit", "nothing.jsonl", "texts.jsonl"), "is not a file"),
    ],
)
def test_what_cannot_be_read_stops_before_anything_is_written(
    argv: tuple[str, ...], message: str, texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    out = ("--out", "kg.jsonl") if argv[0] == "extract" else ()
    done = invoke(*argv, *out)
    assert isinstance(done.exception, InputError), done.output
    assert message in str(done.exception)
    assert not (tmp_path / "kg.jsonl").exists()


def test_audit_matches_by_key_and_names_the_worst(texts: Path, tmp_path: Path) -> None:
    reference, prediction = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    invoke("extract", texts, "--out", reference)
    rows = list(jsonl.read(reference))[::-1]
    wrong = to_row("t0", LexiconExtractor().parse(["There is a small left effusion. A pneumothorax."])[0])
    write_rows(prediction, [*rows[:-1], wrong])
    found = json.loads(invoke("audit", reference, prediction, "--json").stdout)
    assert found["n"] == 3
    assert found["worst"][0]["doc_key"] == "t0"
    assert found["by_label"]["disorder_notpresent"] == {"precision": 0, "recall": 0, "f1": 0, "n": 1}
    assert found["entities"]["recall"] == pytest.approx(1 - 1 / found["entities"]["n"])
    assert found["entities"]["macro_f1"] == pytest.approx((2 * 2 / (2 * 2 + 2) + 1 + 1) / 3)
    assert "pneumothorax" not in json.dumps(found)  # figures and keys, no text
    shown = invoke("audit", reference, prediction)
    assert shown.exit_code == 0
    single = found["in_one_file_only"]
    assert (f"{single} in one file only" in " ".join(shown.stdout.split())) == bool(single)


def test_audit_compares_doubt_when_asked(texts: Path, tmp_path: Path) -> None:
    reference = tmp_path / "a.jsonl"
    invoke("extract", texts, "--out", reference)
    sure = to_row("t1", LexiconExtractor().parse(["A nodule in the right upper lobe."])[0])
    prediction = write_rows(tmp_path / "b.jsonl", [sure])

    def precision(*argv: object) -> float:
        return json.loads(invoke("audit", reference, *argv, "--json").stdout)["relations"]["precision"]

    assert precision(prediction) == precision(reference, "--uncertain") == 1
    assert precision(prediction, "--uncertain") == 0.5  # `nodule located_at lobe` is not `possible nodule …`


def test_the_original_form_is_read(tmp_path: Path) -> None:
    row = {
        "doc_key": "0",
        "sentences": " no effusion",
        "entities": {"effusion": "disorder_notpresent", "pleural": "anatomy"},
        "relations": [{"source_entity": "effusion", "target_entity": "pleural", "type": "located_at"}],
    }
    (graph,) = extract.read_graphs(write_rows(tmp_path / "kg.jsonl", [row])).values()
    assert graph.relations == {(("effusion", "disorder_notpresent"), "located_at", ("pleural", "anatomy"))}
    row["relations"] = [{"source_entity": "effusion", "target_entity": "lung", "type": "located_at"}]
    with pytest.raises(InputError, match="line 1 is not a graph"):
        extract.read_graphs(write_rows(tmp_path / "kg.jsonl", [row]))


GOOD_GRAPH = {
    "doc_key": "0",
    "sentences": "edema",
    "entities": {"edema": "disorder_present"},
    "relations": [],
}
WITH_PLACES = {
    "doc_key": "0",
    "sentences": "edema",
    "mentions": [["edema", "disorder_present", 0, 5]],
    "edges": [],
}


@pytest.mark.parametrize(
    "row",
    [
        GOOD_GRAPH | {"doc_key": [1]},
        GOOD_GRAPH | {"doc_key": True},
        GOOD_GRAPH | {"entities": ["edema"]},
        GOOD_GRAPH | {"entities": {"edema": ["x"]}},
        GOOD_GRAPH | {"entities": {"edema": "x" * 9999}},
        GOOD_GRAPH | {"relations": {"a": 1}},
        GOOD_GRAPH | {"relations": [{"source_entity": "edema", "target_entity": ["x"], "type": "modify"}]},
        GOOD_GRAPH | {"relations": [{"source_entity": "edema", "target_entity": "edema", "type": "near"}]},
        WITH_PLACES | {"mentions": 3},
        WITH_PLACES | {"mentions": [["edema", "disorder_present"]]},
        WITH_PLACES | {"mentions": [["edema", "disorder_present", "0", 5]]},
        WITH_PLACES | {"edges": [[0, "modify", 7]]},
        WITH_PLACES | {"edges": [["0", "modify", 0]]},
        WITH_PLACES | {"unclaimed": [None]},
    ],
)
def test_a_graph_of_another_form_is_one_sentence_without_its_words(
    tmp_path: Path, row: dict[str, Any]
) -> None:
    assert extract.read_graphs(write_rows(tmp_path / "kg.jsonl", [GOOD_GRAPH, WITH_PLACES | {"doc_key": 1}]))
    with pytest.raises(InputError, match="line 1 is not a graph") as caught:
        extract.read_graphs(write_rows(tmp_path / "kg.jsonl", [row]))
    assert "edema" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_show_and_eval_print_for_people_and_for_programs(tmp_path: Path) -> None:
    done = invoke("show", "No effusion in the left lung.")
    assert "located_at" in done.stdout
    assert "no effusion" in done.stdout
    assert json.loads(invoke("show", "No effusion.", "--json").stdout)["entities"] == {
        "effusion": "disorder_notpresent"
    }
    sentence = {
        "text": "Small left effusion.",
        "tokens": ["Small", "left", "effusion", "."],
        "entities": [[0, 1, "concept"], [2, 2, "disorder_present"]],
        "relations": [[0, "modify", 1]],
    }
    data = write_rows(tmp_path / "gold.jsonl", [sentence, sentence | {"text": "Small left effusion ."}])
    found = json.loads(invoke("eval", data, "--json").stdout)
    assert found["typed"]["f1"] == found["relations"]["f1"] == found["tokens"]["recall"] == 1
    write_rows(data, [sentence | {"entities": [[0, 4, "concept"]]}])
    assert "line 1 is not an annotated sentence" in str(invoke("eval", data).exception)


def test_bench_counts_distinct_sentences(tmp_path: Path) -> None:
    lines = ["Warm up.", "No effusion. Heart enlarged.", "No effusion. Edema.", "No effusion. Edema."]
    done = invoke("bench", "-", "--one-per-line", "--json", stdin="\n".join(lines))
    found = json.loads(done.stdout)
    assert (found["texts"], found["sentences"]) == (2, 3)
    assert found["sentences_per_second"] == pytest.approx(3 / found["seconds"])
