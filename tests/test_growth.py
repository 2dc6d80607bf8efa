"""No parser takes more than its text is long: for 4 times the text at most 6 times the time.

Time is that of the thread's own computing, the least of several tries; a text that is read quickly passes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

import pytest

from chexphi import answers, prompts
from chexphi.answers import clinical, phrases
from chexphi.answers.labels import _labels, items, normalize
from chexphi.data import rows
from chexphi.data.importers import vqa_rad
from chexphi.graph import lines, sections, text, tokens
from chexphi.graph.claims import contradicted
from chexphi.graph.consistency.verdict import MAX_CHARACTERS, consistency
from chexphi.graph.findings.ontology import default_ontology
from chexphi.graph.lexicon import extractor, spans
from chexphi.graph.lexicon.extractor import LexiconExtractor
from chexphi.graph.types import Graph, Mention, Parse
from chexphi.kg.findings import findings
from chexphi.reward_checks import cheats
from chexphi.rewards import AnswerRule, original, repetitions, score

LENGTH, SENTENCES = 4_000, 3_000
"""Characters of the shorter text: of what reads a text in one go, and of what reads it by sentences."""
QUICK = 0.02
"""Seconds in which a parser that takes the square of its text's length does not read the longer text."""
GROWTH, TRIES = 6, 10
FRAMES = ("{}", "<{}", "effusion {}x", ">{}<", "No{} no")
UNITS = (
    " ", "\t", "\n", "\r", "\u3000", " \t", " \n", "<", ">", "< ", "</", ",", ", ", ".", "?", "? ", "?!",
    "!.", ";", ":", ": ", "'", '"', "(", ")", "((a", "[", "{", "[ {", "-", "- ", "-=", "--\n", "*", "**", "_",
    "_-", "|", "#", "/", "\\", "~", "+", "+ ", "+?", "\u00b1", "=>", "->", "\u00bd", "\u0301", "\u200b",
    "\u3002", "a", "A", "a-", "a'", "a ", "the a ", "of a ", "1", "1 ", "1.", "1) ", "(1) ", "1,000,",
    "1.5 x ", "<3 ", "\nA) ", "? (a) b", "\n- ", "\n1. ", "x\n", "Q: a\n", "Reason: a\n\n", "Indication: ",
    "FINDINGS:\n", "A: no\n", "a: . . no ", "dr. ", "a.b.", "isn't ", "\\a{", "<think>", "</think>",
    "<answer>", "</answer>", "<think>a</think>", "<answer>b</answer>", "<|end|>", "<|end|> ", "< think",
    "<think ", "</p>", "no ", "no, ", "not ", "if would ", "and or ", "both and ", "is there ", "look for ",
    "effusion ", "effusion, ", "left lung ", "no effusion or ", "there is no ", "the answer is: ", "yes ",
    "and/or ", "clearly ", "nan ", "No edema. ", "\nEffusion: no", "Is there edema? ",
    "Is there edema? No.\n", "The left lung shows edema, ", "is clearly ",
)  # fmt: skip
SLOW_ONCE = (
    ("<{}", " "), ("{}", "<think>"), ("effusion {}x", "."), ("effusion {}x", "!"), ("{}", "Q: a\n"),
    ("{}", "?"), ("No{} no", "-="), ("No{} no", "_-"), ("No{} no", " \n"), ("No{} no", "+?"),
    ("Effusion: 4 mm\n{} no", ": "), ("{}", "Reason: a\n\n"), ("{}", "clearly "), ("{}", "no, "),
)  # fmt: skip
"""Frame and unit of texts over which a parser once took long, and two more."""
EVERY = (*SLOW_ONCE, *((frame, unit) for unit in UNITS for frame in FRAMES))
CACHED = (
    prompts._parse, text.sentence_spans, extractor._parse, spans._guess_label, tokens._split_contraction,
    normalize, _labels, clinical._meanings_of, phrases.phrase, repetitions._statements,
)  # fmt: skip


