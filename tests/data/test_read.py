from __future__ import annotations

import builtins
import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from chexphi.data import cells, images
from chexphi.data.phantom.scene import sample_build, sample_scene
from chexphi.data.read import image_root_of, read_examples, read_folder, write_examples
from chexphi.schema import Example, InputError

ROW: dict[str, Any] = {
    "id": "a",
    "images": ["1.png"],
    "question": "Is there an effusion?",
    "answer": ["yes"],
    "explanation": "<think>There is an effusion.</think><answer>yes</answer>",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """`annotations/` beside `images/` with films 1.png, 2.png and 3.jpg."""
    (tmp_path / "images").mkdir()
    (tmp_path / "annotations").mkdir()
    for name in ("1.png", "2.png", "3.jpg"):
        Image.new("L", (16, 16), 90).save(tmp_path / "images" / name)
    return tmp_path / "annotations"


def saved(folder: Path, rows: Any, name: str = "data.json") -> Path:
    path = folder / name
    lines = "\n".join(json.dumps(row) for row in rows) if name.endswith("l") else json.dumps(rows)
    path.write_text(lines, encoding="utf-8")
    return path


def one(folder: Path, **changes: Any) -> Example:
    row = {key: value for key, value in (ROW | changes).items() if value is not ...}
    return read_examples(saved(folder, [row]))[0]


def test_a_row_is_read(folder: Path) -> None:
    example = one(
        folder, kind="region", question_type="presence", subject_id=17, note="unknown keys are ignored"
    )
    assert example == Example(
        id="a",
        images=("1.png",),
        question="Is there an effusion?",
        answer=("yes",),
        explanation=ROW["explanation"],
        kind="region",
        question_type="presence",
        subject_id="17",
    )


CHAT = [
    {"role": "system", "content": "You are careful."},
    {"role": "user", "content": "<image>\nIs there an effusion?"},
    {"role": "assistant", "content": ROW["explanation"]},
]
PARTS = [
    {
        "role": "user",
        "content": [{"type": "image"}, {"type": "text", "text": "<|image_1|>Is there an effusion?"}],
    },
    {"role": "assistant", "content": [{"type": "text", "text": ROW["explanation"]}]},
]


@pytest.mark.parametrize(
    ("changes", "films"),
    [
        ({"images": ..., "image": "1.png"}, ("1.png",)),
        ({"images": ..., "image": ["1.png", "2.png"]}, ("1.png", "2.png")),
        ({"images": ..., "image_ids": ["1", "3"]}, ("1.png", "3.jpg")),
        ({"images": ..., "image_ids": "2"}, ("2.png",)),
        ({"images": "1.png"}, ("1.png",)),
        ({"images": []}, ()),  # a question about no film
        ({"images": None, "image": "1.png"}, ("1.png",)),
        ({"question": ..., "explanation": ..., "messages": CHAT}, ("1.png",)),
        ({"question": ..., "explanation": ..., "messages": PARTS}, ("1.png",)),
        (
            {"question": ..., "messages": CHAT[:2], "explanation": ..., "solution": ROW["explanation"]},
            ("1.png",),
        ),
        ({"answer": "yes"}, ("1.png",)),
        ({"answer": ...}, ("1.png",)),  # stands in the explanation
        ({"answer": [" yes ", ""]}, ("1.png",)),
        ({"question": "<image>Is there an effusion? "}, ("1.png",)),
    ],
)
def test_aliases_mean_the_same(folder: Path, changes: dict[str, Any], films: tuple[str, ...]) -> None:
    example = one(folder, **changes)
    assert (example.question, example.answer, example.explanation) == (
        ROW["question"],
        ("yes",),
        ROW["explanation"],
    )
    assert example.images == films


def test_a_number_is_an_answer(folder: Path) -> None:
    assert one(folder, answer=12).answer == ("12",)


def test_a_row_without_id_is_named_by_file_and_row(folder: Path) -> None:
    rows = [{key: value for key, value in ROW.items() if key != "id"}] * 2
    assert [example.id for example in read_examples(saved(folder, rows, "pool.json"))] == ["pool-1", "pool-2"]


@pytest.mark.parametrize(
    ("name", "films", "kind"),
    [
        ("test_basic_vqa.json", ["1.png"], "basic"),
        ("test_region_vqa.json", ["1.png"], "region"),
        ("test_compare_vqa.json", ["1.png", "2.png"], "compare"),
        ("1000.json", ["1.png", "2.png"], "compare"),
        ("1000.json", ["1.png"], "basic"),
        ("basic_and_region.json", ["1.png"], "basic"),
    ],
)
def test_the_kind_of_a_row_that_names_none(folder: Path, name: str, films: list[str], kind: str) -> None:
    assert read_examples(saved(folder, [ROW | {"images": films}], name))[0].kind == kind


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"question": ...}, r"row 1 \(id 'a'\) has no question"),
        ({"question": "  "}, "has no question"),
        ({"question": "<image>"}, "has no question"),
        ({"answer": ..., "explanation": ...}, "has no answer"),
        ({"answer": "", "explanation": "<think>x</think>"}, "has no answer"),
        ({"answer": [], "explanation": ""}, "has no answer"),
        ({"images": ...}, "has no image"),
        ({"images": None}, "has no image"),
        ({"images": ""}, "has no image"),
        ({"images": ["1.png", ""]}, "has no image"),
        ({"kind": "compair"}, "unknown kind 'compair': use basic, region or compare"),
        ({"kind": "Is it big?"}, "unknown kind a text of 10 characters: use basic"),
        ({"answer": True}, "field answer"),
        ({"answer": {"a": 1}}, "field answer"),
        ({"question": ["x"]}, "field question"),
        ({"images": [{"path": "1.png"}]}, "field images"),
        ({"scene": "{broken"}, "field scene"),
        ({"images": ["nine.png"]}, r"row 1 \(id 'a'\): image 'nine.png' is missing"),
        ({"images": ["../annotations/data.json"]}, "outside the image root"),
        ({"images": ["/etc/hostname"]}, "outside the image root"),
    ],
)
def test_a_bad_row_is_one_sentence_with_file_row_and_id(
    folder: Path, changes: dict[str, Any], words: str
) -> None:
    with pytest.raises(InputError, match=words) as caught:
        one(folder, **changes)
    message = str(caught.value)
    assert message.startswith(f"{folder / 'data.json'}, row 1 (id 'a')")
    assert "\n" not in message


