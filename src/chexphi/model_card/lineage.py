"""The name on a hub, and the licence, of a folder of weights: only where they are stated, never guessed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from chexphi.model_card import pages
from chexphi.schema import InputError
from chexphi.yaml_files import parse_yaml

HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")
HUB_CACHE = re.compile(r"models--([A-Za-z0-9][\w.-]*)--([A-Za-z0-9][\w.-]*)")
"""Name of a model's folder in the cache of the hub's client."""
LICENSE_ID = re.compile(r"[a-z0-9][a-z0-9.-]{0,50}")
LICENSE_TITLES = {"MIT License": "mit", "Apache License": "apache-2.0"}
"""First words of a licence file -> identifier of the hub."""


def base_name(folder: Path) -> str:
    """The name of a model on a hub, from the hub's cache or a card of ours; empty where it is not stated.

    The card of a base that was downloaded names what that base was made from, and not the base.
    """
    for folder_name in reversed(folder.absolute().parts):
        if cached := HUB_CACHE.fullmatch(folder_name):
            return f"{cached[1]}/{cached[2]}"
    page = pages.read(folder)
    name = front_matter(page).get("base_model") if pages.is_ours(page) else None
    return name if isinstance(name, str) and HUB_NAME.fullmatch(name) else ""


def license_of(folder: Path) -> str:
    """The licence that a model's folder states: in its card, else by the title of its licence file."""
    identifier = front_matter(pages.read(folder)).get("license")
    if isinstance(identifier, str) and LICENSE_ID.fullmatch(identifier):
        return identifier
    for path in (folder / name for name in ("LICENSE", "LICENSE.txt", "LICENSE.md")):
        if path.is_file():
            start = path.read_bytes()[:300].decode("utf-8", errors="replace")
            return next((name for title, name in LICENSE_TITLES.items() if title in start), "")
    return ""


def front_matter(page: str) -> dict[str, Any]:
    """The settings above a card's text; empty if there are none that can be read."""
    header, _ = pages.split(page)
    try:
        values = parse_yaml(header, "a card")
    except InputError:
        return {}
    return values if isinstance(values, dict) else {}
