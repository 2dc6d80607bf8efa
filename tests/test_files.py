"""The one reader of JSON: what it refuses, in which words, and that its time grows with the text alone."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chexphi.files import json_lines, parse_json, read_json, read_object, similar_names
from chexphi.runs import jsonl
from chexphi.schema import InputError, is_text, shown, type_shown

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


@given(VALUES)
def test_what_the_library_reads_is_read_the_same(value: Any) -> None:
    for text in (json.dumps(value), json.dumps(value).encode(), b"\xef\xbb\xbf" + json.dumps(value).encode()):
        assert parse_json(text, "a.json") == value


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"answer": 1, "answer": 1}', "the key 'answer' is there twice"),
        ('[{"id": "q7", "kind": 1, "kind": 2}]', "the key 'kind' is there twice in the row with id 'q7'"),
        ('{"a": 1, "p10003412": 1, "p10003412": 1}', "the key number 3 is there twice"),
        ('{"id": 1, "id": 2}', "the key 'id' is there twice"),
        ('{"a": {"b": [{"c": 1, "c": 2}]}}', "the key number 2 is there twice"),
        (
            '{"' + "k" * 5000 + '": 1, "' + "k" * 5000 + '": 1}',
            "the key number 2 is there twice",
        ),
        ("[NaN]", "NaN is not a number of JSON"),
        ("[-Infinity]", "-Infinity is not a number of JSON"),
        ("[" * 5000 + "]" * 5000, "nested too deeply"),
        ('{"a":' * 5000 + "1" + "}" * 5000, "nested too deeply"),
        ("9" * 5000, "a number has too many digits"),
        (b'"\xff"', "not UTF-8"),
        ('{"a": 1,\n "b" 2}', "at line 2"),
        ("", "Expecting value"),
        ("[1] [2]", "Extra data"),
    ],
)
def test_what_is_refused_is_one_short_sentence(text: str | bytes, words: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_json(text, "a.json", advice="repair it")
    message = str(caught.value)
    assert message.startswith("a.json is not JSON that can be read (")
    assert message.endswith("): repair it")
    assert words in message
    assert len(message) < 300
    assert "\n" not in message


def test_nan_is_a_number_where_it_may_be(tmp_path: Path) -> None:
    assert str(parse_json("[NaN, Infinity]", "a", nan=True)) == "[nan, inf]"
    (tmp_path / "m.jsonl").write_text('{"loss": NaN}\n')
    assert str(list(jsonl.read(tmp_path / "m.jsonl", nan=True))) == "[{'loss': nan}]"
    with pytest.raises(InputError, match="line 1 is not JSON"):
        list(jsonl.read(tmp_path / "m.jsonl"))


def test_an_object_with_many_keys_of_which_one_is_there_twice_takes_no_longer_than_its_size() -> None:
    def seconds(count: int) -> float:
        text = "{" + ",".join(f'"{n}": 1' for n in range(count)) + f', "{count - 1}": 2' + "}"
        start = time.process_time()
        with pytest.raises(InputError, match="twice"):
            parse_json(text, "a.json")
        return time.process_time() - start

    few = max(seconds(20_000), 1e-3)
    assert seconds(80_000) < 12 * few  # a search from each key would take 16 times as long, and minutes


def test_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.json cannot be read \(No such file"):
        read_json(tmp_path / "a.json")
    (tmp_path / "a.json").write_text("[1]")
    assert read_json(tmp_path / "a.json") == [1]
    with pytest.raises(InputError, match=r"a\.json is not a JSON object: copy it again"):
        read_object(tmp_path / "a.json")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("x" * 81, "a text of 81 characters"),
        (["x" * 90], "a list of 94 characters"),
        ([10**5000], "a list too large to show"),
        ("a", "'a'"),
    ],
)
def test_a_value_that_is_long_is_measured_and_not_shown(value: Any, words: str) -> None:
    assert shown(value) == words


def test_kinds_are_named_as_json_names_them() -> None:
    values = [None, True, 1, 1.5, "a", [1], {"a": 1}, b"a"]
    assert [type_shown(value) for value in values] == [
        "null", "true or false", "a number", "a number", "a text", "a list", "an object", "bytes",
    ]  # fmt: skip


@given(st.text())
def test_a_text_is_what_utf8_has(text: str) -> None:
    assert is_text(text) == (text.encode("utf-8", "ignore").decode() == text)
    assert not is_text(text + "\ud800")


@pytest.mark.parametrize(
    ("missing", "similar"),
    [
        ("data/trian.json", " ({above}/data has train.json)"),
        ("dta/train.json", " ({above} has data)"),
        ("data/train.json", ""),
        ("data", ""),
        ("data/pool.json", ""),
        ("data/train.json/row", ""),
    ],
)
def test_a_missing_path_is_compared_with_its_neighbours(tmp_path: Path, missing: str, similar: str) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train.json").write_text("[]")
    assert similar_names(tmp_path / missing) == similar.format(above=tmp_path)


def test_an_array_in_place_of_lines_is_told_from_a_damaged_line(tmp_path: Path) -> None:
    """To remove its first line, as of a damaged one, would damage it."""
    file = tmp_path / "rows.jsonl"
    file.write_text('[\n  {"id": "a"}\n]\n')
    with pytest.raises(InputError) as caught:
        list(json_lines(file))
    assert str(caught.value) == (
        f"{file} holds a JSON array, and a file of JSON lines is needed: name a file with one object a line"
    )
