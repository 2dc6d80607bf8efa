"""Opens an extractor by its name on the command line. Standard library only."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Any

from chexphi.compat import is_original
from chexphi.graph.cache import DiskCache
from chexphi.graph.lexicon.extractor import LexiconExtractor
from chexphi.graph.ontology_terms import lexicon_with
from chexphi.graph.radgraph import MODELS, RadgraphExtractor, check_model
from chexphi.graph.service import Service
from chexphi.graph.types import Extractor
from chexphi.schema import InputError, shown


def open_extractor(
    name: str = "lexicon",
    *,
    cache: str | os.PathLike[str] | None = None,
    ontology: str = "",
    **options: Any,
) -> Extractor:
    """An extractor behind a `Service`, which parses each sentence once.

    >>> (graph,) = open_extractor("lexicon").extract(["There is no effusion."])
    >>> sorted(graph.entities)
    [('effusion', 'disorder_notpresent')]

    With `compat="original"` it is the extractor itself, because that one cuts texts in its own way.

    Args:
        name: `lexicon`, `rexkg:FOLDER`, `radgraph` or `radgraph:MODEL`.
        cache: File of a cache on disk that processes share.
        ontology: A file of concepts. The lexicon also reads their terms and words; the others do not.
        options: Options of `RexkgExtractor`.

    Raises:
        InputError: If the name is unknown, the extractor does not have one of the options, or the file of
            concepts has a mistake.
    """
    check_extractor(name, **options)
    kind, _, model = name.partition(":")
    extractor: Any
    if kind == "rexkg":
        neural = importlib.import_module("chexphi.graph.rexkg.extractor")  # imports torch only when needed
        extractor = neural.RexkgExtractor(model, **options)
    elif kind == "radgraph":
        extractor = RadgraphExtractor(**({"model_type": model} if model else {}))
    else:
        extractor = lexicon_with(ontology) if ontology else LexiconExtractor()
    if is_original(options.get("compat", "default")):
        return extractor
    return Service(extractor, disk=DiskCache(Path(cache)) if cache else None)


def check_extractor(name: str, *, cache: object = None, **options: Any) -> None:
    """Refuse an extractor that cannot be opened, as far as its name, options and files tell.

    Stages ask before they read a model. Nothing that takes long is imported or read.

    Args:
        name: As in `open_extractor`.
        cache: As in `open_extractor`; not looked at.
        options: As in `open_extractor`.

    Raises:
        InputError: If the name is unknown, the extractor does not have one of the options, or its folder or
            its library is missing.
    """
    kind, _, model = name.partition(":")
    if options and kind != "rexkg":
        raise InputError(
            f"extractor {name} has no option {shown(next(iter(options)))}: only rexkg:FOLDER has it"
        )
    if kind == "rexkg" and model:
        importlib.import_module("chexphi.graph.rexkg.options").check(**options)
        importlib.import_module("chexphi.graph.rexkg.files").check(Path(model))
    elif kind == "radgraph":
        check_model(model or MODELS[0])
    elif name != "lexicon":
        raise InputError(f"extractor is {shown(name)}: use lexicon, rexkg:FOLDER or radgraph")
