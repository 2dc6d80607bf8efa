"""RadGraph F1 of files that the library `radgraph` wrote: what `chexphi kg radgraph-f1` runs.

Both figures are given: words in any case, as `radgraph.f1`, and as radgraph 0.1.18 computes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.table import Table

from chexphi.files import read_json
from chexphi.graph.radgraph import LEVELS, f1, published_f1, read
from chexphi.kg.tables import texts_compared
from chexphi.schema import InputError, shown

Annotation = Mapping[str, Any]


def read_annotations(path: Path) -> dict[str, Annotation]:
    """Annotations by key: what `RadGraph` returned for a list of texts, or a JSON array with one a text.

    Raises:
        InputError: If the file holds something else, or an annotation that is none of RadGraph's.
    """
    if not path.is_file():
        raise InputError(f"{path} is no file: name a JSON file of RadGraph's annotations")
    found = read_json(path, advice="save what RadGraph returned with json.dump")
    rows = found.items() if isinstance(found, dict) else enumerate(found if isinstance(found, list) else ())
    annotations = {str(key): _single(row) for key, row in rows}
    if not annotations:
        raise InputError(f"{path} has no annotation: save what RadGraph returned with json.dump")
    for key, row in annotations.items():
        try:
            _check(row)
        except InputError as error:
            raise InputError(f"{path}, report {shown(key)}: {error}") from None
    return annotations


def _single(row: Any) -> Annotation:
    """An annotation; in an array each may stand in an object of its own, as RadGraph returns one text's."""
    if isinstance(row, dict) and "entities" not in row and len(row) == 1:
        (row,) = row.values()
    return row if isinstance(row, dict) else {}


def _check(row: Annotation) -> None:
    if "entities" not in row:
        raise InputError(
            "not an annotation of RadGraph, for it has no entities: save what it returned with json.dump"
        )
    read(row)


def radgraph_f1(reference: Path, prediction: Path) -> dict[str, Any]:
    """Means over the reports of both files.

    Returns:
        `n`, `in_one_file_only`, and `any_case` and `published`, each with the three levels.

    Raises:
        InputError: As `read_annotations`, and if the files share no report.
    """
    gold, found = read_annotations(reference), read_annotations(prediction)
    keys = [key for key in gold if key in found]
    if not keys:
        raise InputError(f"{reference} and {prediction} share no report: they are of other texts")
    parses = [(read(found[key]), read(gold[key])) for key in keys]
    any_case = {level: sum(f1(*pair, level) for pair in parses) / len(keys) for level in LEVELS}
    published = {
        level: sum(published_f1(found[key], gold[key], level) for key in keys) / len(keys) for level in LEVELS
    }
    return {
        "n": len(keys),
        "in_one_file_only": len(gold.keys() ^ found.keys()),
        "any_case": any_case,
        "published": published,
    }


def f1_table(figures: Mapping[str, Any]) -> Table:
    """The figures for people."""
    table = Table(
        "level", "F1, words in any case", "F1, as radgraph 0.1.18", title=texts_compared(figures, "reports")
    )
    for level in LEVELS:
        table.add_row(level, f"{figures['any_case'][level]:.4f}", f"{figures['published'][level]:.4f}")
    return table
