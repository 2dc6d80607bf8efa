"""What each verb needs besides the core, and what it would miss."""

from __future__ import annotations

from collections.abc import Sequence

from chexphi.doctor.libraries import CORE, Library

EXTRAS = {
    "data, kg, rewards score, compare, mine select": (),
    "watch, card, doctor, swift-plugin": (),
    "sft, grpo, sweep, plan": ("train",),
    "evaluate, ask, mine score": ("train",),
    "checkpoint, kg train, rexkg:FOLDER": ("train",),
    "Parquet files, verl-rows": ("train",),
    "report, rewards probe": ("report",),
    "demo, study": ("train", "report"),
    "--engine ray": ("ray",),
    "--use_vllm": ("train", "vllm"),
    "--rewards radeval:METRIC": ("radeval",),
    "DeepSpeed's ZeRO": ("train", "deepspeed"),
    "DICOM to PNG, by a script of yours": ("dicom",),
}
"""Verbs or features -> the extras that they need."""


def missing(libraries: Sequence[Library]) -> dict[str, dict[str, list[str]]]:
    """Verbs -> extra -> its libraries that are not installed; empty where nothing is missing.

    An extra that cannot be had on this system or Python is missing, with no library.
    """
    absent: dict[str, list[str]] = {}
    for library in libraries:
        absent.setdefault(library.extra, []).extend([] if library.installed else [library.name])
    return {
        verbs: {
            extra: absent.get(extra, []) for extra in (CORE, *extras) if extra not in absent or absent[extra]
        }
        for verbs, extras in EXTRAS.items()
    }
