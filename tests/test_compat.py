"""`seed`, the earlier spelling of `compat="original"`, means the same wherever there is the choice."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from chexphi.graph.match import compare
from chexphi.graph.match import score as graph_score
from chexphi.graph.types import Graph
from chexphi.reward_checks import offline_scores
from chexphi.rewards import score
from chexphi.rewards.settings import RewardFields, check_settings
from chexphi.runs import run_settings
from chexphi.schema import InputError
from chexphi.training import grpo
from chexphi.yaml_files import dump_yaml

PRESENT = Graph.of([("effusion", "disorder_present"), ("lung", "anatomy")], [])
GOLD = "<think>There is an effusion.</think><answer>left, right</answer>"


def test_graphs_and_scores_are_the_same() -> None:
    absent = Graph.of([("effusion", "disorder_notpresent"), ("lung", "anatomy")], [])
    assert compare(PRESENT, absent, compat="seed") == compare(PRESENT, absent, compat="original")
    assert graph_score(PRESENT, absent, compat="seed") == graph_score(PRESENT, absent, compat="original")
    completion = "<think>No effusion.</think><answer>left</answer>"
    theirs = score(completion, GOLD, compat="original")
    assert score(completion, GOLD, compat="seed") == theirs
    assert score(completion, GOLD) != theirs


def test_settings_are_kept_in_the_documented_spelling(tmp_path: Path) -> None:
    fields = RewardFields(compat="seed")
    assert fields == RewardFields(compat="original") != RewardFields()
    check_settings(fields)
    with pytest.raises(InputError, match="compat is 'old': use default, original"):
        check_settings(RewardFields(compat="old"))
    (tmp_path / "rewards.yaml").write_text("compat: seed\n")
    for using in (
        offline_scores.setup(compat="seed"),
        offline_scores.setup([str(tmp_path / "rewards.yaml")]),
        offline_scores.setup(compat="original"),
    ):
        assert using.fields == fields
    recipe, _ = grpo.parse(["--model=m", "--data=d", f"--output_dir={tmp_path}", "--compat=seed"])
    assert recipe.compat == "original"


@pytest.mark.parametrize(
    ("saved", "now", "refused"),
    [("seed", "original", False), ("original", "original", False), ("seed", "default", True)],
)
def test_a_run_of_the_earlier_spelling_goes_on(tmp_path: Path, saved: str, now: str, refused: bool) -> None:
    config = dataclasses.asdict(RewardFields())
    (tmp_path / "config.yaml").write_text(dump_yaml(config | {"compat": saved}))
    (tmp_path / "manifest.json").write_text(json.dumps({}))
    if refused:
        with pytest.raises(InputError, match='compat was "original" and is "default"'):
            run_settings.check(tmp_path, config | {"compat": now}, {})
    else:
        run_settings.check(tmp_path, config | {"compat": now}, {})
