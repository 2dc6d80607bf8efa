"""The phantom's language: exact graphs, balanced answers, closed words, the imperfect writer."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterator

import pytest

from chexphi import answers, prompts
from chexphi.data.phantom import frames, kind_frames, question_frames
from chexphi.data.phantom.frames import WORDINGS, Wording
from chexphi.data.phantom.language import (
    Explanation,
    ask,
    caption,
    explain,
    perturb,
    scene_graph,
    scene_match,
)
from chexphi.data.phantom.questions import Question
from chexphi.data.phantom.scene import FINDINGS, LOCATIONS, Finding, Scene, evolve, sample_build, sample_scene
from chexphi.data.phantom.targets import STATUSES, Target, statuses
from chexphi.graph.lexicon.extractor import LexiconExtractor
from chexphi.graph.match import Counts, score
from chexphi.schema import KINDS, InputError, Kind

BUILD = sample_build(random.Random(0))


def film(*findings: tuple[str, ...]) -> Scene:
    return Scene(tuple(Finding(*finding) for finding in findings), BUILD, 0)


def patients(count: int, seed: int = 0) -> Iterator[tuple[Scene, Scene]]:
    rng = random.Random(seed)
    for _ in range(count):
        first = sample_scene(rng, sample_build(rng))
        yield first, evolve(rng, first)


def asked(count: int, wording: Wording, seed: int = 0) -> Iterator[tuple[Question, tuple[Scene, ...]]]:
    rng = random.Random(f"{wording}{seed}")
    for films in patients(count, seed):
        for kind in KINDS:
            scenes = films if kind == "compare" else (rng.choice(films),)
            yield ask(rng, scenes, kind, wording), scenes


def words(text: str) -> set[str]:
    return set(re.findall(r"[a-z]+", re.sub(r"\{\w+\}", " ", text.lower())))


@pytest.mark.parametrize("wording", WORDINGS)
def test_the_extractor_is_exact_on_explanations_clean_and_imperfect(wording: Wording) -> None:
    rng, made = random.Random(1), []
    for question, scenes in asked(400, wording):
        made.append(explain(rng, question, scenes, wording))
        made.append(explain(rng, question, perturb(rng, scenes), wording))
        made.append(explain(rng, question, perturb(rng, scenes, omit=0.2, move=0.5, invent=0.3), wording))
    for first, _ in patients(300):
        made.append(caption(rng, first, wording)[1])
    graphs = LexiconExtractor().extract([explanation.think for explanation in made])
    wrong = [item.think for item, graph in zip(made, graphs, strict=True) if graph != item.graph]
    assert wrong == []


@pytest.mark.parametrize("name", FINDINGS)
def test_the_extractor_is_exact_on_every_finding_at_every_place(name: str) -> None:
    rng, extractor = random.Random(2), LexiconExtractor()
    for place in LOCATIONS[name]:
        for _ in range(20):
            for wording in WORDINGS:
                _, said = caption(rng, film((name, *place)), wording)
                assert extractor.extract([said.think]) == [said.graph]


@pytest.mark.parametrize("kind", KINDS)
def test_wording_never_changes_the_graph_or_the_answer(kind: Kind) -> None:
    rng = random.Random(3)
    for films in patients(100):
        scenes = films if kind == "compare" else films[1:]
        question = ask(rng, scenes, kind, "train")
        said = [explain(rng, question, scenes, wording) for wording in WORDINGS for _ in range(5)]
        assert len({explanation.graph for explanation in said}) == 1
        assert len({explanation.answer for explanation in said}) == 1
        assert len({explanation.think for explanation in said}) > 1
        assert score(said[0].graph, said[-1].graph) == 1.0


def test_the_same_seed_gives_the_same_text() -> None:
    (question, scenes), *_ = asked(1, "train")
    assert explain(random.Random(4), question, scenes, "train") == explain(
        random.Random(4), question, scenes, "train"
    )
    assert [q for q, _ in asked(5, "test")] == [q for q, _ in asked(5, "test")]


def test_length_of_the_reasoning() -> None:
    rng = random.Random(5)
    thinks = [explain(rng, question, scenes, "train").think for question, scenes in asked(700, "train")]
    lengths = sorted(len(think.split()) for think in thinks)
    assert lengths[len(lengths) // 20] >= 18
    assert lengths[-len(lengths) // 20] <= 45
    counts = Counter(len(re.findall(r"\.", think)) for think in thinks)
    assert sum(counts[n] for n in (2, 3, 4)) > 0.99 * len(thinks)


def test_answers_are_readable_and_named_in_full() -> None:
    rng = random.Random(6)
    for question, scenes in asked(200, "valid"):
        said = explain(rng, question, scenes, "valid")
        parsed = prompts.parse(said.text)
        assert parsed.status is prompts.ParseStatus.ok
        assert parsed.answer is not None
        assert answers.score(parsed.answer, said.answer) == 1.0
        assert said.answer != ("not seen",), "a question about a finding presupposes it on the true film"


@pytest.mark.parametrize("wording", ["valid", "test"])
def test_every_word_of_held_out_wording_is_known_from_training(wording: Wording) -> None:
    tables = [
        table
        for module in (frames, kind_frames, question_frames)
        for value in vars(module).values()
        if isinstance(value, dict)
        for table in ([value] if "train" in value else value.values())
        if isinstance(table, dict) and "train" in table
    ]
    assert len(tables) > 35
    known = {word for table in tables for frame in table["train"] for word in words(frame)}
    for table in tables:
        assert not set(table["train"]) & set(table[wording]) - set(frames.ABSENT_LIST[wording])
        assert {word for frame in table[wording] for word in words(frame)} <= known


def test_the_vocabulary_is_small() -> None:
    rng, known = random.Random(7), set()
    for wording in WORDINGS:
        for question, scenes in asked(300, wording):
            said = explain(rng, question, scenes, wording)
            known |= words(f"{question.text} {said.think} {' '.join(said.answer)}")
            known |= words(" ".join(caption(rng, scenes[0], wording)[0].split()))
    assert len(known) < 200


def shares(select: Counter[str]) -> dict[str, float]:
    return {answer: count / select.total() for answer, count in select.items()}


def test_answers_of_closed_questions_are_balanced() -> None:
    rng = random.Random(8)
    found: dict[tuple[str, str], Counter[str]] = {}
    for question, scenes in asked(4500, "train"):
        said = explain(rng, question, scenes, "train")
        if question.semantic_type == "verify" or question.question_type in ("size", "change"):
            found.setdefault((question.kind, question.question_type), Counter())[said.answer[0]] += 1
    for kind, about in (
        ("basic", "presence"),
        ("region", "region"),
        ("compare", "new"),
        ("compare", "resolved"),
    ):
        assert shares(found[kind, about])["yes"] == pytest.approx(0.5, abs=0.06)
    assert shares(found["basic", "size"])["enlarged"] == pytest.approx(0.5, abs=0.1)
    for status in STATUSES:
        assert shares(found["compare", "change"])[status] == pytest.approx(1 / 3, abs=0.06)


def basic(about: str, semantic: str = "query", **target: str) -> Question:
    return Question("basic", semantic, about, "", "", Target(**target))


def compare(about: str, semantic: str = "query", **target: str) -> Question:
    return Question("compare", semantic, about, "", "", Target(**target))


LEFT_EFFUSION = ("pleural effusion", "left")
OPACITY = ("opacity", "right", "upper")
NORMAL, BOTH = film(), film(LEFT_EFFUSION, OPACITY)
ANSWERS = [
    (basic("presence", finding="opacity"), [BOTH], ("yes",)),
    (basic("presence", finding="pleural effusion", side="right"), [BOTH], ("no",)),
    (basic("side", finding="pleural effusion"), [BOTH], ("left",)),
    (basic("side", finding="pleural effusion"), [NORMAL], ("not seen",)),
    (basic("location", finding="opacity"), [BOTH], ("right upper lung zone",)),
    (basic("location", finding="opacity"), [NORMAL], ("not seen",)),
    (basic("zone", finding="opacity"), [BOTH], ("upper",)),
    (basic("size", finding="cardiomegaly"), [NORMAL], ("normal",)),
    (basic("size", finding="cardiomegaly"), [film(("cardiomegaly",))], ("enlarged",)),
    (basic("findings"), [BOTH], ("opacity", "pleural effusion")),
    (basic("findings"), [film(("pacemaker", "left"))], ("none",)),
    (basic("devices"), [film(("pacemaker", "left"))], ("pacemaker",)),
    (basic("devices"), [BOTH], ("none",)),
    (
        Question("region", "query", "region", "", "", Target("", "left", "lower")),
        [BOTH],
        ("pleural effusion",),
    ),
    (Question("region", "query", "region", "", "", Target("", "left", "upper")), [BOTH], ("none",)),
    (Question("region", "verify", "region", "", "", Target("opacity", "right", "upper")), [BOTH], ("yes",)),
    (Question("region", "verify", "region", "", "", Target("opacity", "right", "lower")), [BOTH], ("no",)),
    (compare("new", "verify", finding="opacity"), [NORMAL, BOTH], ("yes",)),
    (compare("new", "verify", finding="opacity"), [BOTH, BOTH], ("no",)),
    (compare("resolved", "verify", finding="opacity"), [BOTH, NORMAL], ("yes",)),
    (compare("change", finding="pleural effusion"), [BOTH, BOTH], ("unchanged",)),
    (compare("change", finding="pleural effusion"), [NORMAL, NORMAL], ("not seen",)),
    (compare("new"), [NORMAL, BOTH], ("opacity", "pleural effusion")),
    (compare("new"), [BOTH, BOTH], ("none",)),
    (compare("resolved"), [BOTH, NORMAL], ("opacity", "pleural effusion")),
]


@pytest.mark.parametrize(("question", "scenes", "answer"), ANSWERS)
def test_answer_follows_what_is_perceived(
    question: Question, scenes: list[Scene], answer: tuple[str, ...]
) -> None:
    assert explain(random.Random(9), question, scenes, "train").answer == answer


def said(question: Question, *scenes: Scene) -> Explanation:
    return explain(random.Random(10), question, scenes, "train")


def test_the_asked_finding_comes_by_its_sign_then_the_others_then_what_is_absent() -> None:
    graph = said(basic("presence", finding="pleural effusion"), BOTH).graph
    assert (
        ("blunted", "disorder_present"),
        "suggestive_of",
        ("effusion", "disorder_present"),
    ) in graph.relations
    assert ("opacity", "disorder_present") in graph.entities
    assert ("pneumothorax", "disorder_notpresent") in graph.entities


def test_a_question_about_the_wrong_number_of_films_is_refused() -> None:
    with pytest.raises(InputError, match="compare question needs 2"):
        ask(random.Random(0), [NORMAL], "compare", "train")


def test_statuses() -> None:
    changes = statuses([film(LEFT_EFFUSION, ("cardiomegaly",)), film(LEFT_EFFUSION, OPACITY)])
    assert [(f.name, s) for f, s in changes] == [
        ("opacity", "new"),
        ("pleural effusion", "unchanged"),
        ("cardiomegaly", "resolved"),
    ]


def test_perturb_omits_moves_and_invents_at_its_rates() -> None:
    rng, seen, moved, invented, drawn, absent = random.Random(11), 0, 0, 0, 0, 0
    for _, scene in patients(3000):
        (view,) = perturb(rng, [scene])
        names = {f.name for f in scene.findings}
        drawn, absent = drawn + len(scene.findings), absent + len(FINDINGS) - len(names)
        invented += sum(f.name not in names for f in view.findings)
        kept = [f for f in view.findings if f.name in names]
        seen += len(kept)
        moved += sum(f.key not in {g.key for g in scene.findings} for f in kept)
    assert seen / drawn == pytest.approx(0.4, abs=0.02)
    assert invented / absent == pytest.approx(0.025, abs=0.005)
    assert 0.05 < moved / seen < 0.1, "some findings have one place only"


def test_perturb_makes_the_same_error_on_both_films() -> None:
    rng = random.Random(12)
    for _ in range(200):
        prior, current = perturb(rng, [BOTH, BOTH], invent=0.0, move=0.5)
        assert [f.key for f in prior.findings] == [f.key for f in current.findings]


def test_perturb_without_errors_is_the_truth() -> None:
    for films in patients(20):
        assert perturb(random.Random(0), films, omit=0, move=0, invent=0) == films


def test_scene_graph_is_a_closed_world() -> None:
    graph = scene_graph(film(LEFT_EFFUSION))
    labels = Counter(label for _, label in graph.entities)
    assert labels["disorder_present"] == 1
    assert labels["disorder_notpresent"] + labels["devices_notpresent"] == len(FINDINGS) - 1
    assert (("effusion", "disorder_present"), "located_at", ("pleural", "anatomy")) in graph.relations


MATCHES = [
    ("There is a left pleural effusion.", BOTH, Counts(1, 0, 1)),
    ("The left costophrenic angle is blunted, suggesting a pleural effusion.", BOTH, Counts(1, 0, 1)),
    ("There is a right pleural effusion.", BOTH, Counts(0, 1, 2)),
    ("There is a pleural effusion and an opacity.", BOTH, Counts(2, 0, 0)),
    ("There is an opacity in the right lower lung zone.", BOTH, Counts(0, 1, 2)),
    ("No pleural effusion or opacity is seen.", BOTH, Counts(0, 2, 2)),
    ("No right pleural effusion is seen.", BOTH, Counts(0, 0, 2)),
    ("No right pleural effusion is seen. There is a left pleural effusion.", BOTH, Counts(1, 0, 1)),
    ("There is no opacity. There is an opacity in the right upper lung zone.", BOTH, Counts(1, 1, 1)),
    ("A nodule is seen in the left mid lung zone.", NORMAL, Counts(0, 1, 0)),
    ("There is no nodule. The heart is normal in size.", NORMAL, Counts()),
    ("There is a right central line.", film(("central line", "left")), Counts(0, 1, 1)),
    ("There is a left central line.", film(("central line", "left")), Counts(1, 0, 0)),
    ("Cardiomegaly is seen.", film(("cardiomegaly",)), Counts(1, 0, 0)),
    ("", NORMAL, Counts()),
]


@pytest.mark.parametrize(("text", "scene", "counts"), MATCHES)
def test_scene_match(text: str, scene: Scene, counts: Counts) -> None:
    (graph,) = LexiconExtractor().extract([text])
    assert scene_match(graph, [NORMAL, scene]) == counts


def test_the_drawn_truth_matches_itself_and_clean_text_says_nothing_false() -> None:
    rng = random.Random(13)
    for question, scenes in asked(300, "train"):
        own = scene_match(scene_graph(scenes[-1]), scenes)
        assert own == Counts(len(scenes[-1].findings), 0, 0)
        assert scene_match(explain(rng, question, scenes, "train").graph, scenes).fp == 0
        assert scene_match(caption(rng, scenes[-1], "train")[1].graph, scenes) == own
