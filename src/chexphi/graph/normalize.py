"""The normal form of an entity's text, shared by every extractor."""

from __future__ import annotations

import unicodedata


def normalize(text: str) -> str:
    """Lower case, Unicode compatibility forms, single spaces; words and their order stay as they are.

    >>> normalize(" Right  Upper ")
    'right upper'
    """
    return " ".join(unicodedata.normalize("NFKC", text).lower().split())