@pytest.mark.parametrize("row", [None, 3, "text", ["list"]])
def test_a_row_that_is_no_object(folder: Path, row: Any) -> None:
    with pytest.raises(InputError, match="row 2 is not an object"):
        read_examples(saved(folder, [ROW, row]))


def test_a_duplicate_id_names_both_places(folder: Path) -> None:
    with pytest.raises(InputError, match=r"line 2: duplicate id 'a', first used in .*line 1"):
        read_examples(saved(folder, [ROW, ROW], "data.jsonl"))


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.json", b"", r"is not JSON"),
        ("a.json", b"[]", "is empty"),
        ("a.jsonl", b"\n\n", "is empty"),
        ("a.json", b'[\n{"id": 1},\n{"id" 2}]', "at line 3"),
        ("a.json", b'{"id": 1}', "does not hold a JSON array"),
        ("a.json", b'{"id": 1}\n{"id": 2}\n', "name it .jsonl"),
        ("a.jsonl", b'{"id": "x"\n', "line 1 is not JSON"),
        ("a.json", "[“]".encode("utf-16"), "line 1 is not UTF-8"),
        ("a.csv", b"id,question", "unknown form"),
        ("a.parquet", b"PAR1 not really", "not a Parquet file"),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=words) as caught:
        read_examples(tmp_path / name)
    assert name in str(caught.value)


def test_a_missing_file_and_a_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nine\.json does not exist"):
        read_examples(tmp_path / "nine.json")
    with pytest.raises(InputError, match="is a folder"):
        read_examples(tmp_path)


def test_a_limit_stops_before_bad_rows_and_must_be_positive(folder: Path) -> None:
    path = saved(folder, [ROW, {"id": "b"}])
    assert len(read_examples(path, limit=1)) == 1
    with pytest.raises(InputError, match="limit 0"):
        read_examples(path, limit=0)


def test_images_are_not_opened_when_not_asked(folder: Path) -> None:
    path = saved(folder, [ROW | {"images": ["nine.png"]}])
    assert read_examples(path, check_images=False)[0].images == ("nine.png",)


@pytest.mark.parametrize("small", [0, 32_768])  # header and end only, every pixel
def test_a_truncated_film_is_found_either_way(
    folder: Path, monkeypatch: pytest.MonkeyPatch, small: int
) -> None:
    monkeypatch.setattr(images, "SMALL_BYTES", small)
    film = folder.parent / "images" / "2.png"
    film.write_bytes(film.read_bytes()[:-20])
    rows = [ROW, ROW | {"id": "b", "images": ["1.png", "2.png"]}]
    with pytest.raises(InputError, match=r"row 2 \(id 'b'\): image '2\.png' is truncated"):
        read_examples(saved(folder, rows))


