"""RadGraph's documented output, read and scored; the library itself is not needed."""

from __future__ import annotations

import importlib.util
import itertools
import json
import sys
import types
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from chexphi.cli import app
from chexphi.graph import radgraph
from chexphi.graph.radgraph_annotations import label_of
from chexphi.graph.types import LABELS, Parse
from chexphi.schema import InputError

WORDS = "no small left effusion but possible edema in the lungs"


def entity(word: str, label: str, *relations: list[str]) -> dict[str, Any]:
    at = WORDS.split(" ").index(word)
    return {"tokens": word, "label": label, "start_ix": at, "end_ix": at, "relations": list(relations)}


def annotation(**changes: str) -> dict[str, Any]:
    labels = {
        "small": "Observation::definitely absent",
        "left": "Anatomy::definitely present",
        "effusion": "Observation::definitely absent",
        "edema": "Observation::uncertain",
        "lungs": "Anatomy::definitely present",
    } | changes
    entities = {
        "1": entity("small", labels["small"], ["modify", "3"]),
        "2": entity("left", labels["left"]),
        "3": entity("effusion", labels["effusion"], ["located_at", "2"]),
        "4": entity("edema", labels["edema"], ["located_at", "5"]),
        "5": entity("lungs", labels["lungs"]),
    }
    return {"text": WORDS, "entities": entities}


def test_labels_relations_and_places() -> None:
    parse = radgraph.parse_annotation(annotation())
    graph = parse.graph
    assert (("effusion", "disorder_notpresent"), "located_at", ("left", "anatomy")) in graph.relations
    assert (("edema", "disorder_present"), "located_at", ("lungs", "anatomy")) in graph.relations
    assert graph.uncertain == {("edema", "disorder_present")}
    assert [WORDS[m.start : m.end] for m in parse.mentions] == [m.text for m in parse.mentions]


def test_places_are_those_of_the_text_that_was_read() -> None:
    found = radgraph.parse_annotation(annotation())
    text = "  " + found.text.title().replace(" .", ".").replace(" ", "  ")  # as it is before RadGraph cuts it
    parse = radgraph.align_to_text(found, text)
    assert [text[m.start : m.end].lower().split() for m in parse.mentions] == [
        m.text.split() for m in found.mentions
    ]
    assert parse.graph == found.graph
    nothing = radgraph.align_to_text(found, "")
    assert {(m.start, m.end) for m in nothing.mentions} == {(0, 0)}


def test_short_labels_are_the_same() -> None:
    short = {"small": "OBS-DA", "left": "ANAT-DP", "effusion": "OBS-DA", "edema": "OBS-U", "lungs": "ANAT-DP"}
    assert radgraph.parse_annotation(annotation(**short)) == radgraph.parse_annotation(annotation())


@pytest.mark.parametrize(
    ("kind", "certainty"),
    [
        *itertools.product(
            ("Anatomy", "Observation"), ("definitely present", "definitely absent", "uncertain")
        )
    ],
)
def test_every_label_of_the_models_is_read(kind: str, certainty: str) -> None:
    """`radgraph` has those without measurement, the XL models all but one: it is read with the others."""
    label, uncertain = label_of(f"{kind}::{certainty}")
    assert label in LABELS
    assert uncertain == (certainty == "uncertain")
    for measurement in (f"{kind}::measurement::{certainty}", f"{kind}::Measurement::{certainty}"):
        assert label_of(measurement) == ("size", uncertain)


def test_a_measurement_is_a_size_with_its_relations() -> None:
    words = "tube ends 4 cm above the carina"
    entities = {
        "1": {"tokens": "tube", "label": "Observation::definitely present", "start_ix": 0, "end_ix": 0},
        "2": {
            "tokens": "4 cm above", "label": "Anatomy::measurement::definitely present",
            "start_ix": 2, "end_ix": 4, "relations": [["modify", "3"]],
        },
        "3": {
            "tokens": "carina", "label": "Anatomy::definitely present",
            "start_ix": 6, "end_ix": 6, "relations": None,
        },
    }  # fmt: skip
    parse = radgraph.parse_annotation({"text": words, "entities": entities})
    assert (("4 cm above", "size"), "modify", ("carina", "anatomy")) in parse.graph.relations
    assert [words[m.start : m.end] for m in parse.mentions] == ["tube", "4 cm above", "carina"]


