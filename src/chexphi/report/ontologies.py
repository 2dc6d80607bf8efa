"""The files of concepts that the runs of a report were evaluated with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chexphi.evaluation.tables import OTHER_ONTOLOGY
from chexphi.graph.findings.ontology import open_ontology
from chexphi.schema import InputError


def usable_ontology(name: str, config: Mapping[str, Any], notes: list[str]) -> str:
    """A run's own concepts; where they cannot be read any more a note, and those of the package."""
    file = _file(config)
    try:
        open_ontology(file)
    except InputError as error:
        notes.append(f"{name}: findings of films are compared without its ontology. {error}.")
        file = ""
    return file


def other_ontologies(config_of_run: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A sentence for each run that was evaluated with another file of concepts than the first.

    A run whose settings are not known is left out.
    """
    runs = [(name, _file(config)) for name, config in config_of_run.items() if config]
    return [OTHER_ONTOLOGY.format(runs[0][0], name) for name, file in runs if file != runs[0][1]]


def _file(config: Mapping[str, Any]) -> str:
    return str(config.get("ontology") or "")
