"""What `chexphi kg` reads: reports, lines and rows in the forms people keep them in; and what it refuses."""

from __future__ import annotations

import codecs
import csv
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from chexphi.cli import app
from chexphi.kg.input_texts import FIELDS, read_texts
from chexphi.schema import InputError

ROWS: list[dict[str, Any]] = [
    {"id": "p1", "text": "Lungs are clear.\nNo pneumothorax, no effusion."},
    {"id": "p2", "text": 'Reads "mild edema"; stable.'},
]
READ = [("p1", ROWS[0]["text"]), ("p2", ROWS[1]["text"])]
REPORT = "FINDINGS:\nHeart size is normal. No focal\nconsolidation.\n"


def table(delimiter: str = ",", end: str = "\r\n") -> str:
    cells = [["id", "text"], *([row["id"], row["text"]] for row in ROWS)]
    return "".join(delimiter.join('"' + c.replace('"', '""') + '"' for c in row) + end for row in cells)


ARRAY, LINES = json.dumps(ROWS), "".join(json.dumps(row) + "\n" for row in ROWS)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("rows.json", ARRAY),
        ("rows.json", json.dumps(ROWS, indent=2)),
        ("rows.json", LINES),
        ("rows.jsonl", LINES),
        ("rows.ndjson", LINES.replace("\n", "\r\n")),
        ("rows.jsonl", ARRAY),
        ("rows.txt", ARRAY),
        ("rows.txt", LINES),
        ("rows", "\n" + ARRAY),
        ("rows.csv", table()),
        ("rows.csv", table(";")),
        ("rows.csv", table("\t")),
        ("rows.csv", "\n" + table(end="\n")),
        ("rows.csv", table(end="\r")),
        ("rows.tsv", table("\t")),
        ("rows.txt", table()),
        ("ROWS.CSV", table()),
        ("rows.csv", table().replace("text", "Findings").replace("id", "Study_ID", 1)),
    ],
)
@pytest.mark.parametrize("mark", [b"", codecs.BOM_UTF8])
def test_rows_are_read_whatever_the_file_is_called(
    name: str, content: str, mark: bytes, tmp_path: Path
) -> None:
    (tmp_path / name).write_bytes(mark + content.encode())
    assert read_texts([tmp_path / name]).rows == READ


@pytest.mark.parametrize("categories", [False, True])
def test_rows_of_parquet(categories: bool, tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    columns = {name: [row[name] for row in ROWS] for name in ("id", "text")} | {
        "pixels": [[1], [2]],
        "film": [b"1", b"2"],
    }
    text = pyarrow.array(columns["text"])
    columns["text"] = text.dictionary_encode() if categories else text
    parquet.write_table(pyarrow.table(columns), tmp_path / "rows.parquet")
    assert read_texts([tmp_path / "rows.parquet"]).rows == READ
    (tmp_path / "torn.parquet").write_bytes((tmp_path / "rows.parquet").read_bytes()[:-20])
    with pytest.raises(InputError, match=r"torn\.parquet is not a Parquet file that can be read"):
        read_texts([tmp_path / "torn.parquet"])


def test_parquet_without_pyarrow_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / "rows.parquet").write_bytes(b"PAR1...")
    with pytest.raises(InputError, match=r"Parquet files need pyarrow: pip install .*train"):
        read_texts([tmp_path / "rows.parquet"])


def test_strings_of_an_array_are_texts(tmp_path: Path) -> None:
    (tmp_path / "texts.json").write_text(json.dumps(["Edema.", "No edema."]))
    assert read_texts([tmp_path / "texts.json"]).rows == [("1", "Edema."), ("2", "No edema.")]


