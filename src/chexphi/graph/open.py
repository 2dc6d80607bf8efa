"""Opens an extractor by its name on the command line. Standard library only."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from typing import Any

from chexphi.compat import is_original
from chexphi.graph.cache import DiskCache
from chexphi.graph.lexicon.extractor import LexiconExtractor
from chexphi.graph.radgraph import RadgraphExtractor
from chexphi.graph.service import Service
from chexphi.graph.types import Extractor
from chexphi.schema import InputError, shown


def open_extractor(
    name: str = "lexicon", *, cache: str | os.PathLike[str] | None = None, **options: Any
) -> Extractor:
    """An extractor behind a `Service`, which parses each sentence once.

    >>> (graph,) = open_extractor("lexicon").extract(["There is no effusion."])
    >>> sorted(graph.entities)
    [('effusion', 'disorder_notpresent')]

    With `compat="original"` it is the extractor itself, because that one cuts texts in its own way.

    Args:
        name: `lexicon`, `rexkg:FOLDER`, `radgraph` or `radgraph:MODEL`.
        cache: File of a cache on disk that processes share.
        options: Options of `RexkgExtractor`.

    Raises:
        InputError: If the name is unknown, or the extractor does not have one of the options.
    """
    kind, _, model = name.partition(":")
    extractor: Any
    if options and kind != "rexkg":
        raise InputError(
            f"extractor {name} has no option {shown(next(iter(options)))}: only rexkg:FOLDER has it"
        )
    if kind == "lexicon" and not model:
        extractor = LexiconExtractor()
    elif kind == "radgraph":
        extractor = RadgraphExtractor(**({"model_type": model} if model else {}))
    elif kind == "rexkg" and model:
        neural = importlib.import_module("chexphi.graph.rexkg.extractor")  # imports torch only when needed
        extractor = neural.RexkgExtractor(model, **options)
    else:
        raise InputError(f"extractor is {shown(name)}: use lexicon, rexkg:FOLDER or radgraph")
    if is_original(options.get("compat", "default")):
        return extractor
    return Service(extractor, disk=DiskCache(Path(cache)) if cache else None)