@pytest.mark.parametrize(
    "label",
    [
        "Observation", "OBS-XX", "device::definitely present", "", "CHAN-NC", "measurement",
        "Observation::size::definitely present", "Observation::measurement", None,
    ],
)  # fmt: skip
def test_other_labels_are_refused(label: Any) -> None:
    with pytest.raises(InputError, match="is not a label of RadGraph"):
        radgraph.parse_annotation(annotation(edema=label))


@pytest.mark.parametrize("entities", [{}, None])
def test_a_report_without_entities_is_empty(entities: Any) -> None:
    assert radgraph.parse_annotation({"text": "normal", "entities": entities}) == Parse("normal")
    assert radgraph.parse_annotation({"text": "", "entities": entities}) == Parse("")


def test_entities_may_overlap_and_point_to_themselves() -> None:
    found = annotation()
    found["entities"]["6"] = entity("effusion", "Observation::uncertain", ["modify", "6"], ["modify", "3"])
    found["entities"]["6"] |= {"tokens": "left effusion", "start_ix": 2}
    parse = radgraph.parse_annotation(found)
    texts = [mention.text for mention in parse.mentions]
    assert texts == ["small", "left", "left effusion", "effusion", "edema", "lungs"]
    assert {(2, "modify", 2), (2, "modify", 3)} <= parse.edges


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"relations": [["located_at", "9"]]}, "entity '5' is related to entity '9', which is missing"),
        ({"relations": [["near", "1"]]}, "'near' is not a relation of RadGraph"),
        ({"relations": [["modify"]]}, "not an annotation of RadGraph"),
        ({"start_ix": None}, "not an annotation of RadGraph"),
        ({"start_ix": 9, "end_ix": 8}, "entity '5' lies at words 9 to 8 of 10"),
    ],
)
def test_what_is_none_of_radgraphs_is_one_sentence(change: dict[str, Any], message: str) -> None:
    wrong = annotation()
    wrong["entities"]["5"] |= change
    for function in (radgraph.parse_annotation, lambda found: radgraph.published_f1(found, annotation())):
        with pytest.raises(InputError, match=message):
            function(wrong)


@pytest.mark.parametrize(
    "wrong", [{}, {"entities": {}}, {"text": None, "entities": {}}, {"text": "a", "entities": [1]}]
)
def test_other_forms_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="not an annotation of RadGraph"):
        radgraph.parse_annotation(wrong)


def test_a_place_outside_the_text_is_refused() -> None:
    wrong = annotation()
    wrong["entities"]["5"]["end_ix"] = 10
    with pytest.raises(ValueError, match="entity '5' lies at words 9 to 10 of 10"):
        radgraph.parse_annotation(wrong)


def capitals(found: dict[str, Any], *words: str) -> dict[str, Any]:
    entities = {
        key: row | {"tokens": row["tokens"].title() if row["tokens"] in words else row["tokens"]}
        for key, row in found["entities"].items()
    }
    return found | {"entities": entities}


RELEASED: list[tuple[tuple[str, ...], dict[str, str], tuple[float, float, float]]] = [
    ((), {}, (1.0, 1.0, 1.0)),
    (("small",), {}, (0.8, 0.8, 1.0)),
    (("left",), {}, (0.8, 0.8, 0.8)),
    (("effusion", "left"), {}, (0.6, 0.6, 0.8)),
    (("lungs",), {"edema": "Observation::definitely present"}, (0.6, 0.6, 0.6)),
    (("edema",), {"small": "Observation::measurement::definitely present"}, (0.6, 0.6, 0.8)),
]
"""Words with a capital, labels changed, and what `compute_reward(…, "all")` of radgraph 0.1.18 returned."""


