"""Every mistake in a file of concepts is one sentence that names the file, the concept and the value."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chexphi.graph.findings.concepts import concepts_of, read_toml
from chexphi.graph.findings.ontology import Ontology, load
from chexphi.schema import InputError

BLOCK = re.compile(r"# (?P<name>.+)\n(?P<toml>(?s:.+?))\n-> (?P<sentence>.+)\n")
TEXT = Path(__file__).with_name("ontology_mistakes.txt").read_text(encoding="utf-8")
MISTAKES = {block["name"]: (block["toml"], block["sentence"]) for block in BLOCK.finditer(TEXT)}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_sentence(mistake: str, tmp_path: Path) -> None:
    text, sentence = MISTAKES[mistake]
    path = tmp_path / "mine.toml"
    path.write_text(text)
    with pytest.raises(InputError) as refused:
        load(path)
    assert str(refused.value).replace(str(path), "FILE") == sentence


def test_values_within_thousands_of_brackets_are_refused() -> None:
    with pytest.raises(InputError, match="mine is not TOML that can be read: its values are too long or too"):
        read_toml(b"a = " + b"[" * 5000, "mine")


def test_a_file_in_another_encoding_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes('[a]\nterms = ["Ödem"]'.encode("latin-1"))
    with pytest.raises(InputError, match="is not UTF-8: save it in that encoding"):
        load(path)


def test_a_folder_is_not_a_file_of_concepts(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot be read \(Is a directory\): name a TOML file of concepts"):
        load(tmp_path)


def test_a_mark_of_byte_order_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_bytes(b"\xef\xbb\xbf" + b'[a]\nterms = ["quux"]')
    assert "a" in load(path).concepts


VALUES = st.recursive(
    st.text(max_size=4) | st.integers(-9, 99) | st.booleans() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=2),
    max_leaves=5,
)
KEYS = st.sampled_from(["terms", "under", "significance", "family", "by_degree", "good_distance_mm", "x"])


@given(st.dictionaries(st.text(min_size=1, max_size=5), VALUES | st.dictionaries(KEYS, VALUES), max_size=3))
def test_tables_of_any_values_are_read_or_refused(tables: dict[str, object]) -> None:
    with contextlib.suppress(InputError):
        assert concepts_of(tables, "mine.toml").keys() == tables.keys()


@given(st.binary(max_size=40) | st.text("ab[]{}='\"#.,1 \n\\", max_size=30).map(str.encode))
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    with contextlib.suppress(InputError):
        assert isinstance(read_toml(content, "mine.toml"), dict)


def test_a_file_adds_concepts_replaces_those_of_the_same_name_and_adds_words(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(
        '[cardiomegaly]\nterms = ["boot heart"]\nsignificance = "urgent"\n'
        '[ghost_sign]\nterms = ["ghost sign"]\nunder = ["opacity"]\nsignificance = "benign"\n'
        '[words.same]\nheart = ["ticker"]\n[words.degree]\n4 = ["whopping"]\n'
    )
    ontology = load(path)
    assert ontology.concepts["cardiomegaly"].terms == ("boot heart",)
    assert ontology.ancestors["ghost_sign"]["lung_abnormality"] == 2
    assert name_of("ghost sign", ontology) == "ghost_sign"
    assert name_of("boot ticker", ontology) == "cardiomegaly"
    assert name_of("cardiomegaly", ontology) is None
    assert name_of("cardiac normal", ontology) == "heart_abnormality"
    assert ontology.vocabulary.qualities(frozenset({"whopping"})).degree == 4
    assert ontology.vocabulary.qualities(frozenset({"huge"})).degree == 4


def test_the_example_of_the_docs_is_read(tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs" / "clinical.md").read_text(encoding="utf-8")
    example = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)[-1]
    path = tmp_path / "mine.toml"
    path.write_text(example)
    assert name_of("trial device", load(path)) == "device_of_the_trial"


def name_of(phrase: str, ontology: Ontology) -> str | None:
    words = ontology.vocabulary.words(phrase)
    named = ontology.find(words, words, words)
    return named.concept if named else None
