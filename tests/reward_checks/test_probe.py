"""What cheating pays: the margins that the documentation states, and the search for the best constant."""

from __future__ import annotations

import dataclasses
import itertools
import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chexphi import prompts
from chexphi.data.importers import convert
from chexphi.data.phantom import build as phantom
from chexphi.data.read import read_examples
from chexphi.graph.open import open_extractor
from chexphi.reward_checks import best_constant, offline_scores, probe
from chexphi.reward_checks.twists import MEANINGS, derangement
from chexphi.rewards.combine import ACCURACY, GRAPH
from chexphi.schema import Example, InputError

TWISTS = ("polarity flipped", "sides swapped")
"""Cheats whose graph part is below half of gold's."""
ANSWERED = (*TWISTS, "a sentence 10 times", "another row's reasoning")
"""Cheats that keep the right answer, and so at least that part of the pay."""


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> list[Example]:
    """Drawn examples of every kind of question."""
    folder = tmp_path_factory.mktemp("probe") / "data"
    phantom.build(folder, counts=phantom.Sizes(sight=0, sft=20, pool=150, valid=8, test=20), seed=5)
    return read_examples(folder / "annotations" / "pool" / "train.json", check_images=False)


def probed(examples: list[Example], *rewards: str, **changes: str) -> dict[str, dict[str, Any]]:
    """The cheats of one configuration by their names."""
    setups = probe.configurations(rewards or (f"{ACCURACY},{GRAPH}",), **changes)
    assert len(setups) == 1
    return {
        cheat["name"]: cheat
        for cheat in probe.probe(probe.prepare(examples, setups))["configurations"][0]["cheats"]
    }


def check_margins(cheats: dict[str, dict[str, Any]], *, most_graph: float = 0.4) -> None:
    """The margins of docs/rewards.md."""
    assert set(cheats) == {"gold", *MEANINGS}
    assert cheats["gold"]["ratio"] == {"total": 1.0, ACCURACY: 1.0, GRAPH: 1.0}
    for name, cheat in cheats.items():
        if name != "gold":
            assert cheat["rows"] > 0
            assert cheat["ratio"]["total"] < (0.7 if name in ANSWERED else 0.35), name
            assert cheat["ratio"][GRAPH] <= most_graph, name


def test_the_margins_on_drawn_films(examples: list[Example]) -> None:
    check_margins(probed(examples))
    check_margins(probed(examples, measure="clinical"), most_graph=0.3)


def test_the_margins_on_real_questions(shared_data: Path, tmp_path: Path) -> None:
    source = shared_data / "cxr_real" / "vqarad"
    convert.convert("vqa-rad", source, tmp_path / "data", seed=0, limit=None, overwrite=False)
    rows = read_examples(tmp_path / "data" / "train.json", check_images=False)
    found = probe.probe(probe.prepare(rows, probe.configurations((f"{ACCURACY},{GRAPH}",))))
    check_margins({cheat["name"]: cheat for cheat in found["configurations"][0]["cheats"]})
    check_margins(probed(rows, measure="clinical"), most_graph=0.3)
    assert found["flipped"] > 0.98


def test_the_originals_rules_pay_for_the_wrong_side_and_for_every_answer(examples: list[Example]) -> None:
    """What the default mends; a probe that does not see it sees nothing."""
    cheats = probed(examples[:60], contradictions="ignore", match="any")
    assert cheats["sides swapped"]["ratio"][GRAPH] > 0.5
    assert cheats["best constant"]["ratio"][ACCURACY] == 1.0


def test_a_cheat_counts_on_the_rows_that_it_changes(examples: list[Example]) -> None:
    plain = [row for row in examples if "left" not in row.explanation and "right" not in row.explanation]
    sided = [row for row in examples if row not in plain]
    cheats = probed([*plain[:10], *sided[:5]])
    assert (cheats["gold"]["rows"], cheats["sides swapped"]["rows"]) == (15, 5)
    alone = probed(sided[:5])["sides swapped"]
    assert cheats["sides swapped"]["earned"] == pytest.approx(alone["earned"])
    assert cheats["sides swapped"]["gold"] == pytest.approx(alone["gold"])
    none = probed(plain[:10])["sides swapped"]
    assert (none["rows"], none["earned"]["total"], none["ratio"]["total"]) == (0, None, None)


