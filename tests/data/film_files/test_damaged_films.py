"""One verdict on every film, whoever looks at it; nothing but a sentence for a damaged one."""

from __future__ import annotations

import ast
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

import chexphi
from chexphi.data.film_files import decoders
from chexphi.data.images import check_image, film_size, load_image
from chexphi.data.read import image_errors
from chexphi.evaluation.ask import read_films
from chexphi.report.films import embed
from chexphi.schema import Example, InputError

sys.path.insert(0, str(Path(__file__).parents[2] / "fuzz"))
from films import TURNED, mutated_films, odd_films, sound_films

SENTENCES = {
    "a huge size": "more than 89478485 pixels",
    "a size of nothing": "an image whose header is damaged",
    "a size beyond integers": "more than 89478485 pixels",
    "few pixels for the size": "truncated or damaged",
    "a text that unpacks to 20 MB": "an image whose header is damaged",
    "a profile that unpacks to 20 MB": "an image whose header is damaged",
    "animated PNG": "holds more than one page",
    "animated GIF": "holds more than one page",
    "animated WebP": "holds more than one page",
    "pages": "holds more than one page",
    "many pages": "holds more than one page",
    "Lab": "pixels of the kind LAB",
    "a mistaken size of BMP": "more than 89478485 pixels",
    "an EXIF of zeros": "a damaged EXIF block",
    "an EXIF of words": "a damaged EXIF block",
    "no film": "it is empty",
    "PostScript": "a PostScript drawing",
}
READ = ("two thousand texts", "no palette", "an EXIF of nothing")


def sentence(look: Callable[[], object]) -> str:
    """What is said of a film; empty if it is taken."""
    try:
        look()
    except InputError as error:
        return str(error)
    return ""


def verdicts(path: Path) -> dict[str, str]:
    """What everyone says who looks at a film."""
    name, root = path.name, path.parent
    row = Example(id="r", images=(name,), question="q", answer=("a",))

    def first_error(**look: object) -> None:
        for error in image_errors([("row 1", row)], root, **look):  # type: ignore[arg-type]
            raise InputError(str(error).removeprefix("row 1: "))

    asked = sentence(lambda: read_films([str(path)]))
    return {
        "load_image": sentence(lambda: load_image(name, root)),
        "check_image": sentence(lambda: check_image(name, root)),
        "check_image, quick": sentence(lambda: check_image(name, root, thorough=False)),
        "a run or an importer": sentence(first_error),
        "data check": sentence(lambda: first_error(on_film=lambda ref, film: None)),
        "ask": asked.replace(repr(str(path)), repr(name)),
    }


def agreed(path: Path) -> str:
    """The verdict on a film, which is the same from all."""
    said = verdicts(path)
    assert set(said.values()) == {said["load_image"]}, said
    assert (embed(str(path)) is None) == bool(said["load_image"])
    if not said["load_image"]:
        film = load_image(path.name, path.parent)
        assert film.mode == "RGB"
        assert film_size(path.name, path.parent) == film.size
    return said["load_image"]


@pytest.mark.parametrize("name", sound_films())
def test_films_of_every_format_are_read_upright(tmp_path: Path, name: str) -> None:
    path = tmp_path / "film"
    path.write_bytes(sound_films()[name])
    assert agreed(path) == ""
    with Image.open(path, formats=decoders.FORMATS) as film:
        turned = film.getexif().get(0x0112) == TURNED
        width, height = film.size
    if turned and film.format != "TIFF":
        width, height = height, width
    assert film_size("film", tmp_path) == (width, height)


@pytest.mark.parametrize("name", odd_films())
def test_odd_films_get_their_sentence(tmp_path: Path, name: str) -> None:
    path = tmp_path / "film"
    path.write_bytes(odd_films()[name])
    assert SENTENCES.get(name, "") in agreed(path)
    assert (name in SENTENCES) == bool(agreed(path))
    assert set(odd_films()) == {*SENTENCES, *READ}


@pytest.mark.parametrize("seed", range(4))
def test_all_agree_on_a_damaged_film(tmp_path: Path, seed: int) -> None:
    """Nor does anything but an `InputError` come out of one."""
    said = []
    for number, content in enumerate(mutated_films(random.Random(seed), 120)):
        path = tmp_path / f"{number}"
        path.write_bytes(content)
        said.append(agreed(path))
    assert 20 < said.count("") < 100


