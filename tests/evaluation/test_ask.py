"""One question to a policy: bad words before the model, the answer's probability, the comparison."""

from __future__ import annotations

import json
import logging
import math
from pathlib import Path

import pytest
import torch
from PIL import Image
from rich.console import Console
from typer.testing import CliRunner

from chexphi.cli import app
from chexphi.evaluation import ask, ask_reply, scoring
from chexphi.evaluation.ask_view import view
from chexphi.evaluation.scored_predictions import graph_match
from chexphi.graph.lexicon.extractor import LexiconExtractor
from chexphi.models.families import phi4
from chexphi.models.generate import Generation, generate
from chexphi.models.likelihood import sequence_logprobs
from chexphi.prompts import messages, parse, render
from chexphi.rewards import AccuracyReward, GraphReward
from chexphi.schema import Example, InputError

QUESTION = "Is there an effusion?"
GOLD = render("There is a left pleural effusion. The heart is normal.", "yes")
END = "<|end|>"


def said(*tokens: str, logprobs: tuple[float, ...] = (), truncated: bool = False) -> Generation:
    text = "".join(tokens).removesuffix(END)
    return Generation(text, tuple(range(len(tokens))), tokens, logprobs, truncated, "")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Films of three forms, and what is none."""
    Image.new("L", (64, 64), 90).save(tmp_path / "prior.png")
    Image.new("RGB", (90, 40), "grey").save(tmp_path / "current.jpg")
    (tmp_path / "broken.png").write_bytes((tmp_path / "prior.png").read_bytes()[:60])
    (tmp_path / "notes.txt").write_text("The lungs are clear.")
    return tmp_path


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["none.png", QUESTION], "none.png' does not exist"),
        ([".", QUESTION], "is a folder"),
        (["prior.png", "broken.png", QUESTION], "broken.png' is truncated or damaged"),
        (["notes.txt", QUESTION], "notes.txt' is not an image"),
        (["prior.png", " "], "the question is empty"),
        (["prior.png", "current.jpg"], "'current.jpg', is a file, not a question"),
        (["prior.png", "later.DCM"], "'later.DCM', is a file, not a question"),  # not there, but meant as one
        (["prior.png", "Is", "it", "clear?"], "'Is' does not exist: .* in quotes"),  # quotes forgotten
    ],
)
def test_bad_words_are_refused_before_the_model_is_looked_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], message: str
) -> None:
    monkeypatch.chdir(folder)
    with pytest.raises(InputError, match=message):
        ask.main(Path("no model"), words)


@pytest.mark.parametrize("text", ["", "yes", "<answer> </answer>", "<answer>.</answer>", "<think>effusion"])
def test_a_reference_without_answer_and_graph_is_refused_and_not_repeated(
    tiny_model_dir: Path, text: str
) -> None:
    with pytest.raises(InputError, match="nothing can be compared") as caught:
        ask.main(tiny_model_dir, [QUESTION], reference=text)
    assert "effusion" not in str(caught.value)


@pytest.mark.parametrize(
    ("tokens", "counted"),
    [
        (["<think>", "a", "</think>", "<answer>", "left", " lung", "</answer>", END], [4, 5]),
        (["<think>a</think>", "<", "answer", ">", "yes", "</", "answer", ">"], [4]),
        (["<think>a</think><answer>y", "es</", "answer>"], [0, 1]),  # tokens across a tag count whole
        (["<answer>", "\n", "yes", " ", "no", "\n", "</answer>"], [2, 3, 4]),
        (["<answer>", "\ufffd", "\ufffd", "</answer>"], [1, 2]),  # a character of two tokens
        (["<think>", "\ufffd", "\ufffd", "</think>", "<answer>", "no", "</answer>"], [5]),
        (["<Answer>", "yes", "</ANSWER>", "<think>", "a", "</think>", END], [1]),
        (["<answer>", "</answer>"], None),
        (["<answer>", "yes"], None),
        (["yes", END], None),
        (["<answer>", "yes", "</answer>", "<answer>", "no", "</answer>"], None),
    ],
)
def test_the_probability_is_of_the_tokens_inside_the_tags(
    tokens: list[str], counted: list[int] | None
) -> None:
    logprobs = tuple(-0.1 * 2**i for i in range(len(tokens)))  # no two sums are equal
    found = ask_reply.answer_probability(said(*tokens, logprobs=logprobs))
    if counted is None:
        assert found is None
    else:
        assert found == pytest.approx(math.exp(sum(logprobs[i] for i in counted)))


def test_the_probability_is_that_of_the_answer_after_the_reasoning(tiny_model_dir: Path) -> None:
    """Against the log-probabilities of two texts: up to the answer, and with it."""
    model, processor = phi4.load(tiny_model_dir)
    start, answer = GOLD.split("yes")[0], "left lung"
    ids = processor.tokenizer(f"{start}{answer}</answer>{END}")["input_ids"]
    prompt = processor.apply_chat_template(messages(QUESTION, 0), add_generation_prompt=True)
    before = processor.tokenizer(prompt)["input_ids"]
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([before + ids])).logits[0, len(before) - 1 : -1]
    picked = logits.log_softmax(-1).gather(1, torch.tensor(ids)[:, None])[:, 0].tolist()
    tokens = [processor.tokenizer.decode([token]) for token in ids]
    found = ask_reply.answer_probability(said(*tokens, logprobs=tuple(picked)))
    texts = [start, start + answer]
    less, more = sequence_logprobs(model, processor, [QUESTION] * 2, [[], []], texts)
    assert found == pytest.approx(math.exp(more - less), rel=1e-4)


REPLIES = {
    "as the reference": said(GOLD),
    "wrong": said(render("There is no effusion. The heart is normal.", "no")),
    "no answer": said("<think>There is a left pleural effusion.</think>"),
    "no reasoning": said("<answer>yes</answer>"),
    "cut": said(GOLD, " The", truncated=True),
    "empty": said(""),
}
REFERENCES = {
    "whole": GOLD,
    "no answer": "There is a left pleural effusion.",
    "no graph": render("I say so.", "yes"),
}


@pytest.mark.parametrize("reply", REPLIES.values(), ids=REPLIES)
@pytest.mark.parametrize("text", REFERENCES.values(), ids=REFERENCES)
def test_the_comparison_is_that_of_evaluation_and_of_the_rewards(reply: Generation, text: str) -> None:
    extractor = LexiconExtractor()
    (reading,) = extractor.parse([parse(reply.text).think or ""])
    found = ask.compare(reply, reading, ask.read_reference(text, extractor))
    ids = [[0 if reply.truncated else 9]]
    for reward, value in (
        (AccuracyReward(end_token_ids=[9]), found.rewards.accuracy),
        (GraphReward(extractor, end_token_ids=[9]), found.rewards.graph),
    ):
        assert reward([reply.text], [text], completion_ids=ids) == [value]
    gold = parse(text).answer
    example = Example("a", (), QUESTION, (gold or "?",), text)
    (readings,) = scoring.reading_pairs([example], [reply.text], extractor)
    row = scoring.make_prediction(example, reply, *readings, Path(), extractor=extractor, tokens=False)
    assert found.match == graph_match(row)
    assert found.is_correct == (row.is_correct if gold else None)


@pytest.mark.parametrize("names", [[], ["current.jpg"], ["prior.png", "current.jpg"]])
def test_the_reply_is_what_the_policy_generates(tiny_model_dir: Path, folder: Path, names: list[str]) -> None:
    paths = [str(folder / name) for name in names]
    reply = ask.main(tiny_model_dir, [*paths, QUESTION], max_new_tokens=6, reference=GOLD)
    films = [[Image.open(path).convert("RGB") for path in paths]]
    ((expected,),) = generate(*phi4.load(tiny_model_dir), [QUESTION], films, max_new_tokens=6)
    assert reply.generation == expected
    assert reply.images == tuple(paths)
    assert reply.comparison
    assert reply.comparison.reference.gold == ("yes",)


def test_own_concepts_count(tiny_model_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text('[scoliosis]\nterms = ["scoliosis"]\nsignificance = "urgent"\n')
    text = "<think>A small pleural effusion. There is scoliosis.</think><answer>yes</answer>"
    words = ["ask", str(tiny_model_dir), QUESTION, "--reference", text, "--max-new-tokens", "4", "--json"]
    weights = []
    for flags in ([], ["--ontology", str(tmp_path / "own.toml")]):
        row = json.loads(CliRunner().invoke(app, [*words, *flags]).stdout)
        findings = row["comparison"]["findings"]["findings"]
        weights.append({item["reference"]["concept"]: item["weight"] for item in findings})
    assert weights[1]["scoliosis"] == 1 > weights[0]["scoliosis"]
    assert weights[1]["pleural_effusion"] == weights[0]["pleural_effusion"]
    extractor = LexiconExtractor()
    (reading,) = extractor.parse(["A small pleural effusion."])
    earned = []
    for ontology in ("", str(tmp_path / "own.toml")):
        reference = ask.read_reference(text, extractor, ontology)
        match = ask.compare(
            said("<think>A small pleural effusion.</think>"), reading, reference, ontology=ontology
        )
        assert match.findings
        earned.append(match.findings.reward)
    assert earned[1] < earned[0]


def test_samples_are_repeatable(tiny_model_dir: Path) -> None:
    texts = [
        ask.main(tiny_model_dir, [QUESTION], max_new_tokens=12, temperature=1.0, seed=seed).generation.text
        for seed in (1, 1, 2)
    ]
    assert texts[0] == texts[1] != texts[2]


def test_the_verb_prints_one_json_object(
    tiny_model_dir: Path, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    argv = ["ask", tiny_model_dir, folder / "prior.png", QUESTION, "--reference", GOLD, "--json"]
    with caplog.at_level(logging.DEBUG, logger="chexphi"):
        done = CliRunner().invoke(app, [*map(str, argv), "--max-new-tokens", "6"])
    row = json.loads(done.stdout)
    assert row["question"] == QUESTION
    assert row["comparison"]["is_correct"] is False
    assert row["comparison"]["entities"]["fn"] == len(row["comparison"]["graph_reference"]["entities"]) > 0
    assert not any(QUESTION in text or "pleural" in text for text in caplog.messages)


def shown(generation: Generation, reference: str | None = None, *, colour: bool = False) -> str:
    extractor, parsed = LexiconExtractor(), parse(generation.text, truncated=generation.truncated)
    (found,) = extractor.parse([parsed.think or ""])
    wanted = ask.read_reference(reference, extractor) if reference else None
    comparison = ask.compare(generation, found, wanted) if wanted else None
    reply = ask_reply.Reply(QUESTION, (), generation, parsed, found, comparison)
    console = Console(width=100, force_terminal=colour, color_system="standard" if colour else None)
    with console.capture() as captured:
        for part in view(reply, colour=colour):
            console.print(part)
    return captured.get()


def test_a_reply_is_readable_without_colour() -> None:
    tokens = ("<think>There is a left pleural effusion.</think><answer>", "no", "</answer>")
    text = shown(said(*tokens, logprobs=(0.0, math.log(0.25), 0.0)), GOLD)
    assert "[effusion: finding, present]" in text
    assert "answer: no (probability 0.25 after this reasoning)" in text
    assert "reference: yes; the answer is wrong" in text
    assert "missed: heart; normal; normal modify heart" in text
    assert "invented" not in text.split("missed:")[1]
    assert "rewards: answer 0.000, graph 0.6" in text
    assert "\x1b" not in text


def test_a_reply_is_coloured_where_there_is_colour() -> None:
    text = shown(said(GOLD, logprobs=(-0.1,)), colour=True)
    assert "\x1b[1;31meffusion\x1b[0m" in text
    assert "\x1b[31m■ finding, present\x1b[0m" in text
    assert "reference" not in text


@pytest.mark.parametrize(
    ("generation", "parts"),
    [
        (said("", logprobs=(0.0,)), ["malformed: no answer", "(nothing)", "no probability"]),
        (
            said("<think>So\x1b[2J", logprobs=(0.0,), truncated=True),
            ["malformed: truncated", "<think>So [2J"],
        ),
        (
            said("<answer>yes</answer>", logprobs=(0.0,)),
            ["malformed: no think", "answer: yes (probability 1 "],
        ),
        (said(render("I say so.", "yes"), logprobs=(0.0,)), ["found nothing in the reasoning"]),
    ],
)
def test_what_is_missing_is_said(generation: Generation, parts: list[str]) -> None:
    text = shown(generation)
    assert all(part in text for part in parts)
    assert "\x1b" not in text


@pytest.mark.parametrize(
    ("reference", "part"),
    [
        (REFERENCES["no answer"], "without an answer, so the answer is not compared"),
        (REFERENCES["no graph"], "no graph, so the graph is not compared"),
    ],
)
def test_what_cannot_be_compared_is_said(reference: str, part: str) -> None:
    assert part in shown(said(GOLD, logprobs=(0.0,)), reference)
