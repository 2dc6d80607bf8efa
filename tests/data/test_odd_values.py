"""Values of other types in data files: refused in a sentence with row and field, or read in one plain way."""

from __future__ import annotations

import datetime
import decimal
import json
import random
from pathlib import Path
from typing import Any

import pytest
from fuzz.data_files import GRAPH, SUFFIXES, mutated_data_files

from chexphi.data.phantom.scene import Build, Finding, Scene
from chexphi.data.phantom.truth import scene_match
from chexphi.data.read import read_examples, write_examples
from chexphi.graph.check import check_graph
from chexphi.graph.types import Graph
from chexphi.schema import Example, InputError

ROW: dict[str, Any] = {"image": "1.png", "question": "Is a tube seen?", "answer": "no"}
SCENE = Scene((Finding("nodule", "left", "mid"),), Build(), seed=1).to_dict()


def read(folder: Path, row: dict[str, Any]) -> Example:
    (folder / "a.json").write_text(json.dumps([row]))
    return read_examples(folder / "a.json", check_images=False)[0]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"answer": True}, "field answer is true or false"),
        ({"answer": [False]}, "field answer is true or false"),
        ({"id": False}, "field id is true or false"),
        ({"subject_id": True}, "field subject_id is true or false"),
        ({"question": 12}, "field question is a number"),
        ({"question": False}, "field question is true or false"),
        ({"explanation": 0}, "field explanation is a number"),
        ({"explanation": []}, "field explanation is a list"),
        ({"solution": ["a"]}, "field solution is a list"),
        ({"images": ["1.png", True]}, "field images is true or false"),
        ({"images": [["1.png"]]}, "field images is not a text at place 1"),
        ({"split": {"a": 1}}, "field split is an object"),
        ({"question": "a\0b"}, "field question holds the character NUL"),
        ({"images": ["1\0.png"]}, "field images holds the character NUL"),
        ({"question": "a\ud800"}, "field question holds half of a character"),
        ({"answer": ["a", "\udfff"]}, "field answer holds half of a character at place 2"),
        ({"answer": 10**400}, None),
        ({"kind": "x" * 100_000}, "unknown kind a text of 100000 characters"),
        ({"id": "x" * 100_000, "question": ""}, "id a text of 100000 characters"),
        ({"question": None, "messages": 5}, "field messages is a number"),
        ({"question": None, "messages": ["q"]}, "field messages, turn 1 has no role"),
        ({"question": None, "messages": [{"role": "user", "content": 5}]}, "turn 1 has a content of another"),
        ({"question": None, "messages": [{"role": "user", "content": [{"text": True}]}]}, "another form"),
        ({"question": None, "messages": [{"role": "user", "content": "q"}] * 2}, "2 turns of role user"),
    ],
)
def test_a_value_of_another_type_is_one_sentence(
    tmp_path: Path, changes: dict[str, Any], words: str | None
) -> None:
    if words is None:
        assert read(tmp_path, ROW | changes).answer == (str(changes["answer"]),)
        return
    with pytest.raises(InputError) as caught:
        read(tmp_path, ROW | changes)
    message = str(caught.value)
    assert message.startswith(f"{tmp_path / 'a.json'}, row 1")
    assert words in message
    assert len(message) < 400
    assert "\n" not in message


