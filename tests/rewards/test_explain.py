"""A score says why: every item and every factor is held against the figures that are paid."""

from __future__ import annotations

import copy
import html
import math
import pickle
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chexphi import GraphReward, GraphRule, InputError, Score, open_extractor, score
from chexphi.prompts import ParseStatus
from chexphi.rewards.combine import Scheme
from chexphi.rewards.explain.explanation import Explanation
from chexphi.rewards.explain.reasons import MALFORMED

REASONING = "There is a small left pleural effusion. No pneumothorax. The heart is enlarged."
REFERENCE = f"<think>{REASONING}</think><answer>yes</answer>"
SENTENCES = (
    "There is a small left pleural effusion.", "There is a large right effusion.", "No pneumothorax.",
    "A pneumothorax.", "The heart is enlarged.", "Possible nodule in the right upper lobe.", "No nodule.",
    "A tube ends in the stomach.", "", "Nothing of note <b>here</b>.",
)  # fmt: skip


def said(think: str, answer: str = "yes") -> str:
    return f"<think>{think}</think><answer>{answer}</answer>"


def names(explanation: Explanation, verdict: str, kind: str = "entity") -> list[str]:
    return [item.name for item in getattr(explanation, verdict) if item.kind == kind]


@pytest.mark.parametrize(
    ("think", "contradicted"),
    [
        (REASONING, {}),
        ("A small effusion.", {}),  # says less, and nothing else
        ("There is a small left pleural effusion. A pneumothorax.", {"pneumothorax": "claimed here"}),
        ("No pleural effusion. No pneumothorax.", {"effusion": "denied here"}),
        (
            "There is a small right pleural effusion.",
            dict.fromkeys(("effusion", "pleural"), "right here, left in the reference"),
        ),
        ("There are bilateral pleural effusions.", {}),
    ],
)
def test_each_claim_that_is_contradicted_is_named_with_its_places(
    think: str, contradicted: dict[str, str]
) -> None:
    result = score(said(think), REFERENCE)
    explanation = result.explain()
    assert {item.name: item.note for item in explanation.contradicted} == contradicted
    assert result.agreement == pytest.approx(1 - len(contradicted) / 3)  # effusion, pleural; pneumothorax
    for item in explanation.contradicted:
        for text, places in ((think, item.in_completion), (REASONING, item.in_reference)):
            assert places
            assert all(text[place.start : place.end] == place.text for place in places)


def test_what_is_missed_and_invented_is_named() -> None:
    explanation = score(said("There is a left effusion. A nodule."), REFERENCE).explain()
    assert names(explanation, "matched") == ["effusion"]
    assert names(explanation, "missed") == ["enlarged", "heart", "pleural", "pneumothorax", "small left"]
    assert names(explanation, "invented") == ["left", "nodule"]
    assert names(explanation, "invented", "relation") == ["left modify effusion"]


texts = st.lists(st.sampled_from(SENTENCES), max_size=5).map(" ".join)


@given(
    completion=st.tuples(texts, st.sampled_from(["yes", "no", "yes, no"])).map(lambda pair: said(*pair))
    | texts,
    reference=texts,
    rule=st.builds(
        GraphRule,
        *map(st.sampled_from, (("jaccard", "f1"), ("skip", "one", "zero"))),
        *[st.sampled_from(("discount", "ignore"))] * 2,
    ),
    truncated=st.booleans(),
)
def test_items_add_up_to_the_counts_and_factors_multiply_to_the_reward(
    completion: str, reference: str, rule: GraphRule, truncated: bool
) -> None:
    result = score(completion, said(reference), truncated=truncated, graph_rule=rule)
    explanation = result.explain()
    if result.match and result.status is ParseStatus.ok:
        for kind, counts in (("entity", result.match.entities), ("relation", result.match.relations)):
            found = [len(names(explanation, verdict, kind)) for verdict in ("matched", "invented", "missed")]
            assert found == [counts.tp, counts.fp, counts.fn]
    if result.agreement is not None:
        claims = len(explanation.contradicted)
        assert (claims > 0) == (result.agreement < 1 and result.status is ParseStatus.ok)
    values = {reason.reward: reason.value for reason in explanation.reasons}
    assert values == {**result.parts, "total": result.total}
    (graph,) = (reason for reason in explanation.reasons if reason.reward == "external_kg_jac")
    if graph.factors:
        assert math.prod(graph.factors) == pytest.approx(result.graph)
    assert all(reason.why for reason in explanation.reasons)
    assert str(result)


def test_every_malformed_kind_is_explained_in_words() -> None:
    assert MALFORMED.keys() == set(ParseStatus) - {ParseStatus.ok}
    result = score("yes", REFERENCE)
    assert "no_answer: there is no <answer> section" in str(result)
    assert names(result.explain(), "missed")
    assert not result.explain().invented


