"""Films of another patient for each question. Standard library only."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from chexphi.schema import Example, InputError

Films = tuple[str, ...]


def with_other_films(examples: Sequence[Example], *, seed: int) -> list[Example]:
    """The examples, each with the films of another patient: as many, and of the same kind of question.

    Questions about the same films get the same other films. A film without a patient is one of its own.
    All else of an example stays, also what is really on its own film.

    Args:
        examples: Each with at least one film.
        seed: Of the order in which films are exchanged.

    Raises:
        InputError: If films of only one patient are there for a kind of question.
    """
    patient_of_films: dict[tuple[str, int], dict[Films, str]] = {}
    for example in examples:
        group = patient_of_films.setdefault((example.kind, len(example.images)), {})
        group.setdefault(example.images, str(example.subject_id) or f"films {example.images}")
    other_films = {key: _exchanged(group, seed) for key, group in patient_of_films.items()}
    for (kind, _), exchanged in other_films.items():
        if exchanged is None:
            raise InputError(
                f"controls has shuffle, and all films of the {kind} questions are of one patient: evaluate "
                "examples of more patients, or leave shuffle out"
            )
    return [
        replace(example, images=(other_films[example.kind, len(example.images)] or {})[example.images])
        for example in examples
    ]


def _exchanged(patient_of_films: dict[Films, str], seed: int) -> dict[Films, Films] | None:
    """For each set of films those of the next patient in a fixed order; None with one patient alone."""

    def place(text: object) -> bytes:
        return hashlib.sha256(f"{seed} {text}".encode("utf-8", "surrogatepass")).digest()

    order = sorted(patient_of_films, key=lambda films: (place(patient_of_films[films]), place(films)))
    patients = [patient_of_films[films] for films in order]
    if len(set(patients)) < 2:
        return None
    exchanged = {}
    for number, films in enumerate(order):
        step = next(
            k for k in range(1, len(order)) if patients[(number + k) % len(order)] != patients[number]
        )
        exchanged[films] = order[(number + step) % len(order)]
    return exchanged
