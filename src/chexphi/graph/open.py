"""An extractor by its name on the command line. Standard library only."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from chexphi.graph.cache import DiskCache
from chexphi.graph.lexicon.extractor import LexiconExtractor
from chexphi.graph.radgraph import RadgraphExtractor
from chexphi.graph.service import Service
from chexphi.graph.types import Extractor
from chexphi.schema import InputError, shown


def open_extractor(name: str = "lexicon", *, cache: Path | None = None, **options: Any) -> Extractor:
    """A resident extractor; with `compat="seed"` the bare one, which reads texts in its own way.

    Args:
        name: `lexicon`, `rexkg:FOLDER`, `radgraph` or `radgraph:MODEL`.
        cache: File of a cache on disk that processes share.
        options: Of `RexkgExtractor`.

    Raises:
        InputError: For another name, or options that the extractor has not.
    """
    kind, _, folder = name.partition(":")
    found: Any
    if options and kind != "rexkg":
        raise InputError(
            f"extractor {name} has no option {shown(next(iter(options)))}: only rexkg:FOLDER has it"
        )
    if kind == "lexicon" and not folder:
        found = LexiconExtractor()
    elif kind == "radgraph":
        found = RadgraphExtractor(**({"model_type": folder} if folder else {}))
    elif kind == "rexkg" and folder:
        neural = importlib.import_module("chexphi.graph.rexkg.extractor")  # torch only where it is asked for
        found = neural.RexkgExtractor(folder, **options)
    else:
        raise InputError(f"extractor is {shown(name)}: use lexicon, rexkg:FOLDER or radgraph")
    if options.get("compat") == "seed":
        return found
    return Service(found, disk=DiskCache(cache) if cache else None)
