"""`score`: one completion against its reference, in every form; and the original's figures on request."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from chexphi.graph.lexicon.extractor import LexiconExtractor
from chexphi.graph.match import Measure
from chexphi.graph.types import Graph
from chexphi.prompts import ParseStatus
from chexphi.rewards import AccuracyReward, AnswerRule, FormatReward, GraphReward, GraphRule, Scheme, score
from chexphi.schema import InputError

THINK = "There is a small left pleural effusion. The heart is enlarged."
GOLD = f"<think>{THINK}</think><answer>yes</answer>"
FIRST = f"<answer>yes</answer>\n<think>{THINK}</think>"


FORMS = (
    GOLD,
    FIRST,
    GOLD + "<|end|>",
    [{"role": "assistant", "content": GOLD}],
    [{"role": "assistant", "content": [{"type": "text", "text": FIRST}]}],
)
MALFORMED = (
    "",
    "yes",
    THINK,
    "<think></think><answer>yes</answer>",
    GOLD + GOLD,
    "<answer>yes</answer>",
    f"<think>{THINK}<answer>yes</answer></think>",
    f"<answer>yes<think>{THINK}</think></answer>",
)


@pytest.mark.parametrize("completion", FORMS)
@pytest.mark.parametrize("reference", [GOLD, FIRST, THINK])
@pytest.mark.parametrize("scheme", [Scheme(), Scheme(combine="product"), Scheme(combine="gated")])
def test_gold_earns_the_most_in_every_form(completion, reference: str, scheme: Scheme) -> None:
    """Think first or answer first, text or conversation, against a reference with tags or without."""
    found = score(completion, reference, answer=["yes"], scheme=scheme)
    assert found.status is ParseStatus.ok
    assert found.parts == {"external_r1v_acc": 1.0, "external_kg_jac": 1.0, "format": 1.0}
    assert found.total == {"sum": 2.0, "product": 1.0, "gated": 2.0}[scheme.combine]
    assert found.words == len(THINK.split())


@pytest.mark.parametrize(
    ("think", "agreement"),
    [
        (THINK, 1.0),
        ("The heart is enlarged.", 1.0),  # left out
        ("There is a small right pleural effusion. The heart is enlarged.", 0.0),  # effusion and its place
        ("There is no left pleural effusion. The heart is enlarged.", 0.5),
    ],
)
@pytest.mark.parametrize("measure", ["jaccard", "f1"])
def test_a_contradiction_takes_its_share_of_the_graph(think: str, agreement: float, measure: Measure) -> None:
    completion, logged = f"<think>{think}</think><answer>yes</answer>", {}
    plain = score(completion, GOLD, graph_rule=GraphRule(measure, contradictions="ignore"))
    found = score(completion, GOLD, graph_rule=GraphRule(measure))
    assert found.agreement == plain.agreement == agreement
    assert plain.graph
    assert found.graph == pytest.approx(plain.graph * agreement)
    assert (found.accuracy, found.match) == (plain.accuracy, plain.match)
    GraphReward(LexiconExtractor())([completion], [GOLD], log_metric=logged.__setitem__)
    assert logged["graph/contradicted"] == 1 - agreement


def test_the_original_knows_no_contradictions() -> None:
    wrong = "<think>There is a small right pleural effusion.</think><answer>yes</answer>"
    assert score(wrong, GOLD).graph == 0
    assert (
        score(wrong, GOLD, compat="original").graph
        == score(wrong, GOLD, graph_rule=GraphRule(contradictions="ignore")).graph
        > 0
    )


def test_a_repetition_takes_its_share_of_the_graph() -> None:
    said = "There is a small left pleural effusion. "
    reference = f"<think>{said}</think><answer>yes</answer>"
    ten = f"<think>{said * 10}</think><answer>yes</answer>"
    assert score(reference, reference).graph == 1
    assert score(ten, ten).graph == 1
    assert score(ten, reference).graph == pytest.approx(0.1)
    assert GraphReward(LexiconExtractor())([ten], [reference]) == pytest.approx([0.1])
    assert score(ten, reference, graph_rule=GraphRule(repetitions="ignore")).graph == 1
    assert score(ten, reference, compat="original").graph == 1


@pytest.mark.parametrize("text", MALFORMED)
@pytest.mark.parametrize("empty", ["skip", "one", "zero"])
def test_what_is_malformed_earns_nothing(text: str, empty) -> None:
    """Whatever an empty part is worth, also against a reference without findings."""
    for reference in (GOLD, "<think>Nothing to say.</think><answer>yes</answer>"):
        found = score(text, reference, graph_rule=GraphRule(empty=empty))
        assert found.status is not ParseStatus.ok
        assert found.total == 0.0
    assert score(GOLD, GOLD, truncated=True).total == 0.0


def test_without_the_gate_an_answer_counts_where_it_can_be_read() -> None:
    for text, expected in (
        ("<answer>yes</answer>", 1.0),
        ("<think>a<answer>yes</answer>", 1.0),
        ("yes", 0.0),
    ):
        assert score(text, GOLD, answer_rule=AnswerRule(format_gate=False)).accuracy == expected
        assert AccuracyReward(AnswerRule(format_gate=False))([text], [GOLD]) == [expected]
        assert score(text, GOLD).accuracy == 0.0


@pytest.mark.parametrize(
    ("match", "answer", "expected"),
    [
        ("exact", "left, right", 0.0),
        ("f1", "left, right", 2 / 3),
        ("any", "left, right", 1.0),
        ("any", "up", 0.0),
        ("clinical", "on the left side", 1.0),
        ("clinical", "left or right", 0.0),
    ],
)
def test_matches(match, answer: str, expected: float) -> None:
    found = score(
        f"<think>a</think><answer>{answer}</answer>", "<answer>left</answer>", answer_rule=AnswerRule(match)
    )
    assert found.accuracy == pytest.approx(expected)


class Words:
    """Every word is an anatomy, `no` denies the next; a graph that can be read off the text."""

    def extract(self, texts: Sequence[str]) -> list[Graph]:
        return [self.graph(text.split()) for text in texts]

    def graph(self, words: list[str]) -> Graph:
        kinds = {
            word: "disorder_notpresent" if before == "no" else "disorder_present"
            for before, word in zip(["", *words], words, strict=False)
        }
        entities = [(word, kind) for word, kind in kinds.items() if word != "no"]
        lung = ("lung", "anatomy")
        located = [e for e in entities if e[0] == "effusion"] if "lung" in words else []
        return Graph.of(
            [e for e in entities if e[0] != "lung"] + ([lung] if "lung" in words else []),
            [(e, "located_at", lung) for e in located],
        )


def wrapped(think: str, answer: str = "no") -> str:
    return f"<think>{think}</think><answer>{answer}</answer>"


@pytest.mark.parametrize(
    ("case", "completion", "solution", "seed_acc", "seed_kg", "acc", "kg"),
    [
        ("R3 both empty", "", "<think></think><answer></answer>", 1.0, 1.0, None, None),
        ("R3 nothing said", "no", wrapped("edema"), 1.0, 0.5, 0.0, 0.0),
        ("R4 polarity", "effusion lung", "no effusion lung", 0.0, (1 / 3 + 1) / 2, None, 0.0),
        ("R6 lines", wrapped("edema", "\nyes\n"), wrapped("edema", "yes"), 0.0, None, 1.0, 1.0),
        ("R7 point", wrapped("edema", "Yes."), wrapped("edema", "yes"), 0.0, None, 1.0, 1.0),
        ("R8 shotgun", wrapped("edema", "a,b,c,d,e"), wrapped("edema", "c"), 1.0, None, 0.0, 1.0),
        ("R8 both", wrapped("edema", "yes, no"), wrapped("edema", "yes"), 1.0, None, 0.0, 1.0),
        ("R8 one of three", wrapped("edema", "b"), wrapped("edema", "a,b,c"), 1.0, None, 0.0, 1.0),
        ("R9 no tags", "yes", wrapped("edema", "yes"), 1.0, None, 0.0, 0.0),
        ("R10 two", "<answer>yes</answer><answer>no</answer>", wrapped("x", "yes"), 1.0, None, 0.0, 0.0),
        ("R11 decimal", "1", "1.5 cm", 1.0, None, None, 0.0),
        ("R11 point first", "anything", ".5 cm", 0.0, None, None, 0.0),
        ("R12 empty", wrapped("edema", ""), wrapped("edema", ""), 1.0, None, None, 1.0),
    ],
)  # fmt: skip
def test_the_originals_cases(
    case: str, completion: str, solution: str, seed_acc: float, seed_kg: float | None, acc: float | None,
    kg: float | None,
) -> None:  # fmt: skip
    theirs = score(completion, solution, extractor=Words(), compat="original")
    assert theirs.accuracy == seed_acc
    if seed_kg is not None:
        assert theirs.graph == pytest.approx(seed_kg)
        assert theirs.total == pytest.approx(seed_acc + seed_kg)
    ours = score(completion, solution, extractor=Words())
    assert (ours.accuracy, ours.graph) == (acc, kg)


def test_the_originals_other_reward_is_0_where_both_are_empty() -> None:
    """R13: F1 there, Jaccard here, two conventions in one file."""
    expectations: tuple[tuple[Measure, float], ...] = (("jaccard", 1.0), ("f1", 0.0))
    for measure, expected in expectations:
        rule = GraphRule(measure)
        found = score("", "<think></think>", graph_rule=rule, extractor=Words(), compat="original")
        assert found.graph == expected


def test_threads_see_the_same_scores() -> None:
    thinks = [f"There is a {size} {side} pleural effusion." for size in ("small", "large") for side in
              ("left", "right")] + [THINK]  # fmt: skip
    texts = [
        f"<think>{think}</think><answer>{answer}</answer>" for think in thinks for answer in ("yes", "no")
    ]
    pairs = [(a, b) for a in texts for b in texts]
    alone = [score(a, b) for a, b in pairs]
    reward = GraphReward(Words())
    plain = [reward([a], [b])[0] for a, b in pairs]
    fresh = GraphReward(Words())
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda pair: score(*pair), pairs)) == alone
        assert list(pool.map(lambda pair: fresh([pair[0]], [pair[1]])[0], pairs)) == plain
    assert len({found.total for found in alone}) > 3


def test_every_reward_logs_what_is_malformed_and_how_long_it_is() -> None:
    for reward in (AccuracyReward(), GraphReward(Words()), FormatReward()):
        logged: dict[str, float] = {}
        reward([GOLD, "<think>two words</think>"], [GOLD] * 2, log_metric=logged.__setitem__)  # type: ignore[arg-type]
        assert logged["malformed/no_answer"] == 0.5
        assert logged["reasoning/words"] == (len(THINK.split()) + 2) / 2


def test_score_knows_its_own_parts_only() -> None:
    with pytest.raises(InputError, match="no reward 'repetition'"):
        score(GOLD, GOLD, scheme=Scheme(("format", "repetition")))
