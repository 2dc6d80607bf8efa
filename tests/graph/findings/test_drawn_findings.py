"""The findings read from the language of the drawn films, against the scene that the words were made from."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Sequence

import pytest

from chexphi.data.phantom.frames import WORDINGS, Wording
from chexphi.data.phantom.language import Explanation, ask, caption, explain
from chexphi.data.phantom.scene import FINDINGS, Scene, evolve, sample_build, sample_scene
from chexphi.graph.clinical.compare import compare
from chexphi.graph.clinical.tidy import tidy
from chexphi.graph.findings.ontology import default_ontology
from chexphi.graph.findings.read import findings
from chexphi.graph.findings.records import Finding
from chexphi.graph.lexicon.extractor import LexiconExtractor
from chexphi.schema import Kind

ONTOLOGY, EXTRACTOR = default_ontology(), LexiconExtractor()
CONCEPTS = {"opacity": "opacity", "pleural effusion": "pleural_effusion", "pneumothorax": "pneumothorax",
            "cardiomegaly": "cardiomegaly", "nodule": "lung_nodule", "pacemaker": "pacemaker",
            "central line": "central_line", "endotracheal tube": "endotracheal_tube"}  # fmt: skip
"""By the name of the drawn finding."""
ZONE = {"upper": "upper", "mid": "middle", "lower": "lower"}
Key = tuple[str, tuple[str, ...], tuple[str, ...]]
"""(concept, sides, zones)"""
Named = tuple[str, str, str]
"""(name, side, zone) of a drawn finding"""


def read(explanation: Explanation) -> list[Finding]:
    (parse,) = EXTRACTOR.parse([explanation.think])
    return [one for finding in tidy(findings(parse, ONTOLOGY), ONTOLOGY) for one in one_of_each_side(finding)]


def one_of_each_side(finding: Finding) -> list[Finding]:
    """What is on both sides is drawn twice."""
    if not finding.present or len(finding.qualities.sides) < 2:
        return [finding]
    return [
        dataclasses.replace(
            finding, qualities=dataclasses.replace(finding.qualities, sides=frozenset({side}))
        )
        for side in sorted(finding.qualities.sides)
    ]


def key_of(finding: Finding) -> Key:
    qualities = finding.qualities
    return finding.concept, tuple(qualities.sides), tuple(qualities.zones)


def keys_of(named: Named) -> set[Key]:
    """How a drawn finding may be read: an effusion also with the zone that a box marks."""
    name, side, zone = named
    zones = {(ZONE[zone],)} if zone else {()}
    if name == "pleural effusion":
        zones |= {("lower",)}
    return {(CONCEPTS[name], (side,) if side else (), zones_read) for zones_read in zones}


def scenes_of(seed: int, count: int) -> tuple[random.Random, list[Scene]]:
    rng = random.Random(seed)
    scenes = [sample_scene(rng, sample_build(rng))]
    while len(scenes) < count:
        scenes.append(evolve(rng, scenes[-1]))
    return rng, scenes


def drawn_names(scene: Scene) -> set[Named]:
    return {finding.key for finding in scene.findings}


def missing(claims: Sequence[Finding], drawn: set[Named]) -> list[Named]:
    claimed = {key_of(claim) for claim in claims}
    return [named for named in drawn if not keys_of(named) & claimed]


@pytest.mark.parametrize("wording", WORDINGS)
@pytest.mark.parametrize("seed", range(60))
def test_a_caption_is_read_as_all_that_is_drawn_and_no_more(seed: int, wording: Wording) -> None:
    rng, (scene,) = scenes_of(seed, 1)
    _, explanation = caption(rng, scene, wording)
    found = read(explanation)
    claims, denials = [f for f in found if f.present], [f for f in found if not f.present]
    assert missing(claims, drawn_names(scene)) == []
    assert len(claims) == len(scene.findings)
    assert {f.concept for f in denials} == {CONCEPTS[name] for name in FINDINGS if not scene.has(name)}
    assert all(f.certain and f.qualities.change is None for f in found)


@pytest.mark.parametrize("kind", ["basic", "region", "compare"])
@pytest.mark.parametrize("seed", range(150))
def test_an_explanation_says_nothing_that_is_not_drawn(seed: int, kind: Kind) -> None:
    rng, scenes = scenes_of(seed, 2 if kind == "compare" else 1)
    wording = WORDINGS[seed % len(WORDINGS)]
    question = ask(rng, scenes, kind, wording)
    found = read(explain(rng, question, scenes, wording))
    drawn, before = drawn_names(scenes[-1]), drawn_names(scenes[0])
    possible = {key: named for named in drawn for key in keys_of(named)}
    for claim in (f for f in found if f.present):
        assert claim.certain
        named = possible[key_of(claim)]
        if claim.qualities.change:
            assert claim.qualities.change == ("unchanged" if named in before else "new")
    for denial in (f for f in found if not f.present):
        assert not any(is_denied(denial, named) for named in drawn), denial
        if denial.qualities.change:
            assert denial.qualities.change == "resolved"
            assert any(is_denied(denial, named) for named in before)
    about = question.target.finding
    if kind != "compare" and about:
        asked = {n for n in drawn if n[0] == about and question.target.side in ("", n[1])}
        if kind == "basic":
            assert missing([f for f in found if f.present], asked) == []


def is_denied(denial: Finding, named: Named) -> bool:
    """Whether a denial speaks of a drawn finding: of its name, or of all that lungs or the heart can have."""
    name, side, zone = named
    lung = {"opacity", "nodule", "pneumothorax"} if denial.concept == "lung_abnormality" else set()
    names = {CONCEPTS[name]} if name not in lung else {CONCEPTS[name], "lung_abnormality"}
    if denial.concept not in names:
        return False
    sides, zones = denial.qualities.sides, denial.qualities.zones
    own_zone = ZONE.get(zone, "lower")
    return (not sides or not side or side in sides) and (not zones or own_zone in zones)


@pytest.mark.parametrize("seed", range(40))
def test_two_wordings_of_a_scene_are_worth_the_same(seed: int) -> None:
    rng, (scene,) = scenes_of(seed, 1)
    one, other = (
        findings(EXTRACTOR.parse([caption(rng, scene, wording)[1].think])[0], ONTOLOGY)
        for wording in ("train", "test")
    )
    assert compare(one, other, ONTOLOGY).score == compare(other, one, ONTOLOGY).score == 1
    assert compare(one, other, ONTOLOGY).affirmed == 1
