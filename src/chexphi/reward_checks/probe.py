"""What cheating earns: `chexphi rewards probe DATA`.

Each configuration of the rewards scores the references, and texts that ignore the film or twist the truth.
What share of the references' reward do such texts earn?
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chexphi import prompts
from chexphi.compat import is_original
from chexphi.graph.open import open_extractor
from chexphi.graph.text import sentence_spans
from chexphi.graph.types import Extractor, Graph, Parse
from chexphi.reward_checks import cheats, offline_scores
from chexphi.reward_checks.best_constant import ConstantSearch, Earn, Line, Row, best_constant, mean
from chexphi.reward_checks.offline_scores import RewardSetup
from chexphi.reward_checks.twists import MEANINGS, Cheat, texts
from chexphi.rewards import by_name
from chexphi.rewards.combine import ACCURACY, PENALTIES
from chexphi.rewards.rules import CLINICAL
from chexphi.schema import Example, InputError

SHIPPED: dict[str, dict[str, Any]] = {
    "default": {},
    "original's rules": {"match": "any", "contradictions": "ignore", "repetitions": "ignore"},
    "compat original": {"compat": "original"},
    "product": {"combine": "product"},
    "gated": {"combine": "gated"},
    "F1": {"match": "f1", "measure": "f1"},
    "clinical": {"measure": "clinical"},
    "answer alone": {"rewards": [ACCURACY]},
}
"""The configurations that are compared by default, as changes of the default settings."""
STEPS = len(MEANINGS) + 2
"""Steps of the progress bar for each configuration."""


class CachedExtractor:
    """An extractor that reads each text once; satisfies `chexphi.graph.types.Extractor`."""

    def __init__(self, extractor: Extractor) -> None:
        self.extractor = extractor
        self._graphs: dict[str, Graph] = {}

    def parse(self, texts: Sequence[str]) -> list[Parse]:
        """One parse a text, in order."""
        return self.extractor.parse(texts)

    def extract(self, texts: Sequence[str]) -> list[Graph]:
        """One graph a text, in order."""
        unread_texts = [text for text in dict.fromkeys(texts) if text not in self._graphs]
        if unread_texts:
            self._graphs.update(zip(unread_texts, self.extractor.extract(unread_texts), strict=True))
        return [self._graphs[text] for text in texts]


def configurations(rewards: Sequence[str], **changes: Any) -> dict[str, RewardSetup]:
    """The configurations by name: one for each `--rewards`, or the shipped ones without any.

    With `compat: original` the shipped ones that the original lacks are left out (`not_in_original`).

    Args:
        rewards: Each is one configuration: names of rewards with commas between them, or a config of `grpo`.
        changes: Fields of `RewardFields` that override every configuration; None changes nothing.

    Raises:
        InputError: As in `offline_scores.setup`, and for a configuration that is given twice.
    """
    if repeated := next((word for word in rewards if rewards.count(word) > 1), None):
        raise InputError(f"--rewards {repeated} is given twice: each is one configuration")
    if rewards:
        return {word: offline_scores.setup([word], None, **changes) for word in rewards}
    fixed_settings: dict[str, Any] = {key: value for key, value in changes.items() if value is not None}
    setups = {}
    lacking = not_in_original(changes.get("compat"), changes.get("measure"))
    for name, settings in SHIPPED.items():
        if name in lacking:
            continue
        fields: dict[str, Any] = settings | fixed_settings
        setups[name] = offline_scores.setup(fields.pop("rewards", ()), None, **fields)
    return setups


def not_in_original(compat: str | None, measure: str | None = None) -> list[str]:
    """The shipped configurations that have what the original code does not: with these settings, or at all.

    >>> not_in_original("original"), not_in_original(None), not_in_original(None, "clinical")
    (['product', 'gated', 'clinical'], [], ["original's rules", 'compat original'])
    """
    if measure == CLINICAL:
        return [
            name for name, settings in SHIPPED.items() if "contradictions" in settings or "compat" in settings
        ]
    if compat is None or not is_original(compat):
        return []
    return [
        name
        for name, settings in SHIPPED.items()
        if settings.get("combine", "sum") != "sum" or settings.get("measure") == CLINICAL
    ]


@dataclass(frozen=True)
class Prepared:
    """Examples and opened configurations, ready to be scored."""

    examples: Sequence[Example]
    """Those with an explanation."""
    left_out: int
    setups: Mapping[str, RewardSetup]
    earns: Mapping[str, Earn]


def prepare(examples: Sequence[Example], setups: Mapping[str, RewardSetup]) -> Prepared:
    """Open the rewards and leave out rows without an explanation; nothing is scored yet.

    Penalties count words in place of tokens, because there is no tokenizer.

    Raises:
        InputError: If fewer than two rows have an explanation, or a reward cannot be opened.
    """
    explained = [example for example in examples if example.explanation]
    if len(explained) < 2:
        raise InputError(
            f"{len(explained)} of {len(examples)} rows have an explanation: give at least 2, because rewards "
            "are probed with the references of other rows"
        )
    readers: dict[tuple[str, ...], CachedExtractor] = {}  # a neural extractor is loaded once
    earns = {}
    for name, setup in setups.items():
        fields = setup.fields
        key = (fields.extractor, fields.compat, fields.ontology)
        if key not in readers:
            readers[key] = CachedExtractor(by_name.extractor_of(fields))
        earns[name] = _earner(setup, readers[key])
    return Prepared(explained, len(examples) - len(explained), setups, earns)


def probe(prepared: Prepared, *, seed: int = 0, step: Callable[[], None] = lambda: None) -> dict[str, Any]:
    """Score the references of a dataset, and every cheat, under every configuration.

    Args:
        prepared: From `prepare`.
        seed: Of the permutation of the rows and of the search's samples.
        step: Called `STEPS` times for each configuration.

    Returns:
        `rows`, `rows_without_explanation`, `seed`, `flipped` (share of the findings whose polarity the
        extractor reads as the opposite in the flipped texts) and `configurations`. Each of these has `name`,
        `settings`, `tried` (constant completions) and `cheats`. A cheat has `name`, `form`, `rows` (whose
        text it changes), and three objects by `total` and reward: the means that are `earned`, those of
        `gold` on the same rows, and their `ratio`. There are only means and counts: no text, no id.

    Raises:
        InputError: If a reward returns a value that is not allowed.
    """
    examples = prepared.examples
    reader = CachedExtractor(open_extractor("lexicon"))
    rows = [offline_scores.gold_row(example) for example in examples]
    thinks = [prompts.reference_reasoning(row["completion"]) for row in rows]
    flipped = [cheats.flip_polarity(text, reader) for text in thinks]
    other_cheats = texts(rows, thinks, flipped, [example.question for example in examples], reader, seed=seed)
    answers = [row["answer"] for row in rows]
    configurations = []
    for name, setup in prepared.setups.items():
        earn = prepared.earns[name]
        search = ConstantSearch(rows, earn, seed=seed)
        constant = best_constant(search, thinks, answers, reader)
        step()
        measured = measure(rows, [_constant_cheat(constant, len(rows)), *other_cheats], earn, step)
        settings = dataclasses.asdict(setup.fields) | {"weights": list(setup.weights or ())}
        configurations.append({"name": name, "settings": settings, "tried": search.tried, "cheats": measured})
    return {
        "rows": len(rows),
        "rows_without_explanation": prepared.left_out,
        "seed": seed,
        "flipped": _share_flipped(thinks, flipped, reader),
        "configurations": configurations,
    }


def _constant_cheat(completion: str, count: int) -> Cheat:
    """The cheat that writes one completion for every row; its form is the length of the reasoning."""
    size = len(sentence_spans(prompts.reference_reasoning(completion)))
    form = f"{size} sentence{'s' * (size != 1)}"
    return Cheat("best constant", {form: [completion] * count}, range(count))


def measure(
    rows: Sequence[Row], probed_cheats: Sequence[Cheat], earn: Earn, step: Callable[[], None]
) -> list[dict[str, Any]]:
    """What the references and each cheat earn; a cheat that changes no row has no means."""
    gold = earn(rows, [row["completion"] for row in rows])
    step()
    measured = [{"name": "gold", "form": "", "rows": len(rows)} | _compared(gold, gold)]
    for cheat in probed_cheats:
        cheat_rows = [rows[n] for n in cheat.row_indices]
        lines_of_form = {
            form: earn(cheat_rows, [texts[n] for n in cheat.row_indices])
            for form, texts in cheat.forms.items()
            if cheat_rows
        }
        form = max(lines_of_form, key=lambda form: _means(lines_of_form[form])["total"] or 0.0, default="")
        means = _compared(lines_of_form.get(form, []), [gold[n] for n in cheat.row_indices])
        measured.append({"name": cheat.name, "form": form, "rows": len(cheat_rows)} | means)
        step()
    return measured


def _compared(lines: Sequence[Line], gold: Sequence[Line]) -> dict[str, Any]:
    earned, best = _means(lines), _means(gold)
    ratio = {name: _share(value, best[name]) for name, value in earned.items()}
    return {"earned": earned, "gold": best, "ratio": ratio}


def _share(value: float | None, gold: float | None) -> float | None:
    return value / gold if value is not None and gold else None


def _means(lines: Sequence[Line]) -> dict[str, float | None]:
    names = lines[0]["rewards"] if lines else ()
    return {"total": mean(line["total"] for line in lines)} | {
        name: mean(line["rewards"][name] for line in lines) for name in names
    }


def _earner(setup: RewardSetup, reader: Extractor) -> Earn:
    """A function that scores completions under one configuration; with compat original, row by row."""
    rewards, one_row_a_call = setup.open(reader), is_original(setup.fields.compat)
    counts_tokens = any(name in PENALTIES for name in setup.fields.rewards)
    numbers: dict[str, int] = {}

    def filled(row: Row, text: str) -> Row:
        words = [numbers.setdefault(word, len(numbers)) for word in text.split()] if counts_tokens else None
        return row | {"completion": text} | ({"token_ids": words} if counts_tokens else {})

    def earn(rows: Sequence[Row], texts: Sequence[str]) -> list[Line]:
        filled_rows = list(map(filled, rows, texts))
        calls = [[row] for row in filled_rows] if one_row_a_call else [filled_rows]
        return [line for call in calls for line in offline_scores.score_call(call, setup.scheme, rewards)]

    return earn


def _share_flipped(texts: Sequence[str], flipped_texts: Sequence[str], reader: Extractor) -> float | None:
    pairs = zip(reader.parse(list(texts)), reader.parse(list(flipped_texts)), strict=True)
    counts = [cheats.flipped_share(parse, flipped_parse) for parse, flipped_parse in pairs]
    findings = sum(count for _, count in counts)
    return sum(flipped for flipped, _ in counts) / findings if findings else None
