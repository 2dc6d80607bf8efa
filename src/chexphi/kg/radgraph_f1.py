"""RadGraph F1 of files that the library `radgraph` wrote, for `chexphi kg radgraph-f1`.

There are two figures: without regard to upper case (`radgraph.f1`), and as radgraph 0.1.18 computes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.table import Table

from chexphi.files import read_json, similar_names
from chexphi.graph.radgraph import LEVELS, f1, parse_annotation, published_f1
from chexphi.kg.tables import texts_compared
from chexphi.number_text import figure_text
from chexphi.schema import InputError, shown

Annotation = Mapping[str, Any]


def read_annotations(path: Path) -> dict[str, Annotation]:
    """Annotations by key: what `RadGraph` returned for a list of texts, or a JSON array with one per text.

    Raises:
        InputError: If the file has something else, or a row is not an annotation of RadGraph.
    """
    if not path.is_file():
        raise InputError(
            f"{path} is not a file{similar_names(path)}: name a JSON file of RadGraph's annotations"
        )
    content = read_json(path, advice="save what RadGraph returned with json.dump")
    rows = (
        content.items()
        if isinstance(content, dict)
        else enumerate(content if isinstance(content, list) else ())
    )
    annotations = {str(key): _annotation_of(row) for key, row in rows}
    if not annotations:
        raise InputError(f"{path} has no annotation: save what RadGraph returned with json.dump")
    for key, row in annotations.items():
        try:
            _check_annotation(row)
        except InputError as error:
            raise InputError(f"{path}, report {shown(key)}: {error}") from None
    return annotations


def _annotation_of(row: Any) -> Annotation:
    """The annotation of a row. It may be wrapped in an object, as RadGraph returns that of a single text."""
    if isinstance(row, dict) and "entities" not in row and len(row) == 1:
        (row,) = row.values()
    return row if isinstance(row, dict) else {}


def _check_annotation(row: Annotation) -> None:
    if "entities" not in row:
        raise InputError(
            "not an annotation of RadGraph: it has no entities; save what RadGraph returned with json.dump"
        )
    parse_annotation(row)


def radgraph_f1(reference: Path, prediction: Path) -> dict[str, Any]:
    """Mean RadGraph F1 over the reports that are in both files.

    Returns:
        `n`, `in_one_file_only`, and `any_case` and `published`, each with the three levels.

    Raises:
        InputError: If a file has something else than annotations, or the files share no report.
    """
    references, predictions = read_annotations(reference), read_annotations(prediction)
    keys = [key for key in references if key in predictions]
    if not keys:
        raise InputError(f"{reference} and {prediction} share no report: they are of other texts")
    parses = [(parse_annotation(predictions[key]), parse_annotation(references[key])) for key in keys]
    any_case = {level: sum(f1(*pair, level) for pair in parses) / len(keys) for level in LEVELS}
    published = {
        level: sum(published_f1(predictions[key], references[key], level) for key in keys) / len(keys)
        for level in LEVELS
    }
    return {
        "n": len(keys),
        "in_one_file_only": len(references.keys() ^ predictions.keys()),
        "any_case": any_case,
        "published": published,
    }


def f1_table(figures: Mapping[str, Any]) -> Table:
    """The table of `radgraph_f1`'s figures for the terminal."""
    table = Table(
        "level", "F1, words in any case", "F1, as radgraph 0.1.18", title=texts_compared(figures, "report")
    )
    for level in LEVELS:
        table.add_row(level, *(figure_text(figures[form][level]) for form in ("any_case", "published")))
    return table
