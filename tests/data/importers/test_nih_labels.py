from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from chexphi import prompts
from chexphi.data.importers.nih_labels import convert
from chexphi.data.importers.nih_tables import FINDINGS, read_table
from chexphi.data.read import read_examples
from chexphi.graph.lexicon.extractor import LexiconExtractor
from chexphi.schema import InputError

HEAD = "image,split,patient_id,follow_up,age,gender,view,findings"
LINES = (
    "a.png,train,1,0,80,M,PA,No Finding",
    "b.png,train,1,1,81,M,AP,Effusion|Mass",
    "c.png,train,2,0,50,F,PA,Effusion",
    "d.png,train,3,0,50,F,PA,No Finding",
    "e.png,valid,4,0,50,F,AP,Edema",
)


def source(tmp_path: Path, *lines: str, head: str = HEAD) -> Path:
    folder = tmp_path / "nih"
    (folder / "images").mkdir(parents=True)
    (folder / "labels.csv").write_text("\n".join((head, *lines)) + "\n")
    for name in "abcde":
        Image.new("L", (8, 8), 90).save(folder / "images" / f"{name}.png")
    return folder


def test_labels_become_questions(tmp_path: Path) -> None:
    summary = convert(source(tmp_path, *LINES), tmp_path / "out")
    train, valid = (read_examples(tmp_path / "out" / f"{name}.json") for name in ("train", "valid"))
    assert Counter(example.question_type for example in train) == {
        "view": 4,
        "gender": 4,
        "presence of pleural effusion": 4,
        "presence of mass": 2,
    }
    assert Counter(example.question_type for example in valid) == {"view": 1, "gender": 1}  # edema is rare
    assert summary["rows"] == len(train) + len(valid)
    assert {example.answer for example in train} == {
        ("PA",),
        ("AP",),
        ("male",),
        ("female",),
        ("yes",),
        ("no",),
    }
    found = {example.id: example for example in train}
    b = found["nih-b-presence-of-mass"]
    assert (b.answer, b.subject_id, b.split, b.semantic_type) == (("yes",), "1", "train", "verify")
    think = prompts.reference_reasoning(b.explanation)
    assert "mass" in think.split(".")[0]
    assert "pleural effusion" in think.split(".")[1]  # the other finding


def test_the_seed_decides(tmp_path: Path) -> None:
    folder = source(tmp_path, *LINES)
    texts = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        convert(folder, tmp_path / f"{name}.json", seed=seed)
        texts.append((tmp_path / f"{name}.json").read_text())
    assert texts[0] == texts[1] != texts[2]


def test_the_wording_of_a_split_does_not_depend_on_the_others(tmp_path: Path) -> None:
    folder = source(tmp_path, *LINES)
    convert(folder, tmp_path / "both")
    convert(folder, tmp_path / "one.json", split="valid")
    assert (tmp_path / "one.json").read_text() == (tmp_path / "both" / "valid.json").read_text()


def test_a_limit_counts_films(tmp_path: Path) -> None:
    folder = source(tmp_path, *LINES)
    assert convert(folder, tmp_path / "out.json", limit=1)["images"] == 2
    with pytest.raises(InputError, match="limit 0"):
        convert(folder, tmp_path / "out.json", limit=0)


@pytest.mark.parametrize(
    ("lines", "head", "words"),
    [
        ((), HEAD, "is empty"),
        (LINES, HEAD.replace("view", "position"), "lacks the column view"),
        ((LINES[0], "b.png,train,1"), HEAD, "line 3 has no gender"),
        (("a.png,train,1,0,80,M,PA,Efusion",), HEAD, "line 2: unknown finding 'Efusion'"),
        (("a.png,train,1,0,80,M,PA,No Finding|Mass",), HEAD, "findings name 'No Finding' beside others"),
        (("a.png,train,1,0,80,M,LL,Mass",), HEAD, "unknown view 'LL': use one of PA, AP"),
        (("a.png,train,1,0,80,X,PA,Mass",), HEAD, "unknown gender 'X'"),
        ((LINES[0], LINES[0]), HEAD, "a film twice"),
        ((LINES[0] + ",more",), HEAD, "line 2 has more cells than the first line has columns"),
        (LINES, HEAD.replace(",age", ",view"), "has the column view twice"),
        ((LINES[0], 'b.png,train,1,1,81,M,AP,"Mass'), HEAD, "is not CSV"),
        (("a.png,tr\0ain,1,0,80,M,PA,Mass",), HEAD, "line 2: split holds the character NUL"),
        ((LINES[0], "b.png,valid,1,1,81,M,AP,Mass"), HEAD, "a patient in two splits"),
        (("nine.png,train,1,0,80,M,PA,Mass",), HEAD, "'nine.png' is missing"),
        (("../labels.csv,train,1,0,80,M,PA,Mass",), HEAD, "outside the image root"),
    ],
)
def test_bad_input_writes_nothing(tmp_path: Path, lines: tuple[str, ...], head: str, words: str) -> None:
    folder = source(tmp_path, *lines, head=head)
    with pytest.raises(InputError, match=words):
        convert(folder, tmp_path / "out")
    assert not (tmp_path / "out").exists()


PUBLISHED_HEAD = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]"
)
PUBLISHED_LINES = (
    "00000001_000.png,Cardiomegaly,0,1,57,M,PA,2682,2749,0.14300000000000002,0.14300000000000002",
    "00000001_001.png,Hernia|Effusion,1,1,58,M,AP,2894,2729,0.14300000000000002,0.14300000000000002",
    "00000002_000.png,No Finding,0,2,80,F,PA,2500,2048,0.171,0.171",
    "00000003_000.png,Pneumonia,0,3,81,F,PA,2582,2991,0.14300000000000002,0.14300000000000002",
)