def test_a_quick_look_at_a_large_film_refuses_none_that_is_read(tmp_path: Path) -> None:
    """It may miss damage behind the header, and nothing else."""
    rng = random.Random(0)
    large = Image.effect_noise((400, 300), 60)
    for form in ("PNG", "JPEG", "TIFF", "WEBP"):
        large.convert("RGB").save(tmp_path / "sound", form)
        sound = (tmp_path / "sound").read_bytes()
        assert len(sound) > 32_768
        for number in range(30):
            content = bytearray(sound)
            for _ in range(3):
                content[rng.randrange(len(content) if number % 2 else 200)] = rng.randrange(256)
            (tmp_path / "film").write_bytes(content[: rng.choice((None, None, len(content) - 100))])
            quick = sentence(lambda: check_image("film", tmp_path, thorough=False))
            whole = sentence(lambda: load_image("film", tmp_path))
            assert quick in ("", whole)


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp"])
def test_a_damaged_exif_block_of_a_large_film_is_seen_at_once(tmp_path: Path, suffix: str) -> None:
    name = f"film.{suffix}"
    large = Image.effect_noise((400, 300), 60).convert("RGB")
    large.save(tmp_path / name, exif=b"Exif\0\0II*\0\x08\0\0\0\x09\0\x0f\x01")
    assert (tmp_path / name).stat().st_size > 32_768
    said = verdicts(tmp_path / name)
    if suffix == "png":  # whose block may lie behind the pixels
        del said["check_image, quick"], said["a run or an importer"]
    assert len(set(said.values())) == 1
    assert "a damaged EXIF block" in said["load_image"]


def test_a_wrong_check_sum_is_damage(tmp_path: Path) -> None:
    """Pillow looks at those of no pixels, and reads other pixels."""
    content = bytearray(sound_films()["png L"])
    content[content.index(b"IEND") - 6] ^= 1  # the sum of the pixels' chunk
    (tmp_path / "film.png").write_bytes(content)
    assert "truncated or damaged" in agreed(tmp_path / "film.png")


@pytest.fixture
def everything_else() -> Iterator[list[bytes]]:
    """A format that another library adds and that takes every file; what it was shown."""
    shown: list[bytes] = []

    def accept(prefix: bytes) -> bool:
        shown.append(prefix)
        return True

    Image.register_open("EVERYTHING", lambda file, name: Image.new("L", (9, 9)), accept)  # type: ignore[arg-type,return-value]
    yield shown
    Image.OPEN.pop("EVERYTHING")
    Image.ID.remove("EVERYTHING")


def test_no_other_format_is_tried(tmp_path: Path, everything_else: list[bytes]) -> None:
    films = {
        "drawing.png": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n",
        "grey.png": b"P5 4 4 255\n" + bytes(16),
        "words.png": b"words",
    }
    for name, content in films.items():
        (tmp_path / name).write_bytes(content)
        assert "is not an image that can be read" in agreed(tmp_path / name)
    assert everything_else == []
    assert "a PNM picture" in agreed(tmp_path / "grey.png")


def test_every_image_is_opened_with_a_list_of_formats() -> None:
    """Pillow by itself would try them all."""
    calls = []
    for path in sorted(Path(chexphi.__file__).parent.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            is_open = isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "open"
            if is_open and ast.unparse(node.func) in ("Image.open", "PIL.Image.open"):
                calls.append((path.name, [word.arg for word in node.keywords]))
            imported = isinstance(node, ast.ImportFrom) and node.module == "PIL.Image"
            assert not (imported and any(name.name == "open" for name in node.names)), path
    assert calls == [("decoders.py", ["formats"]), ("machine.py", ["formats"])]


QUIET = """
import os, random, sys, warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from films import mutated_films
from chexphi.data.images import check_image
from chexphi.schema import InputError
root = Path(sys.argv[2])
for number, content in enumerate(mutated_films(random.Random(1), 400)):
    (root / str(number)).write_bytes(content)
def look(number):
    try:
        check_image(str(number), root)
    except InputError:
        return 1
    return 0
with ThreadPoolExecutor(4) as pool:
    refused = sum(pool.map(look, range(400)))
assert 50 < refused < 350
os.write(2, b"a line of someone else\\n")
warnings.warn("a warning of someone else")
"""


@pytest.mark.parametrize("mode", ["default", "error"])
def test_nothing_is_written_about_damaged_films_but_what_others_write(tmp_path: Path, mode: str) -> None:
    fuzz = Path(__file__).parents[2] / "fuzz"
    ended = subprocess.run(
        [sys.executable, "-W", f"{mode}::UserWarning", "-c", QUIET, str(fuzz), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.stdout == ""
    first, *others = ended.stderr.splitlines()
    assert first == "a line of someone else"
    assert "UserWarning: a warning of someone else" in others[0] or mode == "error"
    assert others[-1].endswith("a warning of someone else") or mode == "default"
    assert len(others) <= 4
