"""`chexphi kg compare`: each finding of two texts, and what became of it."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from chexphi.cli import app
from chexphi.graph.lexicon.extractor import LexiconExtractor
from chexphi.kg import compared_findings
from chexphi.schema import InputError

REFERENCE = "Small left pleural effusion. Mild cardiomegaly. Right upper lobe nodule. No pneumothorax."
TEXT = "Small right effusion. The heart size is normal. Right upper lobe opacity. Pneumothorax. Scoliosis."


def run(*words: str, stdin: str | None = None) -> str:
    done = CliRunner().invoke(app, ["kg", "compare", *words], input=stdin, catch_exceptions=False)
    assert done.exit_code == 0
    return done.stdout


def test_each_finding_has_its_fate_and_the_worst_come_first() -> None:
    found = json.loads(run(TEXT, REFERENCE, "--json"))
    named = [
        (item["kind"], (item["text"] or item["reference"])["concept"], item["reasons"])
        for item in found["findings"]
    ]
    assert named == [
        ("contradicted", "pneumothorax", ["the reference denies it"]),
        ("contradicted", "cardiomegaly", ["denied"]),
        ("invented", "scoliosis", []),
        ("partly", "pleural_effusion", ["wrong side"]),
        ("partly", "opacity", ["less specific"]),
    ]
    weights = {item["kind"]: item["weight"] for item in found["findings"]}
    assert weights["contradicted"] == weights["partly"] == 0.6
    assert found["reward"] == max(0.0, found["signed"]) < found["score"] < 1
    assert 0 < found["omission"] < 1
    assert 0 < found["hallucination"] < 1


def test_the_same_text_is_worth_everything() -> None:
    found = json.loads(run(REFERENCE, REFERENCE, "--json"))
    assert (found["score"], found["reward"], found["omission"], found["hallucination"]) == (1, 1, 0, 0)
    assert {item["kind"] for item in found["findings"]} == {"matched"}


def test_the_table_says_it_in_words() -> None:
    match = compared_findings.compare_texts(TEXT, REFERENCE, LexiconExtractor())
    shown = io.StringIO()
    Console(file=shown, width=120).print(compared_findings.findings_table(match))
    assert "wrong side" in shown.getvalue()
    assert "small left pleural effusion" in shown.getvalue()
    assert "omission" in shown.getvalue()


def test_one_text_may_come_from_standard_input() -> None:
    assert run("-", REFERENCE, "--json", stdin=TEXT) == run(TEXT, REFERENCE, "--json")


def test_own_concepts_and_the_indication_count(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text('[scoliosis]\nterms = ["scoliosis"]\nsignificance = "urgent"\n')
    plain, urgent = (
        json.loads(run(TEXT, REFERENCE, "--json", *flags)) for flags in ((), ("--ontology", str(own)))
    )
    assert urgent["score"] < plain["score"]
    texts = ("Consolidation.", "Pneumonia.", "--json")
    assert json.loads(run(*texts, "--indication", "fever"))["score"] > json.loads(run(*texts))["score"]


@pytest.mark.parametrize(
    ("text", "reference", "said"),
    [
        (" ", REFERENCE, "kg compare: the text is empty: give a text in quotes, or - for standard input"),
        (TEXT, "", "kg compare: the reference is empty"),
        (TEXT, "Good morning.", "no finding can be read from the reference"),
        ("-", "-", "kg compare: both texts are '-': give one of them in quotes"),
    ],
)
def test_what_cannot_be_compared_is_one_sentence(text: str, reference: str, said: str) -> None:
    refused = CliRunner().invoke(app, ["kg", "compare", text, reference]).exception
    assert isinstance(refused, InputError)
    assert said in str(refused)


def test_denials_are_listed_and_said_to_be_a_part_of_the_reward() -> None:
    texts = ("The lungs are clear. No scoliosis.", "The lungs are clear. The heart is normal.")
    found = json.loads(run(*texts, "--json"))
    assert [(item["kind"], (item["text"] or item["reference"])["concept"]) for item in found["denials"]] == [
        ("agreed", "lung_abnormality"),
        ("not_made", "heart_abnormality"),
        ("added", "scoliosis"),
    ]
    assert found["denials_share"] == pytest.approx(1 / 3)
    assert found["reward"] == found["signed"] == found["score"] * found["denials_share"]
    shown = run(*texts)
    assert all(words in shown for words in ("both deny", "no scoliosis", "reward = score * 0.333"))


def test_a_wider_denial_is_part_of_a_denial_and_a_contradicted_one_is_no_row_of_its_own() -> None:
    found = json.loads(run("No pleural abnormality. Scoliosis.", "No effusion. No scoliosis.", "--json"))
    assert [item["kind"] for item in found["denials"]] == ["partly"]
    assert [item["kind"] for item in found["findings"]] == ["contradicted"]


def test_silence_has_a_score_and_no_reward() -> None:
    silent = json.loads(run(".", "There is a pleural effusion.", "--json"))
    assert (silent["score"], silent["signed"], silent["reward"]) == (pytest.approx(0.25), 0, 0)
    assert "0: no better than silence" in run(".", "There is a pleural effusion.")


@pytest.mark.parametrize("verb", ["compare", "show"])
def test_the_name_of_a_file_is_no_text(verb: str, tmp_path: Path) -> None:
    file = tmp_path / "report.txt"
    file.write_text(TEXT)
    words = ["kg", verb, str(file), *([REFERENCE] if verb == "compare" else [])]
    refused = CliRunner().invoke(app, words).exception
    assert isinstance(refused, InputError)
    assert "is a file: give its text in quotes, or - in its place" in str(refused)