def published(
    folder: Path, *, table: str = "Data_Entry_2017_v2020.csv", images: str = "images", films: int = 4
) -> Path:
    """The published table under its name, with films."""
    folder.mkdir()
    (folder / table).write_text("\n".join((PUBLISHED_HEAD, *PUBLISHED_LINES)) + "\n")
    for number, line in enumerate(PUBLISHED_LINES[:films]):
        path = folder / images.format(number % 2 + 1) / line.partition(",")[0]
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.linear_gradient("L").save(path)
    return folder


@pytest.mark.parametrize("table", ["Data_Entry_2017_v2020.csv", "Data_Entry_2017.csv", "labels.csv"])
@pytest.mark.parametrize("images", ["images", "images_00{}/images"])  # as unpacked, as Kaggle has it
def test_the_published_table_is_read_as_it_is(tmp_path: Path, table: str, images: str) -> None:
    folder = published(tmp_path / "nih", table=table, images=images)
    summary = convert(folder, tmp_path / "out.json")
    examples = read_examples(tmp_path / "out.json")
    assert (summary["images"], summary["patients"], summary["rows_read"]) == (4, 3, 4)
    assert summary["split_made"]
    asked = {example.question_type for example in examples if example.semantic_type == "verify"}
    assert asked == {f"presence of {FINDINGS[label][0]}" for label in
                     ("Cardiomegaly", "Effusion", "Hernia", "Pneumonia")}  # fmt: skip
    of_patient = {example.subject_id: example.split for example in examples}
    assert all(of_patient[example.subject_id] == example.split for example in examples)
    assert {example.subject_id for example in examples} == {"1", "2", "3"}


def test_the_published_test_list_is_kept(tmp_path: Path) -> None:
    folder = published(tmp_path / "nih")
    (folder / "test_list.txt").write_text("00000002_000.png\n00000003_000.png\n")
    films = read_table(folder).films
    assert [film.split for film in films] == ["train", "train", "test", "test"]
    (folder / "test_list.txt").write_text("00000001_000.png\n")
    with pytest.raises(InputError, match="a patient in two splits"):
        read_table(folder)


def test_a_part_of_the_films_is_imported_if_asked(tmp_path: Path) -> None:
    folder = published(tmp_path / "nih", films=2)
    with pytest.raises(InputError, match=r"is missing.*2 of 4 films are missing, and --missing-films skip"):
        convert(folder, tmp_path / "out.json")
    assert not (tmp_path / "out.json").exists()
    summary = convert(folder, tmp_path / "out.json", missing_films="skip")
    assert (summary["images"], summary["left_out"]) == (2, {"the film is missing": 2})
    limited = convert(folder, tmp_path / "one.json", missing_films="skip", limit=1)
    assert limited["images"] + sum(limited["left_out"].values()) == limited["rows_read"]


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("9.png,Mass,0,nan,57,M,PA,1,1,1,1", "line 6 has no Patient ID"),
        ("9.png,,0,9,57,M,PA,1,1,1,1", "line 6 has no Finding Labels"),
        ("9.png,Mass,0,9,57,M,LL,1,1,1,1", "line 6: unknown view 'LL'"),
        ("00000002_000.png,Mass,0,2,57,M,PA,1,1,1,1", r"names a film twice \('00000002_000.png'\)"),
    ],
)
def test_a_bad_line_of_the_published_table_is_named(tmp_path: Path, line: str, words: str) -> None:
    folder = published(tmp_path / "nih")
    with (folder / "Data_Entry_2017_v2020.csv").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(InputError, match=words):
        convert(folder, tmp_path / "out")


def test_a_patient_with_a_decimal_point_is_the_same_patient(tmp_path: Path) -> None:
    folder = source(tmp_path, LINES[0], LINES[1].replace(",1,1,", ",1.0,1,"))
    assert {film.patient for film in read_table(folder).films} == {"1"}


def test_the_real_head_of_the_published_table(shared_data: Path) -> None:
    table = read_table(shared_data / "published" / "Data_Entry_2017_v2020_head.csv")
    assert (len(table.films), table.published) == (399, True)
    assert len({film.patient for film in table.films}) == 99
    assert {film.split for film in table.films} == {"train", "valid"}


def test_a_folder_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no labels\.csv"):
        convert(tmp_path, tmp_path / "out")


def test_the_real_thumbnails(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "nih_thumbnails"
    summary = convert(folder, tmp_path)
    train, valid = (read_examples(tmp_path / f"{name}.json") for name in ("train", "valid"))
    assert (len(train), len(valid)) == (2390, 316)
    assert (summary["patients"], summary["images"]) == (220, 796)
    assert not {example.subject_id for example in train} & {example.subject_id for example in valid}
    for rows in (train, valid):
        answers = Counter((e.question_type, e.answer[0]) for e in rows if e.semantic_type == "verify")
        assert all(answers[about, "yes"] == answers[about, "no"] for about, _ in answers)


def test_the_reasoning_says_the_labels(shared_data: Path, tmp_path: Path) -> None:
    """The rules read from each reasoning the findings that its film is labelled with, and no other."""
    folder = shared_data / "nih_thumbnails"
    convert(folder, tmp_path)
    labels = {
        film.image: {FINDINGS[label][0] for label in film.findings} for film in read_table(folder).films
    }
    examples = read_examples(tmp_path / "train.json")
    graphs = LexiconExtractor().extract([prompts.reference_reasoning(e.explanation) for e in examples])
    for example, graph in zip(examples, graphs, strict=True):
        present = {entity[0] for entity in graph.entities if entity[1] == "disorder_present"}
        wanted = {
            name.removeprefix("pleural ").removeprefix("pulmonary ") for name in labels[example.images[0]]
        }
        assert present == wanted