@pytest.mark.parametrize(
    ("row", "field", "text"),
    [
        ({"report": "A.", "findings": "B."}, None, "A."),
        ({"impression": "C.", "findings": "B."}, None, "B."),
        ({"Report_Text": "A."}, None, "A."),
        ({"findings": "B.", "note": "N."}, "note", "N."),
        ({"findings": "B.", "Note": "N."}, "note", "N."),
    ],
)
def test_the_field_with_the_text(row: dict[str, str], field: str | None, text: str, tmp_path: Path) -> None:
    (tmp_path / "rows.json").write_text(json.dumps([row]))
    read = read_texts([tmp_path / "rows.json"], field=field)
    assert read.rows == [("1", text)]
    assert "text from" in read.notes[0]
    assert text not in read.notes[0]


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ([{"study_id": 5}, {"study_id": 6}], ["5", "6"]),
        ([{"study_id": 5}, {"study_id": 5}], ["1", "2"]),
        ([{"study_id": 5}, {}], ["1", "2"]),
        ([{"study_id": 5, "id": "a"}, {"study_id": 6, "id": "b"}], ["a", "b"]),
        ([{"id": "a"}, {}], ["a", "2"]),
    ],
)
def test_ids_are_kept_where_they_name_the_rows(
    keys: list[dict[str, Any]], expected: list[str], tmp_path: Path
) -> None:
    (tmp_path / "rows.json").write_text(json.dumps([key | {"text": "Edema."} for key in keys]))
    assert [key for key, _ in read_texts([tmp_path / "rows.json"]).rows] == expected


def test_a_text_file_is_one_text_unless_lines_are_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "s1.txt"
    path.write_text(REPORT, newline="\r\n")
    whole, lines = read_texts([path]), read_texts([path], one_per_line=True)
    assert whole.rows == [("s1", REPORT.strip())]
    assert "read as one text" in whole.notes[0]
    assert lines.rows == [(str(n), line) for n, line in enumerate(REPORT.strip().split("\n"), 1)]
    assert "one text a line" in lines.notes[0]


@pytest.mark.parametrize(
    "text",
    [
        "No edema, " * 50_000 + "no effusion.",
        "[**2190-1-2**] No edema.",
        "{sic} No edema.",
        "Text, findings below.",
        "[x]",
    ],
)
def test_reports_that_begin_like_rows_are_reports(text: str, tmp_path: Path) -> None:
    (tmp_path / "s1.txt").write_text(text + "\nNo effusion.")
    assert read_texts([tmp_path / "s1.txt"]).rows == [("s1", text + "\nNo effusion.")]


def test_several_files_and_folders(tmp_path: Path) -> None:
    for name in ("a/p1/s1.txt", "a/s2.TXT", "b/s1.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"No edema in {path.stem}.")
    (tmp_path / "a/film.png").write_bytes(b"\x89PNG")
    read = read_texts([tmp_path / "a", tmp_path / "b/s1.txt"])
    assert [key for key, _ in read.rows] == ["p1/s1", "s2", "s1"]
    assert "2 files, one text each" in read.notes[0]
    assert "not read for their ending: 1 file" in read.notes[0]
    read = read_texts([tmp_path / "a/p1/s1.txt", tmp_path / "b/s1.txt"])
    assert [Path(key).parent.name for key, _ in read.rows] == ["p1", "b"]  # the same name twice
    with pytest.raises(InputError, match="has no file that ends in"):
        read_texts([tmp_path / "a", Path(__file__).parents[2] / "configs"])


BINARY = b"\x00\x01 effusion"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", b"", "is empty"),
        ("a.csv", b" \r\n", "is empty"),
        ("a.json", b"[]", "has no text"),
        ("a.json", b'{"rows": [{"text": "Edema."}]}', "holds one JSON object without text, .* or impression"),
        ("a.json", b'"Edema."', "holds one JSON value"),
        ("a.json", b'[{"text": "Edema."}, 3]', "row 2: not a JSON object"),
        ("a.json", b'[{"text": "Edema."}, {"text": ["Edema."]}]', "row 2: no text in field 'text'"),
        ("a.json", b'[{"text": "Edema."', "is not JSON"),
        ("a.json", b"[" * 100_000, "is not JSON"),
        ("a.txt", b'[{"text": "Edema."', "is not JSON"),
        ("a.json", '[{"text": "Ödem."}]'.encode("latin-1"), "line 1: not UTF-8"),
        ("a.txt", b"{'text': 'Edema.'}", "is not JSON"),
        ("a.csv", b"p1,No edema is seen.\n", "its columns: not printed"),
        ("a.csv", b"subject,comment\np1,Edema.\n", "its columns: subject, comment"),
        ("a.csv", b"text,text\np1,Edema.\n", "column 'text' twice"),
        ("a.csv", b'id,text\n1,"Edema.\n2,Edema.\n', "line 2: not valid CSV"),
        ("a.csv", b"id,text\n1,No edema, no effusion.\n", "line 2: 3 cells under 2 columns"),
        ("a.csv", b"id,text\n1,\n", "line 2: no text in field 'text'"),
        ("a.csv", b'id,text\n1,"A\n\nB."\n2,\n', "line 5: no text"),
        ("a.csv", b"id,text\n1,A.\n1,B.\n", "line 3: id '1' is there twice"),
        ("a.csv", "id,text\n1,Ödem.\n".encode("latin-1"), "line 2: not UTF-8"),
        ("a.txt", "Edema.\nÖdem.\n".encode("latin-1"), "line 2: not UTF-8"),
        ("a.txt", "Edema.".encode("utf-16"), "is UTF-16: save it as plain text"),
        ("a.txt", BINARY, "is binary"),
        ("a", b"%PDF-1.7\n...", "is a PDF"),
        ("a.pdf", b"Edema.", "is a PDF"),
        ("a.docx", b"PK\x03\x04...", "such as a Word document"),
        ("a.txt", b"PK\x03\x04...", "such as a Word document"),
        ("a.xlsx", b"Edema.", "is an Excel sheet"),
        ("a.txt", b"<?xml version='1.0'?><r>Edema.</r>", "is XML"),
        ("a.parquet", b"Edema.", "is not a Parquet file"),
    ],
)
def test_what_holds_no_texts_is_one_sentence(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message) as raised:
        read_texts([tmp_path / name])
    assert "\n" not in str(raised.value)
    assert "No edema" not in str(raised.value)