def written(frame: str, unit: str, length: int) -> str:
    return frame.format((unit * (length // len(unit) + 1))[:length])


def seconds(read: Callable[[str], object], text: str) -> float:
    for cached in CACHED:
        cached.cache_clear()
    start = time.thread_time()
    read(text)
    return time.thread_time() - start


def growth(read: Callable[[str], object], short: str, long: str) -> float:
    """How many times longer it takes to read the longer text; 0 where that is quick."""
    least = seconds(read, long)
    shorter = float("inf")
    for _ in range(TRIES):
        if least <= QUICK:
            return 0.0
        shorter = min(shorter, *(seconds(read, short) for _ in range(3)))
        if least <= GROWTH * shorter:
            break
        least = min(least, seconds(read, long))
    return least / shorter


def in_tags(text: str) -> str:
    return f"<think>{text}</think><answer>{text}</answer>"


LEXICON, ONTOLOGY = LexiconExtractor(), default_ontology()
AT_ONCE: dict[str, Callable[[str], object]] = {
    "parse": prompts.parse,
    "parse, in tags": lambda text: prompts.parse(in_tags(text)),
    "parse, behind an empty block": lambda text: prompts.parse(f"<think></think>{text}"),
    "answer_span": lambda text: prompts.answer_span(in_tags(text)),
    "opens_think": prompts.opens_think,
    "closes_first": prompts.closes_first,
    "after_prompt": lambda text: prompts.after_prompt(text, opened_think=True),
    "with_prompt": lambda text: prompts.with_prompt(text, opened_think=True),
    "text_of": lambda text: prompts.text_of([{"content": [{"text": text}], "reasoning": text}]),
    "strip_end": prompts.strip_end,
    "reference_reasoning": prompts.reference_reasoning,
    "sentences": text.sentence_spans,
    "sections": sections.unclaimed_sections,
    "lines": lines.Layout.of,
    "is_answer": lines.is_answer,
    "tokens": tokens.tokenize,
    "items": items,
    "normalize": normalize,
    "answers": answers.labels,
    "the original's answer": lambda text: original.answer_score(text, "<answer>yes</answer>"),
    "the original's reasoning": lambda text: original._between("think", text),
    "repetitions": lambda text: repetitions.repeated(text, text),
    "an empty cell": rows._EMPTY_TAG.search,
    "a film's place": rows._PLACEHOLDER.findall,
    "a question's statement": lambda text: vqa_rad.statement(f"Is {text} clear?", "yes"),
    "swapped sides": cheats.swap_sides,
    "what an answer claims": lambda text: consistency(
        text[:MAX_CHARACTERS], text[:MAX_CHARACTERS], "No effusion.", LEXICON, ONTOLOGY
    ),
}
CLINICAL = AnswerRule("clinical")
BY_SENTENCES: dict[str, Callable[[str], object]] = {
    "consistency": lambda text: consistency("Is there an effusion?", "yes", text, LEXICON, ONTOLOGY),
    "consistency, of a count": lambda text: consistency(
        "How many nodules are there?", "2", text, LEXICON, ONTOLOGY
    ),
    "extraction": lambda text: findings(LEXICON.parse([text])[0]),
    "reward": lambda text: score(
        in_tags(text), in_tags("No edema."), extractor=LEXICON, answer_rule=CLINICAL
    ),
}


def check(read: Callable[[str], object], length: int, texts: Iterable[tuple[str, str]]) -> None:
    slow = {}
    for frame, unit in texts:
        times = growth(read, written(frame, unit, length), written(frame, unit, 4 * length))
        if times > GROWTH:
            slow[frame, unit] = times
    assert not slow


@pytest.mark.parametrize("parser", AT_ONCE)
def test_what_reads_a_text_at_once(parser: str) -> None:
    check(AT_ONCE[parser], LENGTH, SLOW_ONCE)


@pytest.mark.parametrize("parser", BY_SENTENCES)
def test_what_reads_sentences(parser: str) -> None:
    check(BY_SENTENCES[parser], SENTENCES, SLOW_ONCE)


@pytest.mark.slow
@pytest.mark.parametrize("parser", [*AT_ONCE, *BY_SENTENCES])
def test_every_text_in_every_frame(parser: str) -> None:
    read = (AT_ONCE | BY_SENTENCES)[parser]
    check(read, LENGTH if parser in AT_ONCE else SENTENCES, EVERY)


def many_sides(count: int) -> Graph:
    entities = [(f"opacity {number}", "disorder_present") for number in range(count)]
    return Graph(frozenset(entities), frozenset(), sides=frozenset((entity, "left") for entity in entities))


def many_links(count: int) -> Parse:
    found = [Mention("opacity", "disorder_present", 2 * at, 2 * at + 1) for at in range(count)]
    places = [Mention("pleura", "anatomy", 2 * at, 2 * at + 1) for at in range(count, 2 * count)]
    return Parse("", (*found, *places), frozenset((at, "located_at", at + count) for at in range(count)))


def test_claims_and_findings_of_large_graphs() -> None:
    sizes = {"short": 500, "long": 2_000}
    graphs = {name: many_sides(size) for name, size in sizes.items()}
    parses = {name: many_links(size) for name, size in sizes.items()}
    assert growth(lambda name: contradicted(graphs[name], graphs[name]), "short", "long") <= GROWTH
    assert growth(lambda name: findings(parses[name]), "short", "long") <= GROWTH