@pytest.mark.parametrize(
    ("graph", "words"),
    [
        ([1], "is a list"),
        ("{broken", "is not JSON"),
        ('{"entities": [], "entities": [], "relations": []}', "twice"),
        ({}, "has entities that are null"),
        (GRAPH | {"entities": 3}, "has entities that are a number"),
        (GRAPH | {"relations": None}, "has relations that are null"),
        (GRAPH | {"entities": [["a", "finding"]]}, "(label 'finding')"),
        (GRAPH | {"entities": [["a", "x" * 9999]]}, "(label a text of 9999 characters)"),
        (GRAPH | {"entities": [["a"]]}, "entities of another form at place 1 of 1"),
        (GRAPH | {"entities": [[3, "anatomy"]]}, "entities of another form at place 1 of 1"),
        (GRAPH | {"entities": [["a", ["anatomy"]]]}, "entities of another form"),
        (GRAPH | {"relations": [["a", "anatomy", "near", "b", "anatomy"]]}, "(type 'near')"),
        (GRAPH | {"relations": [["a", "anatomy", "modify", "b"]]}, "relations of another form"),
        (GRAPH | {"uncertain": [["a", float("nan")]]}, "uncertain of another form"),
        (GRAPH | {"sides": [["a", "anatomy", "up"]]}, "sides of another form"),
    ],
)
def test_a_graph_of_another_form_is_refused_when_it_is_read(tmp_path: Path, graph: Any, words: str) -> None:
    with pytest.raises(InputError, match=r"row 1.*: field graph ") as caught:
        read(tmp_path, ROW | {"graph": graph})
    assert words in str(caught.value)
    assert "effusion" not in str(caught.value)


@pytest.mark.parametrize(
    ("scene", "words"),
    [
        ({"findings": []}, "is an object"),
        ([None], "film 1 has no list of findings"),
        ([SCENE, SCENE | {"findings": 3}], "film 2 has no list of findings"),
        ([SCENE | {"seed": "1"}], "no seed"),
        ([SCENE | {"build": None}], "no build"),
        ([SCENE | {"build": {"width": "wide"}}], "no build of numbers"),
        ([SCENE | {"build": {"width": float("inf")}}], "no build of numbers"),
        ([SCENE | {"findings": ["nodule"]}], "finding 1: it is not an object"),
        ([SCENE | {"findings": [{"name": "nodule", "side": 3}]}], "are texts"),
        ([SCENE | {"findings": [{"name": "ghost"}]}], "finding 'ghost' is unknown"),
        ([SCENE | {"findings": [{"name": "y" * 9999}]}], "a text of 9999 characters is unknown"),
        ([SCENE | {"findings": [{"name": "nodule", "side": "up"}]}], "cannot have side 'up'"),
        ([SCENE | {"findings": [{"name": "cardiomegaly", "severity": float("nan")}]}], "are texts"),
        ([SCENE | {"findings": SCENE["findings"] * 2}], "a finding twice"),
    ],
)
def test_a_scene_of_another_form_is_refused_when_it_is_read(tmp_path: Path, scene: Any, words: str) -> None:
    with pytest.raises(InputError, match=r"row 1.*: field scene") as caught:
        read(tmp_path, ROW | {"scene": scene})
    assert words in str(caught.value)
    assert len(str(caught.value)) < 600


def test_a_graph_and_a_scene_are_read_and_lose_only_keys_that_are_null(tmp_path: Path) -> None:
    example = read(tmp_path, ROW | {"graph": GRAPH | {"note": None}, "scene": [SCENE | {"note": None}]})
    assert (example.graph, example.scene) == (GRAPH, (SCENE,))
    short = {key: GRAPH[key] for key in ("entities", "relations")}
    assert read(tmp_path, ROW | {"graph": short | {"sides": None}}).graph == short | {"sides": None}
    check_graph(Graph.from_dict(short | {"sides": None}).to_dict())


@pytest.mark.parametrize("key", ["side", "note"])
def test_a_further_key_of_a_graph_or_a_scene_may_be_misspelled(tmp_path: Path, key: str) -> None:
    with pytest.raises(InputError, match=r"row 1.*: field graph has the key.*entities, relations, uncertain"):
        read(tmp_path, ROW | {"graph": GRAPH | {key: []}})
    with pytest.raises(InputError, match=r"row 1.*: field scene, film 1 has the key.*findings, build, seed"):
        read(tmp_path, ROW | {"scene": [SCENE | {key: []}]})


@pytest.mark.parametrize("parts", [False, True])
@pytest.mark.parametrize(
    ("text", "words"),
    [("a\0b", "field messages holds the character NUL"), ("None", "no question"), (" nan ", "no question")],
)
def test_the_text_of_a_turn_is_checked_as_a_field_is(
    tmp_path: Path, text: str, words: str, parts: bool
) -> None:
    content = [{"type": "text", "text": text}] if parts else text
    row = {key: value for key, value in ROW.items() if key != "question"}
    with pytest.raises(InputError, match=words):
        read(tmp_path, row | {"messages": [{"role": "user", "content": content}]})


