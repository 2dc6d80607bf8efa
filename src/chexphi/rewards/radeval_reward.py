"""A metric of RadEval between two reasonings as a reward; the library is loaded where one is asked for.

Its metrics were made to compare sets of whole reports. As the reward of a single short text some of them pay
for nothing, or leave a text out; what is done about that stands at `RadevalReward` (seen with RadEval 2.2.1).
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from chexphi import prompts
from chexphi.prompts import ParseStatus
from chexphi.rewards.callables import parsed_batch
from chexphi.rewards.checked import row_name
from chexphi.rewards.columns import solution_texts
from chexphi.rewards.score import reasoning
from chexphi.schema import InputError

ENOUGH = 0.5
"""What a reference has to earn more than, against itself: RaTEScore gives 0.5 where it finds no entity."""
NOTHING_FOUND = {"ratescore": 0.5}
"""What a metric gives a text in which it finds nothing to compare."""
_WORD = re.compile(r"[^\W\d_]{3}")
"""RaTEScore reads no sentence of fewer than three characters."""
_TRIED = "The lungs are clear."


@functools.cache
def open_metric(name: str) -> Callable[..., Any]:
    """The function of `radeval:METRIC[:KEY]`, loaded once and tried on one pair of texts.

    Raises:
        InputError: Without the library, for a metric or key that it has not, a metric of which less is
            better, or one that cannot be opened.
    """
    metric, _, key = name.removeprefix("radeval:").partition(":")
    if metric == "radcliq":
        raise InputError(f"reward {name} is a distance, less is better: write a function that negates it")
    if importlib.util.find_spec("radeval") is None:
        raise InputError(f"reward {name} needs the library radeval: {_installation()}, or drop the reward")
    try:
        function = importlib.import_module("radeval.rewards").make_reward_fn(metric, key=key or None)
        function(completions=[_TRIED], ground_truth=[_TRIED])
    except Exception as error:  # weights or a library of its own that are not there, among others
        if isinstance(error, ValueError | KeyError) and f"'{metric}'" in str(error):
            raise InputError(f"reward {name}: {error.args[0]}") from error  # it lists its metrics, or keys
        raise InputError(_not_opened(name, error)) from error
    return function


def _not_opened(name: str, error: Exception) -> str:
    first = str(error).strip().partition("\n")[0][:200]
    remedy = "give it what it misses, weights or a library, or drop the reward"
    if name.startswith("radeval:ratescore") and sys.version_info < (3, 12):
        remedy = f"{_installation()}, or drop the reward"
    return f"reward {name} cannot be opened ({type(error).__name__}: {first}): {remedy}"


def _installation() -> str:
    command = "pip install 'chexphi[radeval]'"
    if sys.version_info >= (3, 12):
        return command
    return f"{command} in an environment of Python 3.12 or later (before it, its medspacy needs numpy < 2)"


class RadevalReward:
    """A metric of RadEval between two reasonings.

    | | reward |
    |---|---|
    | a malformed completion | 0 |
    | a reasoning without a word of three letters (`.`, `no`), or in which RaTEScore finds no entity | 0 |
    | a reference without reasoning or such a word | None for all its completions |
    | a reference that earns 0.5 or less against itself (BLEU: fewer than four words) | None |
    | else | the metric |

    So each different reference is scored against itself, once.

    Args:
        name: `radeval:METRIC`, or `radeval:METRIC:KEY` where the metric has several values.
        end_token_ids: A completion whose ids end otherwise is truncated.

    Raises:
        InputError: As `open_metric`.
    """

    def __init__(self, name: str, end_token_ids: Iterable[int] = ()) -> None:
        self.name, self.function = name, open_metric(name)
        self.end_token_ids = frozenset(end_token_ids)
        self._nothing = NOTHING_FOUND.get(name.split(":")[1])
        self._can_be_scored: dict[str, bool] = {}

    def __call__(
        self,
        completions: Sequence[Any],
        solution: Sequence[str | None],
        completion_ids: Any = None,
        opened_think: Sequence[bool | None] | None = None,
        **columns: Any,
    ) -> list[float | None]:
        """Rewards of a batch, one a row; None where the reference cannot be scored.

        Raises:
            InputError: If the metric leaves a text out; the row is named.
        """
        parsed = parsed_batch(completions, completion_ids, self.end_token_ids, opened_think, columns)
        written = solution_texts(solution, len(parsed), columns)
        references = [prompts.reference_reasoning(text) for text in written]
        self._try(references, columns)
        values: list[float | None] = [0.0 if self._can_be_scored[text] else None for text in references]
        texts = [reasoning(part) for part in parsed]
        asked = [
            row
            for row, part in enumerate(parsed)
            if values[row] is not None and part.status is ParseStatus.ok and _WORD.search(texts[row])
        ]
        found = self._scores(
            [texts[row] for row in asked], [references[row] for row in asked], asked, columns
        )
        for row, value in zip(asked, found, strict=True):
            values[row] = 0.0 if value == self._nothing else value
        return values

    def _try(self, references: Sequence[str], columns: Mapping[str, Any]) -> None:
        """Learn of new references whether the metric can score them."""
        new = {text: row for row, text in enumerate(references) if text not in self._can_be_scored}
        self._can_be_scored |= dict.fromkeys(new, False)
        words = [text for text in new if _WORD.search(text)]
        own = self._scores(words, words, [new[text] for text in words], columns)
        self._can_be_scored |= {text: (value or 0) > ENOUGH for text, value in zip(words, own, strict=True)}

    def _scores(
        self, texts: list[str], references: list[str], rows: Sequence[int], columns: Mapping[str, Any]
    ) -> list[float]:
        if not texts:
            return []
        found = list(self.function(completions=texts, ground_truth=references))
        if len(found) == len(texts):
            return found
        left_out = next(
            (
                row
                for row, *pair in zip(rows, texts, references, strict=True)
                if not self._scores_alone(*pair)
            ),
            None,
        )
        where = "some" if left_out is None else f"that of {row_name(left_out, columns)}"
        raise InputError(
            f"reward {self.name} returned {len(found)} values for {len(texts)} texts and leaves {where} out: "
            "drop the reward, or the row"
        )

    def _scores_alone(self, text: str, reference: str) -> bool:
        try:
            return len(self.function(completions=[text], ground_truth=[reference])) == 1
        except Exception:  # of a mean of nothing
            return False