def test_line_ends_of_any_kind_are_line_ends(tmp_path: Path) -> None:
    (tmp_path / "s1.txt").write_bytes(b"No edema,\rno effusion.\r\nClear lungs.")
    assert read_texts([tmp_path / "s1.txt"]).rows == [("s1", "No edema,\nno effusion.\nClear lungs.")]


def test_a_field_of_a_plain_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("No edema.")
    with pytest.raises(InputError, match="plain text and has no field 'note'"):
        read_texts([tmp_path / "a.txt"], field="note")


def test_bad_rows_are_left_out_and_counted_when_asked(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("id,text\n1,\n2,Edema.\n3,No edema, no.\n")
    (tmp_path / "empty.txt").write_text("")
    read = read_texts([tmp_path / "a.csv", tmp_path / "empty.txt"], skip_bad=True)
    assert (read.rows, read.bad_rows) == ([("2", "Edema.")], 3)


def test_tags_stay_when_texts_are_to_be_whole(tmp_path: Path) -> None:
    text = " <think>Edema.</think><answer>yes</answer> "
    (tmp_path / "a.json").write_text(json.dumps([{"text": text}]))
    assert read_texts([tmp_path / "a.json"]).rows == [("1", "Edema.")]
    assert read_texts([tmp_path / "a.json"], verbatim=True).rows == [("1", text)]
    (tmp_path / "b.txt").write_bytes(b" No edema.\r\nNo effusion.\n")
    assert read_texts([tmp_path / "b.txt"]).rows == [("b", "No edema.\nNo effusion.")]
    assert read_texts([tmp_path / "b.txt"], verbatim=True).rows == [("b", " No edema.\r\nNo effusion.\n")]


def test_how_texts_were_read_is_said_beside_the_result(tmp_path: Path) -> None:
    (tmp_path / "s1.txt").write_text(REPORT)
    words = ["kg", "extract", str(tmp_path / "s1.txt"), "--out", str(tmp_path / "kg.jsonl"), "--json"]
    done = CliRunner().invoke(app, words)
    assert json.loads(done.stdout)["texts"] == 1
    assert "s1.txt: read as one text" in done.stderr
    assert "consolidation" not in done.stderr


CELLS = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], include_characters="\n"), min_size=1
)


@given(st.lists(CELLS.filter(str.strip), min_size=1, max_size=4), st.sampled_from(",;\t"))
def test_tables_of_any_text_come_back(tmp_path_factory: Any, texts: list[str], delimiter: str) -> None:
    path = tmp_path_factory.mktemp("tables") / "rows.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter, quoting=csv.QUOTE_ALL)
        writer.writerows([("nr", FIELDS[0]), *enumerate(texts)])
    assert [text for _, text in read_texts([path], verbatim=True).rows] == texts
