"""The libraries of each extra: which are installed, which were tested, and which versions are allowed."""

from __future__ import annotations

import importlib.metadata
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement

from chexphi import installation

CORE = "core"
"""Where `extra` is this, the library belongs to the package itself."""
NOT_FOR_USERS = ("docs", "dev", "notebook")
"""Extras that no verb needs."""
MODULES = {
    "pillow": "PIL",
    "pyyaml": "yaml",
    "pylibjpeg-openjpeg": "openjpeg",
    "pyjpegls": "jpeg_ls",
}
"""Libraries that are imported under another name."""


@dataclass(frozen=True, slots=True)
class Library:
    """A library that this package can use.

    Attributes:
        name: As on a package index.
        extra: The extra that brings it, or `core`.
        bounds: The versions that this package allows, such as `>=2.9`.
        installed: Its version here, or None.
        tested: The version in `constraints.txt`; None outside of a checkout, or where it has none.
    """

    name: str
    extra: str
    bounds: str
    installed: str | None
    tested: str | None

    @property
    def module(self) -> str:
        """The name under which it is imported."""
        return MODULES.get(self.name, self.name.replace("-", "_"))

    @property
    def is_outside_bounds(self) -> bool:
        """Whether a version is installed that this package does not allow."""
        specifier = Requirement(self.name + self.bounds).specifier
        return self.installed is not None and not specifier.contains(self.installed, prereleases=True)

    @property
    def is_tested(self) -> bool:
        """Whether the tested version is installed; `2.14.1+cpu` counts as `2.14.1`."""
        return self.installed is not None and self.installed.partition("+")[0] == self.tested


def libraries() -> list[Library]:
    """Every library of the core and of the extras for users, without importing one."""
    folder = installation.checkout()
    if folder is None:
        return from_requirements(importlib.metadata.requires("chexphi") or (), {})
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    constraints = folder / "constraints.txt"
    lines = constraints.read_text(encoding="utf-8").splitlines() if constraints.is_file() else ()
    return from_requirements(_with_markers(project), pinned_versions(lines))


def _with_markers(project: Mapping[str, Any]) -> list[str]:
    """The requirements of a `[project]` table, those of an extra with the marker that a wheel has."""
    requirements = list(project["dependencies"])
    for extra, lines in project["optional-dependencies"].items():
        for line in lines:
            name, _, marker = line.partition(";")
            condition = f"({marker.strip()}) and " if marker else ""
            requirements.append(f"{name}; {condition}extra == '{extra}'")
    return requirements


def from_requirements(requirements: Iterable[str], tested: Mapping[str, str]) -> list[Library]:
    """Libraries of requirements whose markers name an extra; those of another system are left out.

    >>> from_requirements(["no-such-library>=2; extra == 'ray'"], {})[0].extra
    'ray'
    """
    chosen: list[Library] = []
    for text in requirements:
        requirement = Requirement(text)
        match = re.search(r"extra == ['\"]([\w-]+)['\"]", str(requirement.marker or ""))
        extra = match[1] if match else CORE
        if extra in NOT_FOR_USERS or not _is_for_this_system(requirement, extra):
            continue
        name = requirement.name.lower()
        chosen.append(Library(name, extra, str(requirement.specifier), version(name), tested.get(name)))
    return chosen


def _is_for_this_system(requirement: Requirement, extra: str) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": extra})


def version(name: str) -> str | None:
    """The installed version of a library, read without importing it."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def pinned_versions(lines: Iterable[str]) -> dict[str, str]:
    """Library -> version, of the lines of a constraints file.

    >>> pinned_versions(["# tested", "Torch==2.14.1", "wheel"])
    {'torch': '2.14.1'}
    """
    versions = {}
    for line in lines:
        try:
            requirement = Requirement(line)
        except InvalidRequirement:
            continue
        pins = [pin.version for pin in requirement.specifier if pin.operator == "=="]
        if pins:
            versions[requirement.name.lower()] = pins[0]
    return versions