def test_the_best_constant_is_that_of_all_pairs(examples: list[Example]) -> None:
    """Against every reasoning of the data with every answer, scored one by one."""
    some = examples[:24]
    rows = [offline_scores.gold_row(example) for example in some]
    thinks = [prompts.reference_reasoning(row["solution"]) for row in rows]
    answers = [row["answer"] for row in rows]
    for combine in ("sum", "product"):
        using = offline_scores.setup(combine=combine)
        rewards = using.open()

        def earn(rows: Any, texts: Any, using: Any = using, rewards: Any = rewards) -> Any:
            given = [row | {"completion": text} for row, text in zip(rows, texts, strict=True)]
            return offline_scores.score_call(given, using.scheme, rewards)

        search = best_constant.ConstantSearch(rows, earn)
        found = best_constant.best_constant(search, thinks, answers, open_extractor("lexicon"))
        pairs = itertools.product(thinks, {", ".join(labels) for labels in answers})
        best = max(search.total(prompts.render(think, reply)) for think, reply in pairs)
        assert search.total(found) >= best


@given(st.integers(2, 60), st.integers(0, 9))
def test_no_row_keeps_its_place(count: int, seed: int) -> None:
    order = derangement(count, random.Random(seed))
    assert sorted(order) == list(range(count))
    assert all(place != found for place, found in enumerate(order))


def test_figures_are_the_same_again_and_hold_no_text(examples: list[Example]) -> None:
    some = [dataclasses.replace(row, id=f"SECRET-{n}") for n, row in enumerate(examples[:16])]
    steps: list[int] = []
    setups = probe.configurations(())
    found = probe.probe(probe.prepare(some, setups), seed=1, step=lambda: steps.append(1))
    assert len(steps) == probe.STEPS * len(setups)
    again = probe.probe(probe.prepare(some, setups), seed=1)
    assert again == found
    written = json.dumps(found)
    assert "SECRET" not in written
    assert not any(row.question in written or "lung" in written for row in some)
    names = [one["name"] for one in found["configurations"]]
    assert names == list(probe.SHIPPED)


def shouting(completions: list[str], **columns: Any) -> list[float]:
    """A reward of the user's."""
    return [float(len(text) > 400) for text in completions]


def test_every_kind_of_reward_is_probed(examples: list[Example], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    cheats = probed(examples[:12], f"format,{ACCURACY},repetition,{__name__.rpartition('.')[2]}:shouting")
    assert cheats["gold"]["earned"]["format"] == 1.0
    assert cheats["usual answer alone"]["form"] == "a point"
    assert cheats["a sentence 10 times"]["earned"]["repetition"] < -0.5
    assert cheats["every finding"]["earned"][f"{__name__.rpartition('.')[2]}:shouting"] == 1.0


def test_rows_without_explanation_are_counted(examples: list[Example]) -> None:
    bare = [dataclasses.replace(row, explanation="") for row in examples[:3]]
    found = probe.probe(probe.prepare([*bare, *examples[3:9]], probe.configurations((ACCURACY,))))
    assert (found["rows"], found["rows_without_explanation"]) == (6, 3)


@pytest.mark.parametrize("count", [0, 1])
def test_other_rows_are_needed(examples: list[Example], count: int) -> None:
    bare = [dataclasses.replace(row, explanation="") for row in examples[:3]]
    with pytest.raises(InputError, match=f"{count} of {count + 3} rows have an explanation: give at least 2"):
        probe.prepare([*bare, *examples[3 : 3 + count]], probe.configurations(()))


def test_configurations(examples: list[Example]) -> None:
    configs = Path(__file__).resolve().parents[2] / "configs"
    words = (f"{ACCURACY},format", str(configs / "grpo_acc.yaml"))
    found = probe.configurations(words, compat=None, measure="f1")
    assert [using.fields.rewards for using in found.values()] == [[ACCURACY, "format"], [ACCURACY]]
    assert {using.fields.measure for using in found.values()} == {"f1"}
    with pytest.raises(InputError, match="given twice"):
        probe.configurations(("format", "format"))
    with pytest.raises(InputError, match="did you mean format"):
        probe.configurations(("fromat",))
    with pytest.raises(InputError, match="needs max_completion_length"):
        probe.prepare(examples, probe.configurations(("soft_overlong",)))


def test_a_measure_that_the_original_lacks_leaves_its_rules_out() -> None:
    assert "original's rules" in probe.configurations(())
    left_out = {"original's rules", "compat original"}
    assert probe.configurations((), measure="clinical").keys() == probe.SHIPPED.keys() - left_out