def test_the_first_bad_film_is_reported(folder: Path) -> None:
    rows = [ROW | {"id": str(n), "images": [f"x{n}.png"]} for n in range(30)]
    with pytest.raises(InputError, match=r"row 1 .*'x0\.png'"):
        read_examples(saved(folder, rows))


@pytest.mark.parametrize(
    "where", ["annotations/a.json", "annotations/eval/a.json", "a.json", "images/a.json"]
)
def test_the_image_root_is_found_near_the_file(folder: Path, where: str) -> None:
    path = folder.parent / where
    path.parent.mkdir(exist_ok=True)
    path.touch()
    assert image_root_of(path) == folder.parent / "images"
    assert image_root_of(path.parent) == folder.parent / "images"


def test_the_image_root_may_be_given_or_be_the_files_own_folder(tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b" / "c"
    deep.mkdir(parents=True)
    assert image_root_of(deep / "x.json") == deep
    assert image_root_of(deep / "x.json", str(tmp_path)) == tmp_path
    with pytest.raises(InputError, match="image root"):
        image_root_of(deep / "x.json", tmp_path / "nine")


def test_a_relative_path_finds_the_images_above_the_working_folder(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved(folder, [ROW])
    monkeypatch.chdir(folder)
    assert len(read_examples("data.json")) == 1


def test_a_folder_is_read_file_by_file(folder: Path) -> None:
    saved(folder, [ROW], "test_basic_vqa.json")
    saved(folder, [ROW | {"id": "b"}, ROW | {"id": "c"}], "test_region_vqa.jsonl")
    (folder / "notes.txt").write_text("no dataset")
    found = read_folder(folder)
    assert {name: [row.id for row in rows] for name, rows in found.items()} == {
        "test_basic_vqa": ["a"],
        "test_region_vqa": ["b", "c"],
    }
    assert [len(rows) for rows in read_folder(folder, limit=1).values()] == [1, 1]


def test_a_folder_without_datasets_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no dataset file"):
        read_folder(tmp_path)
    with pytest.raises(InputError, match="does not exist"):
        read_folder(tmp_path / "nine")


def test_parquet_without_pyarrow_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def refuse(name: str, *rest: Any, **more: Any) -> Any:
        if name.startswith("pyarrow"):
            raise ImportError(name)
        return real(name, *rest, **more)

    (tmp_path / "a.parquet").touch()
    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(InputError, match=r"\[train\]"):
        read_examples(tmp_path / "a.parquet")
    with pytest.raises(InputError, match=r"\[train\]"):
        write_examples(tmp_path / "b.parquet", [])


WORD = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12).filter(
    lambda word: word.strip() and not cells.is_missing("explanation", word)
)
SCENE = st.integers(0, 99).map(
    lambda seed: sample_scene(random.Random(seed), sample_build(random.Random(seed))).to_dict()
)
EXAMPLES = st.lists(
    st.builds(
        Example,
        id=st.uuids().map(str),
        images=st.lists(st.sampled_from(["1.png", "p10/2.jpg"]), max_size=2).map(tuple),
        question=WORD.map(lambda word: f"Is it {word.strip()}?"),
        answer=st.lists(WORD.map(str.strip), min_size=1, max_size=3).map(tuple),
        explanation=WORD.map(str.strip),
        kind=st.sampled_from(["basic", "region", "compare"]),
        subject_id=st.sampled_from(["", "7"]),
        scene=st.none() | st.lists(SCENE, max_size=2).map(tuple),
        graph=st.none() | st.just({"entities": [["effusion", "disorder_present"]], "relations": []}),
    ),
    min_size=1,
    max_size=4,
    unique_by=lambda example: example.id,
)


@pytest.mark.parametrize("suffix", ["json", "jsonl", "parquet"])
@given(examples=EXAMPLES)
def test_what_is_written_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, examples: list[Example]
) -> None:
    if suffix == "parquet":
        pytest.importorskip("pyarrow")
    path = tmp_path_factory.mktemp("written") / "deep" / f"a.{suffix}"
    write_examples(path, examples)
    assert read_examples(path, check_images=False) == examples
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_failed_write_leaves_the_old_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(folder, [ROW])
    before = path.read_text()
    bad = Example(id="z", images=(), question="q", answer=("a",), graph={"entities": {1, 2}})
    with pytest.raises(TypeError):
        write_examples(path, [bad])
    assert path.read_text() == before
    with pytest.raises(InputError, match="unknown form"):
        write_examples(folder / "x.txt", [])
