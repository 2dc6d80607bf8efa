"""Films of another patient for each question. Standard library only."""

from __future__ import annotations

import hashlib
import itertools
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from chexphi.number_text import counted
from chexphi.schema import Example, InputError

Films = tuple[str, ...]


def with_other_films(examples: Sequence[Example], *, seed: int) -> list[Example]:
    """The examples, each with the films of another patient: as many, and of the same kind of question.

    Questions about the same films get the same other films. All films are shown equally often, unless a
    patient has more than half of them. Films of one `subject_id`, and films that a question shows together,
    are of one patient. All else of an example stays, also what is really on its own film.

    Args:
        examples: Each with at least one film.
        seed: Of the order in which films are exchanged.

    Raises:
        InputError: If films of only one patient are there for a kind of question.
    """
    patient_of_film = _patients(examples)
    patient_of_films: dict[tuple[str, int], dict[Films, str]] = {}
    for example in examples:
        group = patient_of_films.setdefault((example.kind, len(example.images)), {})
        group[example.images] = patient_of_film[example.images[0]]
    for (kind, count), group in patient_of_films.items():
        if len(set(group.values())) < 2:
            raise InputError(
                f"controls has shuffle, and the {kind} questions with {counted(count, 'film')} are all of "
                "one patient: evaluate examples of more patients, or leave shuffle out"
            )
    other_films = {key: _exchanged(group, seed) for key, group in patient_of_films.items()}
    return [
        replace(example, images=other_films[example.kind, len(example.images)][example.images])
        for example in examples
    ]


def _patients(examples: Sequence[Example]) -> dict[str, str]:
    """For each film a name of its patient: the first of all subjects and films that belong together."""
    earlier_name: dict[str, str] = {}

    def first(name: str) -> str:
        while earlier_name.setdefault(name, name) != name:
            earlier_name[name] = name = earlier_name[earlier_name[name]]
        return name

    for example in examples:
        subject = [f"patient {example.subject_id}"] if str(example.subject_id) else []
        names = [*subject, *(f"film {film}" for film in example.images)]
        for name in names[1:]:
            earlier, later = sorted((first(names[0]), first(name)))
            earlier_name[later] = earlier
    return {film: first(f"film {film}") for example in examples for film in example.images}


def _exchanged(patient_of_films: dict[Films, str], seed: int) -> dict[Films, Films]:
    """For each set of films another patient's: all stand in a circle by patient, and each gets a later one.

    As many places later as the largest patient has sets: so it is never a patient's own, and none comes
    twice. Where a patient has more than half, the others' sets are taken in turn.
    """

    def place(text: object) -> bytes:
        return hashlib.sha256(f"{seed} {text}".encode("utf-8", "surrogatepass")).digest()

    order = sorted(patient_of_films, key=lambda films: (place(patient_of_films[films]), place(films)))
    largest = max(Counter(patient_of_films.values()).values())
    exchanged, end = {}, 0
    for _, own in itertools.groupby(order, patient_of_films.__getitem__):
        own_films = list(own)
        end += len(own_films)
        for number, films in enumerate(own_films, start=largest - len(own_films)):
            exchanged[films] = order[(end + number % (len(order) - len(own_films))) % len(order)]
    return exchanged
