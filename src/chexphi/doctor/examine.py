"""All findings of `chexphi doctor` as one JSON object."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from chexphi import __version__, installation
from chexphi.doctor import imports, machine, verbs
from chexphi.doctor.libraries import CORE, Library, libraries


def examine() -> dict[str, Any]:
    """Look at libraries, devices, codecs and verbs; installed libraries are imported in a child process."""
    chosen_libraries = libraries()
    outcomes = imports.import_each([library.module for library in chosen_libraries if library.installed])
    devices = outcomes.get("torch", {}).get("devices")
    return {
        "chexphi": {
            "version": __version__,
            "revision": installation.revision(),
            "checkout": installation.checkout() is not None,
        },
        "python": platform.python_version(),
        "machine": machine.machine(),
        "devices": devices,
        "codecs": machine.codecs(),
        "transfer_syntaxes": outcomes.get("pydicom", {}).get("transfer_syntaxes"),
        "libraries": [asdict(library) | {"is_tested": library.is_tested} for library in chosen_libraries],
        "verbs": {
            name: {"missing": absent, "install": install_line(absent)}
            for name, absent in verbs.missing(chosen_libraries).items()
        },
        "broken": broken(chosen_libraries, outcomes),
    }


def broken(chosen_libraries: Sequence[Library], outcomes: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A sentence for each library that is installed and cannot be used."""
    sentences = []
    for library in chosen_libraries:
        if not library.installed:
            if library.extra == CORE:
                sentences.append(f"{library.name} is not installed, and every verb needs it")
        elif error := outcomes[library.module].get("error"):
            sentences.append(f"{library.name} {library.installed} cannot be imported: {error}")
        elif library.is_outside_bounds:
            sentences.append(
                f"{library.name} {library.installed} is not a version that chexphi works with: "
                f"it needs {library.bounds}"
            )
    return sentences


def install_line(absent: Mapping[str, Sequence[str]]) -> str | None:
    """The command that installs what a verb misses; None if it misses nothing, or cannot have it here.

    The user's folder is written as `$HOME`.
    """
    extras = [extra for extra in absent if extra != CORE]
    if not all(absent.values()) or not absent:
        return None
    line = installation.install_line(*extras)
    home = os.path.expanduser("~")
    if len(home) > 1 and home in line:
        return line.replace(home, "$HOME").replace("'", '"')
    return line
