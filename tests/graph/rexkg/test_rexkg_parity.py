"""The graphs that the original computes, with the small checkpoint that comes with them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from chexphi.graph.rexkg.extractor import RexkgExtractor
from chexphi.rewards.original import OriginalGraphReward, external_r1v_acc

MANY_PAIRS = 300


@pytest.fixture(scope="module")
def parity(shared_data: Path) -> Path:
    folder = shared_data / "rexkg_parity"
    if not folder.is_dir():
        pytest.skip(f"no parity cases at {folder}")
    return folder


@pytest.fixture(scope="module")
def extractor(parity: Path) -> RexkgExtractor:
    return RexkgExtractor(parity, compat="original", device="cpu")


def rows(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def differs(extractor: RexkgExtractor, case: dict[str, Any]) -> bool:
    """Any span, label, relation or their order is another than the original's."""
    if "error" in case:
        try:
            extractor.extract_seed(case["texts"])
        except (TypeError, ValueError):
            return False
        return True
    graphs = extractor.extract_seed(case["texts"])
    sentences = [sentence for text in extractor.sentences_seed(case["texts"]) for sentence in text]
    ordered = [list(graph["entities"].items()) for graph in graphs]
    return (
        graphs != case["graphs"]
        or ordered != [list(graph["entities"].items()) for graph in case["graphs"]]
        or sentences != case["sentences"]
    )


def test_graphs_of_the_original(parity: Path, extractor: RexkgExtractor) -> None:
    cases = [case for case in rows(parity / "texts.jsonl") if case["relation_rows"] <= MANY_PAIRS]
    assert len(cases) > 100
    assert [case["case"] for case in cases if differs(extractor, case)] == []


@pytest.mark.slow
def test_graphs_of_the_original_with_many_pairs(parity: Path, extractor: RexkgExtractor) -> None:
    cases = [case for case in rows(parity / "texts.jsonl") if case["relation_rows"] > MANY_PAIRS]
    assert cases
    assert [case["case"] for case in cases if differs(extractor, case)] == []


def test_rewards_of_the_original(parity: Path, extractor: RexkgExtractor) -> None:
    reward = OriginalGraphReward(extractor)
    for case in rows(parity / "rewards.jsonl"):
        given = case["completions"], case["solutions"]
        assert external_r1v_acc(*given) == case["external_r1v_acc"], case["case"]
        if "external_kg_jac" in case:
            assert reward(*given) == pytest.approx(case["external_kg_jac"], abs=1e-6), case["case"]
        else:
            with pytest.raises(IndexError):
                reward(*given)
