"""Films of another patient: which ones a question gets, and how often each is shown."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from chexphi.evaluation.film_controls.partners import with_other_films
from chexphi.schema import Example, InputError


def example(number: int, patient: int, films: int = 1, kind: str = "basic") -> Example:
    images = tuple(f"{patient}/{number % 3}-{film}.png" for film in range(films))
    scene = ({"films of": number},)
    return Example(
        str(number),
        images,
        "Is there an opacity?",
        ("yes",),
        kind=kind,
        subject_id=f"p{patient}",
        scene=scene,
    )


@settings(deadline=None, max_examples=60)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(1, 2)), min_size=1, max_size=25), st.integers(0, 3))
def test_each_question_gets_films_of_another_patient(rows: list[tuple[int, int]], seed: int) -> None:
    examples = [example(number, patient, films) for number, (patient, films) in enumerate(rows)]
    patients = {films: {e.subject_id for e in examples if len(e.images) == films} for films in (1, 2)}
    if any(len(names) == 1 for names in patients.values()):
        with pytest.raises(InputError, match="are all of one patient: evaluate examples"):
            with_other_films(examples, seed=seed)
        return
    others = with_other_films(examples, seed=seed)
    owner = {films: patient for patient, films in ((e.subject_id, e.images) for e in examples)}
    shown = {}
    for own, other in zip(examples, others, strict=True):
        assert owner[other.images] != own.subject_id
        assert len(other.images) == len(own.images)
        assert replace(other, images=own.images) == own  # all else stays
        assert shown.setdefault(own.images, other.images) == other.images
    assert with_other_films(examples, seed=seed) == others
    backwards = with_other_films(examples[::-1], seed=seed)
    assert backwards[::-1] == others  # the order of the file does not matter


def test_films_are_exchanged_within_a_kind_of_question() -> None:
    examples = [example(n, n, kind="basic" if n < 2 else "region") for n in range(4)]
    others = with_other_films(examples, seed=0)
    assert {e.images[0][0] for e in others[:2]} == {"0", "1"}
    assert {e.images[0][0] for e in others[2:]} == {"2", "3"}


@settings(deadline=None, max_examples=100)
@given(st.lists(st.integers(1, 9), min_size=2, max_size=6))
def test_films_are_shown_equally_often(films_of_patients: list[int]) -> None:
    examples = [
        replace(example(number, patient), images=(f"{patient}/{number}.png",))
        for patient, count in enumerate(films_of_patients)
        for number in range(count)
    ]
    shown = Counter(e.images for e in with_other_films(examples, seed=0))
    largest = max(range(len(films_of_patients)), key=films_of_patients.__getitem__)
    if films_of_patients[largest] <= len(examples) / 2:
        assert shown == Counter(e.images for e in examples)  # each once
    times_shown = [shown[e.images] for e in examples if e.subject_id != f"p{largest}"]
    assert max(times_shown) - min(times_shown) <= 1


@pytest.mark.parametrize("seed", range(5))
def test_a_patient_is_known_by_films_that_are_shown_together(seed: int) -> None:
    def about(*films: str, subject_id: str = "") -> Example:
        kind = "compare" if len(films) == 2 else "basic"
        return replace(example(0, 0, kind=kind), images=films, subject_id=subject_id)

    examples = [
        about("a"), about("b", subject_id="A"), about("c"), about("d", subject_id="B"),
        about("a", "b"), about("b", "a"), about("c", "d"), about("d", "c", subject_id="B"),
    ]  # fmt: skip
    for own, other in zip(examples, with_other_films(examples, seed=seed), strict=True):
        assert ({*own.images} <= {"a", "b"}) == ({*other.images} <= {"c", "d"})
    with pytest.raises(InputError, match="the compare questions with 2 films are all of one patient"):
        with_other_films(examples[4:6], seed=seed)


def test_films_without_a_patient_are_each_of_their_own() -> None:
    examples = [replace(example(n, n), subject_id="") for n in range(2)]
    assert [e.images for e in with_other_films(examples, seed=0)] == [e.images for e in examples[::-1]]