@pytest.mark.parametrize(("words", "labels", "expected"), RELEASED)
def test_the_published_f1_is_that_of_the_release(
    words: tuple[str, ...], labels: dict[str, str], expected: tuple[float, ...]
) -> None:
    found = capitals(annotation(**labels), *words)
    for level, value in zip(radgraph.LEVELS, expected, strict=True):
        assert radgraph.published_f1(found, annotation(), level) == pytest.approx(value)
        assert radgraph.published_f1(annotation(), found, level) == pytest.approx(value)
        same = radgraph.f1(
            radgraph.parse_annotation(annotation(**labels)), radgraph.parse_annotation(annotation()), level
        )
        assert (
            radgraph.f1(radgraph.parse_annotation(found), radgraph.parse_annotation(annotation()), level)
            == same
        )


def test_nothing_found_earns_nothing_in_either_reading() -> None:
    nothing = {"text": "normal", "entities": {}}
    for level in radgraph.LEVELS:
        assert radgraph.published_f1(nothing, nothing, level) == 0
        assert radgraph.f1(radgraph.parse_annotation(nothing), radgraph.parse_annotation(nothing), level) == 0


def test_both_figures_on_the_command_line(tmp_path: Path) -> None:
    gold, found = tmp_path / "gold.json", tmp_path / "found.json"
    gold.write_text(json.dumps({"0": annotation(), "1": annotation()}))
    found.write_text(
        json.dumps([{"0": capitals(annotation(), "left")}])
    )  # as the library's own tests keep it
    words = ["kg", "radgraph-f1", str(gold), str(found)]
    figures = json.loads(CliRunner().invoke(app, [*words, "--json"]).stdout)
    assert figures["any_case"] == {"simple": 1, "partial": 1, "complete": 1}
    assert figures["published"] == pytest.approx({"simple": 0.8, "partial": 0.8, "complete": 0.8})
    assert (figures["n"], figures["in_one_file_only"]) == (1, 1)
    assert "as radgraph 0.1.18" in CliRunner().invoke(app, words).stdout
    for content, message in (
        ("{", "is not JSON"),
        ("[]", "has no annotation"),
        ('{"0": {"text": "a", "entities": {}, "x": 1}, "1": 3}', "report '1': not an annotation of RadGraph"),
        (json.dumps({"x": annotation()}), "share no report"),
    ):
        found.write_text(content)
        error = CliRunner().invoke(app, words).exception
        assert isinstance(error, InputError)
        assert message in str(error)


def independent_f1(predicted: dict[str, Any], reference: dict[str, Any], level: str) -> float:
    """The definition of the paper on RadGraph's own rows, without our graphs."""

    def rows(report: dict[str, Any]) -> set[tuple[Any, ...]]:
        found: set[tuple[Any, ...]] = set()
        for row in report["entities"].values():
            ends = [(kind, report["entities"][other]["tokens"]) for kind, other in row["relations"]]
            if level == "simple":
                found.add((row["tokens"], row["label"]))
            elif level == "partial":
                found.add((row["tokens"], row["label"], bool(ends)))
            else:
                found |= {(row["tokens"], row["label"], *end) for end in ends or [()]}
        return found

    a, b = rows(predicted), rows(reference)
    precision, recall = len(a & b) / len(a), len(a & b) / len(b)
    return 2 * precision * recall / (precision + recall) if a & b else 0.0


@pytest.mark.parametrize("level", ["simple", "partial", "complete"])
def test_f1_is_radgraphs_own(level: radgraph.Level) -> None:
    reference = annotation()
    others = [
        reference,
        annotation(edema="Observation::definitely present"),
        annotation(effusion="Observation::definitely present", left="Anatomy::uncertain"),
        annotation(lungs="Anatomy::definitely absent"),
    ]
    no_relation = annotation()
    no_relation["entities"]["4"]["relations"] = []
    for other in (*others, no_relation):
        ours = radgraph.f1(radgraph.parse_annotation(other), radgraph.parse_annotation(reference), level)
        assert ours == pytest.approx(independent_f1(other, reference, level))


