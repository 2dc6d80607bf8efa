"""What cheating pays: `chexphi rewards probe DATA`.

Each configuration of the rewards pays the references, and texts that know no film or twist what is true:
how much of the references' pay do those get?
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from chexphi import prompts
from chexphi.compat import is_original
from chexphi.graph.open import open_extractor
from chexphi.graph.text import sentences
from chexphi.graph.types import Extractor, Graph, Parse
from chexphi.reward_checks import cheats, offline_scores
from chexphi.reward_checks.best_constant import Earn, Line, Row, Search, best_constant, mean
from chexphi.reward_checks.offline_scores import Setup
from chexphi.reward_checks.twists import MEANINGS, Cheat, texts
from chexphi.rewards import by_name
from chexphi.rewards.combine import ACCURACY, PENALTIES
from chexphi.schema import Example, InputError

SHIPPED: dict[str, dict[str, Any]] = {
    "default": {},
    "original's rules": {"match": "any", "contradictions": "ignore", "repetitions": "ignore"},
    "compat original": {"compat": "original"},
    "product": {"combine": "product"},
    "gated": {"combine": "gated"},
    "F1": {"match": "f1", "measure": "f1"},
    "answer alone": {"rewards": [ACCURACY]},
}
"""What is compared where the user names no configuration: changes of the default."""
STEPS = len(MEANINGS) + 2
"""Progress is told so often for each configuration."""


class Remembered:
    """An extractor that reads each text once; satisfies `chexphi.graph.types.Extractor`."""

    def __init__(self, extractor: Extractor) -> None:
        self.extractor = extractor
        self._graphs: dict[str, Graph] = {}

    def parse(self, texts: Sequence[str]) -> list[Parse]:
        """One parse a text, in order."""
        return self.extractor.parse(texts)

    def extract(self, texts: Sequence[str]) -> list[Graph]:
        """One graph a text, in order."""
        new = [text for text in dict.fromkeys(texts) if text not in self._graphs]
        if new:
            self._graphs.update(zip(new, self.extractor.extract(new), strict=True))
        return [self._graphs[text] for text in texts]


def configurations(rewards: Sequence[str], **changes: Any) -> dict[str, Setup]:
    """The configurations that the words after each `--rewards` say, by those words; none: the shipped ones.

    Args:
        rewards: Each the names of rewards with commas between them, or a config of `grpo`.
        changes: Fields of `RewardFields` that go before those of every configuration; None leaves it.

    Raises:
        InputError: As `offline_scores.setup`, and for a configuration that is given twice.
    """
    if twice := next((word for word in rewards if rewards.count(word) > 1), None):
        raise InputError(f"--rewards {twice} is given twice: each is one configuration")
    if rewards:
        return {word: offline_scores.setup([word], None, **changes) for word in rewards}
    given: dict[str, Any] = {key: value for key, value in changes.items() if value is not None}
    found = {}
    for name, own in SHIPPED.items():
        fields: dict[str, Any] = own | given
        found[name] = offline_scores.setup(fields.pop("rewards", ()), None, **fields)
    return found


@dataclass(frozen=True)
class Prepared:
    """References and configurations that can be scored."""

    known: Sequence[Example]
    """Rows with an explanation."""
    left_out: int
    setups: Mapping[str, Setup]
    earns: Mapping[str, Earn]


def prepare(examples: Sequence[Example], setups: Mapping[str, Setup]) -> Prepared:
    """Open the rewards and leave out rows without an explanation; nothing is scored yet.

    Penalties count words in place of tokens, for there is no tokenizer.

    Raises:
        InputError: If fewer than two rows have an explanation, or a reward cannot be opened.
    """
    known = [example for example in examples if example.explanation]
    if len(known) < 2:
        raise InputError(
            f"{len(known)} of {len(examples)} rows have an explanation: give at least 2, for rewards are "
            "probed with the references of other rows"
        )
    readers: dict[tuple[str, str], Remembered] = {}  # a neural extractor is loaded once
    for fields in (using.fields for using in setups.values()):
        if (fields.extractor, fields.compat) not in readers:
            readers[fields.extractor, fields.compat] = Remembered(by_name.extractor_of(fields))
    earns = {
        name: _earner(using, readers[using.fields.extractor, using.fields.compat])
        for name, using in setups.items()
    }
    return Prepared(known, len(examples) - len(known), setups, earns)


def probe(prepared: Prepared, *, seed: int = 0, step: Callable[[], None] = lambda: None) -> dict[str, Any]:
    """Score the references of a dataset, and what is no reference, under every configuration.

    Args:
        prepared: From `prepare`.
        seed: Of the permutation of the rows and of the search's samples.
        step: Called `STEPS` times for each configuration.

    Returns:
        `rows`, `rows_without_explanation`, `seed`, `flipped` (share of the findings whose polarity the
        extractor reads as the opposite in the flipped texts) and `configurations`, each with `name`,
        `settings`, `tried` (constant completions) and `cheats`: `name`, `form`, `rows` (those whose text it
        changes), and by `total` and reward the means that are `earned`, those of `gold` on the same rows, and
        their `ratio`. Means and counts alone: no text, no id.

    Raises:
        InputError: If a reward returns what it may not.
    """
    known = prepared.known
    reader = Remembered(open_extractor("lexicon"))
    rows = [offline_scores.gold_row(example) for example in known]
    thinks = [prompts.reference_reasoning(row["completion"]) for row in rows]
    flipped = [cheats.flip_polarity(text, reader) for text in thinks]
    written = texts(rows, thinks, flipped, [example.question for example in known], reader, seed=seed)
    answers = [row["answer"] for row in rows]
    found = []
    for name, using in prepared.setups.items():
        earn = prepared.earns[name]
        search = Search(rows, earn, seed=seed)
        constant = best_constant(search, thinks, answers, reader)
        step()
        size = len(sentences(prompts.reference_reasoning(constant)))
        forms = {f"{size} sentence{'s' * (size != 1)}": [constant] * len(rows)}
        best = Cheat("best constant", forms, range(len(rows)))
        measured = measure(rows, [best, *written], earn, step)
        settings = dataclasses.asdict(using.fields) | {"weights": list(using.weights or ())}
        found.append({"name": name, "settings": settings, "tried": search.tried, "cheats": measured})
    return {
        "rows": len(rows),
        "rows_without_explanation": prepared.left_out,
        "seed": seed,
        "flipped": _share_flipped(thinks, flipped, reader),
        "configurations": found,
    }


def measure(
    rows: Sequence[Row], written: Sequence[Cheat], earn: Earn, step: Callable[[], None]
) -> list[dict[str, Any]]:
    """What the references and each cheat earn; where a cheat changes no row it has no means."""
    gold = earn(rows, [row["completion"] for row in rows])
    step()
    found = [{"name": "gold", "form": "", "rows": len(rows)} | _compared(gold, gold)]
    for cheat in written:
        on = [rows[n] for n in cheat.places]
        paid = {form: earn(on, [texts[n] for n in cheat.places]) for form, texts in cheat.forms.items() if on}
        form = max(paid, key=lambda form: _means(paid[form])["total"] or 0.0, default="")
        means = _compared(paid.get(form, []), [gold[n] for n in cheat.places])
        found.append({"name": cheat.name, "form": form, "rows": len(on)} | means)
        step()
    return found


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


def _earner(using: Setup, reader: Extractor) -> Earn:
    """What completions earn under one configuration; with compat original each row is a call of its own."""
    rewards, alone = using.open(reader), is_original(using.fields.compat)
    counts_tokens = any(name in PENALTIES for name in using.fields.rewards)
    numbers: dict[str, int] = {}

    def filled(row: Row, text: str) -> Row:
        words = [numbers.setdefault(word, len(numbers)) for word in text.split()] if counts_tokens else None
        return row | {"completion": text} | ({"token_ids": words} if counts_tokens else {})

    def earn(rows: Sequence[Row], texts: Sequence[str]) -> list[Line]:
        given = list(map(filled, rows, texts))
        calls = [[row] for row in given] if alone else [given]
        return [line for call in calls for line in offline_scores.score_call(call, using.scheme, rewards)]

    return earn


def _share_flipped(before: Sequence[str], after: Sequence[str], reader: Extractor) -> float | None:
    pairs = zip(reader.parse(list(before)), reader.parse(list(after)), strict=True)
    counts = [cheats.flipped_share(first, second) for first, second in pairs]
    stated = sum(count for _, count in counts)
    return sum(flipped for flipped, _ in counts) / stated if stated else None
