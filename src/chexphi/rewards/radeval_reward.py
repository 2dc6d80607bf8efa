"""A metric of RadEval between two reasonings as a reward; the library is loaded when such a reward is named.

Its metrics compare sets of whole reports. As the reward of a single short text some of them pay for a text
without content, or leave a text out. `RadevalReward` says how this is handled (seen with RadEval 2.2.1).
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
from chexphi.installation import install_line
from chexphi.number_text import counted
from chexphi.prompts import ParseStatus
from chexphi.rewards.batch_texts import parsed_batch
from chexphi.rewards.checked import row_name
from chexphi.rewards.columns import solution_texts
from chexphi.rewards.score import reasoning
from chexphi.schema import InputError

MIN_SELF_SCORE = 0.5
"""A reference has to earn more than this against itself: RaTEScore gives 0.5 where it finds no entity."""
SCORE_WITHOUT_ENTITIES = {"ratescore": 0.5}
"""What a metric gives a text in which it finds nothing to compare."""
_WORD = re.compile(r"[^\W\d_]{3}")
"""RaTEScore does not read sentences of fewer than three characters."""
_TRIAL_TEXT = "The lungs are clear."


@functools.cache
def open_metric(name: str) -> Callable[..., Any]:
    """The function of `radeval:METRIC[:KEY]`, loaded once and tried on one pair of texts.

    Raises:
        InputError: If the library is missing, does not have the metric or the key, or cannot open the metric,
            and for a metric of which less is better.
    """
    metric, _, key = name.removeprefix("radeval:").partition(":")
    if metric == "radcliq":
        raise InputError(f"reward {name} is a distance, less is better: write a function that negates it")
    if importlib.util.find_spec("radeval") is None:
        raise InputError(f"reward {name} needs the library radeval: {_installation()}, or drop the reward")
    try:
        function = importlib.import_module("radeval.rewards").make_reward_fn(metric, key=key or None)
        function(completions=[_TRIAL_TEXT], ground_truth=[_TRIAL_TEXT])
    except Exception as error:  # weights or a library of its own are missing, among others
        if isinstance(error, ValueError | KeyError) and f"'{metric}'" in str(error):
            raise InputError(
                f"reward {name}: {error.args[0]}"
            ) from error  # its message lists its metrics, or keys
        raise InputError(_not_opened(name, error)) from error
    return function


def _not_opened(name: str, error: Exception) -> str:
    reason = str(error).strip().partition("\n")[0][:200]
    return (
        f"reward {name} cannot be opened ({type(error).__name__}: {reason}): install the weights or the "
        "library that it misses (ratescore's needs Python 3.12 or later), or drop the reward"
    )


def _installation() -> str:
    command = install_line("radeval")
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

    So each distinct reference is scored against itself, once.

    Args:
        name: `radeval:METRIC`, or `radeval:METRIC:KEY` where the metric has several values.
        end_token_ids: A completion whose ids end otherwise is truncated.

    Raises:
        InputError: As in `open_metric`.
    """

    def __init__(self, name: str, end_token_ids: Iterable[int] = ()) -> None:
        self.name, self.function = name, open_metric(name)
        self.end_token_ids = frozenset(end_token_ids)
        self._score_without_entities = SCORE_WITHOUT_ENTITIES.get(name.split(":")[1])
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
            InputError: If the metric leaves a text out. The message names the row.
        """
        parsed = parsed_batch(completions, completion_ids, self.end_token_ids, opened_think, columns)
        solutions = solution_texts(solution, len(parsed), columns)
        references = [prompts.reference_reasoning(text) for text in solutions]
        self._try(references, columns)
        values: list[float | None] = [0.0 if self._can_be_scored[text] else None for text in references]
        texts = [reasoning(completion) for completion in parsed]
        rows_to_score = [
            row
            for row, completion in enumerate(parsed)
            if values[row] is not None and completion.status is ParseStatus.ok and _WORD.search(texts[row])
        ]
        scores = self._scores(
            [texts[row] for row in rows_to_score],
            [references[row] for row in rows_to_score],
            rows_to_score,
            columns,
        )
        for row, value in zip(rows_to_score, scores, strict=True):
            values[row] = 0.0 if value == self._score_without_entities else value
        return values

    def _try(self, references: Sequence[str], columns: Mapping[str, Any]) -> None:
        """Find out for new references whether the metric can score them."""
        first_row_of = {text: row for row, text in enumerate(references) if text not in self._can_be_scored}
        self._can_be_scored |= dict.fromkeys(first_row_of, False)
        words = [text for text in first_row_of if _WORD.search(text)]
        self_scores = self._scores(words, words, [first_row_of[text] for text in words], columns)
        self._can_be_scored |= {
            text: (value or 0) > MIN_SELF_SCORE for text, value in zip(words, self_scores, strict=True)
        }

    def _scores(
        self, texts: list[str], references: list[str], rows: Sequence[int], columns: Mapping[str, Any]
    ) -> list[float]:
        if not texts:
            return []
        scores = list(self.function(completions=texts, ground_truth=references))
        if len(scores) == len(texts):
            return scores
        left_out = next(
            (
                row
                for row, *pair in zip(rows, texts, references, strict=True)
                if not self._scores_alone(*pair)
            ),
            None,
        )
        left_out_text = "some" if left_out is None else f"that of {row_name(left_out, columns)}"
        raise InputError(
            f"reward {self.name} returned {counted(len(scores), 'value')} for {counted(len(texts), 'text')} "
            f"and leaves {left_out_text} out: drop the reward, or the row"
        )

    def _scores_alone(self, text: str, reference: str) -> bool:
        try:
            return len(self.function(completions=[text], ground_truth=[reference])) == 1
        except Exception:  # some metrics take the mean of an empty list
            return False
