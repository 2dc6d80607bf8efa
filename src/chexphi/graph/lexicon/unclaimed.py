"""What is named but not claimed: questions, unreal conditions, headings. Standard library only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from chexphi.graph.lexicon.clauses import BE
from chexphi.graph.lexicon.spans import Span
from chexphi.graph.words import words as _words

_ASKS = _words("is are was were am do does did has have had can could will would should may might")
_WH = _words("what where which who whose why how whether")
_LEAD = _words(
    "so and but now then ok okay well hmm wait question q first next second finally , : - * ( \" '"
)
_AFTER_ASKS = _words("there the a an this that these those it any either both you we i")
_MARKS = _words("? .")
_FACTS_AGAINST = _words("would could should might must")
_NO_CONDITION = _words(
    "not any present real so needed clinically indicated necessary warranted anything i we you one"
)
_HELPED = _words("better further best helpful recommend recommended suggest benefit advise like useful")
_SUBJECTS = (["there"], ["this"], ["it"], ["the"], ["a"], ["an"], ["that"])
_DEFINITION_STARTS = (["a"], ["an"], ["air"], ["fluid"], ["blood"], ["when"], ["any"])
_CHANCES = _words("possibility concern consideration chance feature new")
_SEEK = _words(
    """look looking check checking search searching examine inspect inspecting scan survey review assess
    evaluate checked examined inspected reviewed"""
)
_SIGN_WORDS = _words(
    "signs sign features findings causes cause symptoms manifestations appearance hallmark hallmarks"
)
_INCLUDE = _words("include includes including such")
_SEARCH_END = _words(", ; . : and but")
_STATEMENT_MARKS = _words("; .")


def questions(tokens: Sequence[str]) -> Iterator[tuple[int, int]]:
    """The ranges (first word, one past the last) of questions and of conditions that are not facts."""
    start = 0
    for at in [index for index, word in enumerate(tokens) if word in _MARKS]:
        if tokens[at] == "?":
            begin = _question_start(tokens, start, at)
            if begin is not None:
                yield begin, at
        start = at + 1
    if start < len(tokens) and _is_inverted(tokens, _after_lead_words(tokens, start)):
        yield start, len(tokens)
    if tokens:
        if tokens[0] in ("a", "an"):
            yield from _definitions(tokens)
        yield from _conditions(tokens)
        yield from _explanations(tokens)


def _after_lead_words(tokens: Sequence[str], start: int) -> int:
    """The first word after `so`, `question:` and the like."""
    while start < len(tokens) and (tokens[start] in _LEAD or tokens[start].isdigit()):
        start += 1
    return start


def _is_inverted(tokens: Sequence[str], at: int) -> bool:
    """Whether a question starts here, as in `is there`, `does the`, `where is` or `how many`."""
    word, next_word = (*tokens[at : at + 2], "", "")[:2]
    if word in _ASKS:
        return next_word in _AFTER_ASKS
    return word in _WH and (
        next_word in BE or next_word in ("does", "do", "many", "large", "much", "side", "kind")
    )


def _question_start(tokens: Sequence[str], start: int, end: int) -> int | None:
    """Where the question that ends at `end` starts; None if the mark only tells doubt about a finding."""
    question_word = _after_lead_words(tokens, start)
    if question_word < end and (tokens[question_word] in _ASKS or tokens[question_word] in _WH):
        return start
    for at in range(end - 1, question_word, -1):
        if _is_inverted(tokens, at) and tokens[at - 1] in (",", ";", ":", "and", "but", "so", "or", "-"):
            return at
    return None


def _conditions(tokens: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Conditions against the facts: `if there were an effusion, …`, `had there been one, …`."""
    if "if" not in tokens and tokens[0] not in ("had", "were", "should"):
        return
    for at, word in enumerate(tokens):
        after_if = word == "if" and tokens[at + 1 : at + 2] and tokens[at + 1] not in _NO_CONDITION
        is_inverted = at == 0 and word in ("had", "were", "should") and tokens[1:2] in _SUBJECTS
        if not (after_if or is_inverted):
            continue
        start = max((i + 1 for i in range(at) if tokens[i] in _STATEMENT_MARKS), default=0)
        end = next(
            (i for i in range(at, len(tokens)) if tokens[i] in _STATEMENT_MARKS or tokens[i] == "but"),
            len(tokens),
        )
        condition_words = tokens[start:end]
        modal_words = _FACTS_AGAINST.intersection(condition_words)
        if (
            modal_words
            and not _HELPED.intersection(condition_words)
            and ("were" in condition_words or "had" in condition_words or "would" in modal_words)
        ):
            yield start, end


def _definitions(tokens: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Definitions of a word: `a pneumothorax is air in the pleural space`."""
    if "is" in tokens[:6]:
        at = tokens.index("is") + 1
        if tokens[at : at + 1] in _DEFINITION_STARTS and not _CHANCES.intersection(tokens[at : at + 3]):
            yield 0, len(tokens)


def _explanations(tokens: Sequence[str]) -> Iterator[tuple[int, int]]:
    """General knowledge about a finding: `signs of an effusion include blunting`."""
    if _INCLUDE.isdisjoint(tokens):
        return
    for at, word in enumerate(tokens[:-1]):
        if word in _SIGN_WORDS and tokens[at + 1] == "of" and not _INCLUDE.isdisjoint(tokens[at:]):
            yield at, len(tokens)
            return


def searches(tokens: Sequence[str]) -> Iterator[tuple[int, int]]:
    """What is looked for, up to the next comma, `and` or the end: `I check the lungs for edema`."""
    for at, word in enumerate(tokens):
        if word in _SEEK and "for" in tokens[at + 2 : at + 6]:
            object_start = tokens.index("for", at + 2) + 1
            ends = (i for i in range(object_start, len(tokens)) if tokens[i] in _SEARCH_END)
            yield object_start, next(ends, len(tokens))


def repeated_labels(
    tokens: Sequence[str], spans: Sequence[Span], absent_findings: frozenset[int], answered_spans: set[int]
) -> Iterator[tuple[int, int]]:
    """A label whose value repeats or denies it: `Effusion: no pleural effusion is seen`."""
    if ":" not in tokens:
        return
    colon = tokens.index(":")
    label = [index for index, span in enumerate(spans) if span.end <= colon]
    end = next((i for i in range(colon, len(tokens)) if tokens[i] in (";", "|")), len(tokens))
    value = [index for index, span in enumerate(spans) if colon < span.start < end]
    label_nouns = {spans[index].words[-1] for index in label if spans[index].label.endswith("_present")}
    if (
        not label_nouns
        or not value
        or not answered_spans.isdisjoint(label)
        or not BE.isdisjoint(tokens[:colon])
    ):
        return
    if spans[label[0]].start > 3 or not absent_findings.isdisjoint(label):
        return
    findings = [index for index in value if spans[index].label.endswith("_present")]
    repeated = any(spans[index].words[-1] in label_nouns for index in findings)
    if (
        repeated
        or not absent_findings.isdisjoint(value)
        or (not findings and not BE.isdisjoint(tokens[colon:]))
    ):
        yield 0, colon
