"""Counts and scores of graphs."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chexphi.graph.match import Counts, GraphMatch, compare, score
from chexphi.graph.types import Graph

EFFUSION, NO_EFFUSION = ("effusion", "disorder_present"), ("effusion", "disorder_notpresent")
LEFT, LUNG, OPACITY = ("left", "concept"), ("lung", "anatomy"), ("opacity", "disorder_present")
ENTITIES = st.sampled_from([EFFUSION, NO_EFFUSION, LEFT, LUNG, OPACITY])
RELATIONS = st.tuples(ENTITIES, st.sampled_from(["located_at", "modify", "suggestive_of"]), ENTITIES)
GRAPHS = st.builds(Graph.of, st.frozensets(ENTITIES), st.frozensets(RELATIONS, max_size=4))
EMPTY = Graph()


@pytest.mark.parametrize(
    ("predicted", "reference", "default", "seed"),
    [
        (EMPTY, EMPTY, None, 1.0),
        (Graph.of([LUNG]), EMPTY, None, 0.5),  # entities 0, relations empty on both sides 1
        (EMPTY, Graph.of([LUNG]), 0.0, 0.5),
        (EMPTY, Graph.of([], [(OPACITY, "located_at", LUNG)]), 0.0, 0.0),
        (Graph.of([LUNG]), Graph.of([LUNG]), 1.0, 1.0),
        (Graph.of([LUNG, LEFT]), Graph.of([LUNG]), 0.5, 0.75),
    ],
)
def test_empty_parts(predicted: Graph, reference: Graph, default: float | None, seed: float) -> None:
    assert score(predicted, reference) == default
    assert score(predicted, reference, compat="original") == seed


def test_polarity_is_part_of_a_relation() -> None:
    """R4: the original pays the full relation part for the opposite finding."""
    absent = Graph.of([], [(NO_EFFUSION, "located_at", LUNG)])
    present = Graph.of([], [(EFFUSION, "located_at", LUNG)])
    assert compare(present, absent).relations == Counts(0, 1, 1)
    assert score(present, absent) == pytest.approx((1 / 3 + 0) / 2)


def test_the_original_compares_relations_without_labels() -> None:
    absent = Graph.of([], [(NO_EFFUSION, "located_at", LUNG)])
    present = Graph.of([], [(EFFUSION, "located_at", LUNG)])
    assert compare(present, absent, compat="original") == GraphMatch(Counts(1, 1, 1), Counts(1, 0, 0))
    assert score(present, absent, compat="original") == pytest.approx((1 / 3 + 1) / 2)
    other_type = Graph.of([], [(EFFUSION, "modify", LUNG)])
    assert compare(present, other_type, compat="original").relations == Counts(0, 1, 1)
    both = Graph.of([], [(EFFUSION, "located_at", LUNG), (NO_EFFUSION, "located_at", LUNG)])
    assert compare(both, absent, compat="original").relations == Counts(1, 0, 0)  # two triples are one


@given(GRAPHS, GRAPHS)
def test_the_original_never_finds_fewer_relations_in_common(a: Graph, b: Graph) -> None:
    assert compare(a, b, compat="original").entities == compare(a, b).entities
    assert bool(compare(a, b, compat="original").relations.tp) >= bool(compare(a, b).relations.tp)
    assert 0 <= score(a, b, compat="original") <= 1
    assert score(a, a, compat="original") == 1


def test_a_contradiction_stays_two_entities() -> None:
    """R5: the original keeps the last label."""
    both = Graph.of([EFFUSION, NO_EFFUSION])
    assert len(both.entities) == 2
    assert score(both, Graph.of([EFFUSION])) == 0.5


def test_doubt_is_compared_only_by_option() -> None:
    pleural = ("pleural", "anatomy")
    sure = Graph.of([], [(EFFUSION, "located_at", pleural)])
    unsure = replace(sure, uncertain=frozenset({EFFUSION}))
    assert score(unsure, sure) == 1
    match = compare(unsure.with_doubt(), sure.with_doubt())
    assert (match.entities, match.relations) == (Counts(1, 1, 1), Counts(0, 1, 1))
    assert score(unsure.with_doubt(), unsure.with_doubt()) == 1


@given(GRAPHS, GRAPHS)
def test_scores_are_symmetric_and_bounded(a: Graph, b: Graph) -> None:
    for measure in ("jaccard", "f1"):
        forward, backward = score(a, b, measure=measure), score(b, a, measure=measure)
        if a and b:
            assert forward == pytest.approx(backward)
            assert 0 <= forward <= 1
    assert compare(a, b).entities.tp == compare(b, a).entities.tp


@given(GRAPHS.filter(bool))
def test_gold_earns_everything(graph: Graph) -> None:
    assert score(graph, graph) == score(graph, graph, measure="f1") == 1


@given(GRAPHS.filter(bool), GRAPHS)
def test_nothing_beats_gold_and_a_wrong_entity_never_helps(gold: Graph, other: Graph) -> None:
    assert score(gold | other, gold) <= 1
    wrong = Graph.of([("fracture", "disorder_present")])
    assert score(other | wrong, gold) <= score(other, gold)


@given(st.lists(st.tuples(GRAPHS, GRAPHS), max_size=5))
def test_counts_add_up(pairs: list[tuple[Graph, Graph]]) -> None:
    total = sum((compare(a, b).entities for a, b in pairs), start=Counts())
    assert total.tp + total.fp == sum(len(a.entities) for a, _ in pairs)
    assert total.tp + total.fn == sum(len(b.entities) for _, b in pairs)


@given(GRAPHS.filter(bool), GRAPHS)
def test_a_superset_never_beats_gold_and_pays_for_every_extra(gold: Graph, extra: Graph) -> None:
    for measure in ("jaccard", "f1"):
        value = score(gold | extra, gold, measure=measure)
        assert value is not None
        assert (value == 1) == (gold | extra == gold)


@given(st.lists(st.tuples(GRAPHS, GRAPHS), min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_order_and_repetition_do_not_matter(pairs: list[tuple[Graph, Graph]], rng: random.Random) -> None:
    for graph, other in pairs:
        entities, relations = list(graph.entities) * 2, list(graph.relations) * 2
        rng.shuffle(entities)
        rng.shuffle(relations)
        assert compare(Graph.of(entities, relations), other) == compare(graph, other)


@given(GRAPHS, GRAPHS)
def test_what_is_certain_in_one_text_is_certain_in_both(a: Graph, b: Graph) -> None:
    doubtful = replace(a, uncertain=a.entities)
    assert doubtful == a  # compared only by option
    assert (doubtful | b).uncertain == a.entities - b.entities
    assert (b | doubtful).uncertain == (doubtful | b).uncertain


@given(GRAPHS)
def test_a_graph_survives_its_dictionary(graph: Graph) -> None:
    doubtful = replace(graph, uncertain=graph.entities)
    for item in (graph, doubtful):
        read = Graph.from_dict(item.to_dict())
        assert (read, read.uncertain) == (item, item.uncertain)


@pytest.mark.parametrize(
    "build",
    [
        lambda: Graph.of([("effusion", "disease")]),
        lambda: Graph.of([], [(OPACITY, "near", LUNG)]),
    ],
)
def test_unknown_labels_and_types_are_refused(build) -> None:
    with pytest.raises(ValueError, match="use one of"):
        build()