@pytest.mark.parametrize(
    ("scheme", "why"),
    [
        (Scheme(weights=(0.5, 2.0)), "0.5 * external_r1v_acc 0.000 + 2 * external_kg_jac 1.000"),
        (Scheme(combine="product", weights=(1.0, 0.5)), "product of external_r1v_acc 0.000, external_kg_jac"),
        (Scheme(combine="gated"), "external_r1v_acc 0.000; the gate external_r1v_acc is below 1"),
    ],
    ids=lambda value: value.combine if isinstance(value, Scheme) else "",
)
def test_the_total_is_explained_for_each_way_to_join_rewards(scheme: Scheme, why: str) -> None:
    result = score(said(REASONING, "no"), REFERENCE, scheme=scheme)
    assert result.explain().reasons[-1].why.startswith(why)
    assert "'no' is not 'yes' (exact)" in str(result)


def test_a_score_of_the_original_says_that_it_is_not_explained() -> None:
    result = score(said("An effusion."), REFERENCE, compat="original")
    assert result.explain().items == ()
    assert "as the original compares graphs: not explained" in " ".join(str(result).split())


def test_repr_is_one_line_of_figures_and_never_of_the_texts() -> None:
    result = score(said("There is a nodule.", "perhaps"), REFERENCE)
    assert repr(result) == "Score(ok, accuracy 0.000, graph 0.000, total 0.000)"
    assert "none" in repr(score("yes", "", answer="yes"))


class Tags(HTMLParser):
    """Every tag with its attributes, and the text between them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, list[tuple[str, str | None]]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, attributes))

    def handle_data(self, data: str) -> None:
        self.text += data


EVIL = "<script>alert(1)</script> An <img src=x onerror=alert(1)> \"effusion\" & 'nodule' \x1b[31m </div>"


@pytest.mark.parametrize("completion", [said(EVIL, "<i>yes</i>"), EVIL, said("An <b>effusion</b>.", EVIL)])
def test_markup_in_a_text_stays_text(completion: str) -> None:
    """The page has our tags alone, no attribute but a class, and no control character."""
    result = score(completion, said(EVIL), answer=EVIL)
    page = result._repr_html_()
    found = Tags(page)
    assert {tag for tag, _ in found.tags} <= {"div", "style", "table", "tr", "th", "td", "b", "mark"}
    assert {name for _, attributes in found.tags for name, _ in attributes} <= {"class"}
    assert "alert(1)" in found.text
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", page + str(result))
    assert "url(" not in page
    assert "//" not in page


def test_the_page_marks_words_of_both_texts() -> None:
    page = score(said("There is a right effusion. A nodule."), REFERENCE)._repr_html_()
    marks = re.findall(r'<mark class="(\w+)">([^<]*)</mark>', page)
    assert ("contradicted", "effusion") in marks
    assert ("invented", "nodule") in marks
    assert ("missed", "pneumothorax") in marks
    text = html.unescape(re.sub(r"<[^<>]*>", "", page))
    assert REASONING in text


def test_a_score_travels_and_explains_itself_there() -> None:
    result = score(said("There is a right effusion."), REFERENCE)
    for there in (pickle.loads(pickle.dumps(result)), copy.deepcopy(result)):
        assert there == result
        assert there._repr_html_() == result._repr_html_()


def test_the_graph_reward_explains_what_it_pays() -> None:
    reward = GraphReward(rule=GraphRule("f1"))
    completion = said("There is a left effusion.", "no")
    result = reward.explain(completion, REFERENCE)
    assert isinstance(result, Score)
    assert [result.total] == reward([completion], solution=[REFERENCE]) == [result.graph]


def test_the_lexicon_is_what_reads_by_default() -> None:
    rows = [[said(f"{first} {second}") for first in SENTENCES for second in SENTENCES]]
    rows.append([REFERENCE] * len(rows[0]))
    assert GraphReward()(*rows) == GraphReward(open_extractor("lexicon"))(*rows)


@pytest.mark.parametrize("extractor", ["lexicon", GraphRule("f1"), 3])
def test_what_cannot_read_graphs_is_refused_at_once(extractor: object) -> None:
    with pytest.raises(InputError, match=r"extractor is .*: give open_extractor\(NAME\)"):
        GraphReward(extractor)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="give open_extractor"):
        score(REFERENCE, REFERENCE, extractor=extractor)  # type: ignore[arg-type]


def test_the_clinical_measure_is_explained_by_findings() -> None:
    reward = GraphReward(rule=GraphRule("clinical"))
    reference = said("Small left effusion. No pneumothorax. Mild cardiomegaly. Scoliosis.")
    completion = said("Small right effusion. Pneumothorax. Mild cardiomegaly.")
    explanation = reward.explain(completion, reference).explain()
    assert {item.kind for item in explanation.items} == {"finding"}
    assert {item.label: item.verdict for item in explanation.items} == {
        "pneumothorax": "invented",
        "pleural_effusion": "matched",
        "scoliosis": "missed",
        "cardiomegaly": "matched",
    }
    assert [item.label for item in explanation.contradicted] == ["pneumothorax", "pleural_effusion"]
    shown = str(explanation)
    assert "mild cardiomegaly" in shown
    assert "(descriptor)" not in shown
    assert '<mark class="contradicted">effusion</mark>' in explanation._repr_html_()
    malformed = reward.explain("Cardiomegaly.", reference).explain()
    assert malformed.items == ()