def parquet(folder: Path, **columns: Any) -> Path:
    pyarrow = pytest.importorskip("pyarrow")
    writer = pytest.importorskip("pyarrow.parquet")
    plain = {name: pyarrow.array([value, value]) for name, value in ROW.items()}
    writer.write_table(pyarrow.table(plain | columns), folder / "a.parquet")
    return folder / "a.parquet"


def test_damaged_text_in_parquet_is_named_with_row_and_column(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    offsets = b"".join(n.to_bytes(4, "little") for n in (0, 2, 4))
    bad = pyarrow.Array.from_buffers(
        pyarrow.string(), 2, [None, pyarrow.py_buffer(offsets), pyarrow.py_buffer(b"ok\xff\xfe")]
    )
    with pytest.raises(InputError, match=r"row 2: column 'question' holds text that is not UTF-8"):
        read_examples(parquet(tmp_path, question=bad), check_images=False)
    late = pyarrow.array([0, 2**62], pyarrow.timestamp("us"))
    with pytest.raises(InputError, match=r"row 2: column 'seen' holds a value that is not a timestamp"):
        read_examples(parquet(tmp_path, seen=late), check_images=False)


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("id", datetime.datetime(2020, 1, 1), "field id is a datetime"),
        ("question", b"bytes", "field question is bytes"),
        ("answer", {"a": 1}, "field answer is an object"),
        ("answer", [["a"]], "field answer is a list"),
        ("id", True, "field id is true or false"),
        ("subject_id", decimal.Decimal("12345678901234567890"), None),
    ],
)
def test_a_column_of_another_type_is_named(tmp_path: Path, field: str, value: Any, words: str | None) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    path = parquet(tmp_path, **{field: pyarrow.array([value, value])})
    if words is None:
        assert read_examples(path, check_images=False)[0].subject_id == str(value)
        return
    with pytest.raises(InputError, match=rf"row 1.*: {words}"):
        read_examples(path, check_images=False)


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    pyarrow, writer = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    column = pyarrow.array(["a"])
    writer.write_table(pyarrow.table([column, column], names=["answer", "answer"]), tmp_path / "a.parquet")
    with pytest.raises(InputError, match="has the column 'answer' twice: rename one"):
        read_examples(tmp_path / "a.parquet", check_images=False)


def test_a_flipped_byte_in_a_page_that_we_wrote_is_found(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    path = tmp_path / "a.parquet"
    write_examples(path, [Example("a", ("1.png",), "Is a tube seen?", ("no",))])
    content = path.read_bytes()
    assert content.count(b"tube") >= 1
    path.write_bytes(content.replace(b"tube", b"tubs", 1))
    with pytest.raises(InputError, match="is not a Parquet file that can be read"):
        read_examples(path, check_images=False)


@pytest.mark.parametrize("seed", range(3))
def test_damaged_files_end_in_rows_or_a_sentence(tmp_path: Path, seed: int) -> None:
    pytest.importorskip("pyarrow")
    outcomes = {suffix: [0, 0] for suffix in SUFFIXES}
    sentences = []
    for suffix, content in mutated_data_files(random.Random(seed), 60):
        path = tmp_path / f"a{suffix}"
        path.write_bytes(content)
        try:
            examples = read_examples(path, check_images=False)
        except InputError as error:
            outcomes[suffix][1] += 1
            sentences.append(str(error))
            continue
        outcomes[suffix][0] += 1
        for example in examples:
            json.dumps(example.to_dict(), ensure_ascii=False, allow_nan=False).encode()
            Graph.from_dict(example.graph or {"entities": [], "relations": []})
            if example.scene:
                scene_match(Graph(), [Scene.from_dict(scene) for scene in example.scene])
    assert max(map(len, sentences)) <= 1000
    assert all(min(counts) > 0 for counts in outcomes.values()), outcomes