@pytest.mark.skipif(importlib.util.find_spec("radgraph") is not None, reason="the library is here")
def test_without_the_library_one_line_says_what_to_install() -> None:
    with pytest.raises(
        InputError, match="needs the library radgraph: pip install radgraph 'transformers<5' in an"
    ):
        radgraph.RadgraphExtractor()


def test_a_library_that_its_own_libraries_lack_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As `radgraph` is where something that it imports was removed."""
    (tmp_path / "radgraph.py").write_text("import jsonpickle_that_is_gone\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "radgraph", raising=False)
    with pytest.raises(InputError) as refused:
        radgraph.RadgraphExtractor("radgraph")
    assert str(refused.value) == (
        "extractor radgraph:radgraph needs the library jsonpickle_that_is_gone: pip install radgraph "
        "'transformers<5' in an environment of its own"
    )


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[list[str]], Any]], None]:
    """A stand-in for `radgraph` 0.1.18 with weights (it has an environment of its own)."""

    def install(annotate: Callable[[list[str]], Any]) -> None:
        def model(*, model_type: str) -> Callable[[list[str]], Any]:
            print("Using device: cpu")  # noqa: T201
            return annotate

        module = types.ModuleType("radgraph")
        module.RadGraph = model  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "radgraph", module)

    return install


def found_words(texts: Sequence[str]) -> dict[str, Any]:
    """Every word an observation, as RadGraph numbers texts and words."""
    return {
        str(number): {
            "text": text,
            "entities": {
                str(at + 1): {
                    "tokens": word, "label": "Observation::definitely present", "start_ix": at, "end_ix": at,
                }
                for at, word in enumerate(text.split())
            },
        }
        for number, text in enumerate(texts)
    }  # fmt: skip


def test_blank_texts_are_not_asked_for_and_prints_stay_out_of_the_result(
    library: Callable[[Any], None], capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[str] = []
    library(lambda texts: asked.extend(texts) or found_words(texts))
    extractor = radgraph.RadgraphExtractor()
    parses = extractor.parse(["", "Edema", " \n", "Clear lungs"])
    assert [[m.text for m in parse.mentions] for parse in parses] == [[], ["edema"], [], ["clear", "lungs"]]
    assert [parse.text for parse in parses] == ["", "Edema", " \n", "Clear lungs"]
    assert asked[1:] == ["Edema", "Clear lungs"]  # the first is the trial
    assert extractor.parse([]) == []
    assert capsys.readouterr().out == ""


def test_a_text_that_the_library_leaves_out_is_named(library: Callable[[Any], None]) -> None:
    library(lambda texts: {key: row for key, row in found_words(texts).items() if key != "1"})
    with pytest.raises(InputError, match="left out text 3 of 3"):
        radgraph.RadgraphExtractor().parse(["Edema", "", "Clear lungs"])


def test_a_model_that_does_not_open_is_one_sentence(
    library: Callable[[Any], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def annotate(texts: list[str]) -> Any:
        raise AttributeError("BertTokenizer has no attribute encode_plus\nand more")

    library(annotate)
    with pytest.raises(
        InputError, match=r"radgraph-xl cannot be opened \(AttributeError: .*encode_plus\)"
    ) as e:
        radgraph.RadgraphExtractor("radgraph-xl")
    assert "\n" not in str(e.value)
    older = tmp_path / "transformers-4.56.0.dist-info"
    older.mkdir()
    (older / "METADATA").write_text("Name: transformers\nVersion: 4.56.0\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(
        InputError, match="weights have to be in radgraph's own cache, and its tokenizer in that"
    ):
        radgraph.RadgraphExtractor("radgraph-xl")
    with pytest.raises(
        InputError, match="has no model 'echograph': use modern-radgraph-xl, radgraph-xl, radgraph"
    ):
        radgraph.RadgraphExtractor("echograph")
