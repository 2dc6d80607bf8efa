"""`--rewards a b` in verbs with arguments of their own: the same as `--rewards a,b`; so for `--gated`."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from chexphi.cli.verbs import Verb
from chexphi.rewards.settings import NAMES

_LISTS = ("--rewards", "--gated")


def joined(words: list[str], names: Collection[str] = NAMES) -> list[str]:
    """The words of a command line, with a comma between the values of each `--rewards` and `--gated`.

    Only names of rewards and YAML files are values: the next word may be the verb's own file. Values that
    stand in one pair of quotes are taken apart, too.

    >>> joined(["--rewards", "format", "my:f", "rows.jsonl"])
    ['--rewards', 'format,my:f', 'rows.jsonl']
    >>> joined(["rows.jsonl", "--rewards", "format my:f"])
    ['rows.jsonl', '--rewards', 'format,my:f']
    """
    joined_words: list[str] = []
    in_list = False
    for argument in words:
        rewards = argument.split()
        is_quoted_list = in_list and len(rewards) > 1 and all(_is_reward(name, names) for name in rewards)
        word = ",".join(rewards) if is_quoted_list else argument
        if in_list and (is_quoted_list or _is_reward(word, names)) and not joined_words[-1].startswith("--"):
            joined_words[-1] += f",{word}"
            continue
        in_list = word in _LISTS or (in_list and joined_words[-1] in _LISTS)
        joined_words.append(word)
    return joined_words


def _is_reward(word: str, names: Collection[str]) -> bool:
    return (
        word in names or Path(word).suffix in (".yaml", ".yml") or (":" in word and not word.startswith("-"))
    )


class SpacedRewards(Verb):
    """A verb whose `--rewards` and `--gated` take several words."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, joined(args))


class SpacedScores(Verb):
    """The same for `rewards agree`, whose `--rewards` names scores of texts."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        from chexphi.reward_checks.agreement.scores import SCORES

        return super().parse_args(ctx, joined(args, SCORES))
