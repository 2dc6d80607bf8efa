"""What each verb needs besides the core, and what it would miss."""

from __future__ import annotations

from collections.abc import Sequence

from chexphi.doctor.libraries import CORE, Library

VERBS: dict[str, tuple[str, ...]] = {
    "data, kg, rewards score, rewards agree, compare, mine select, watch, card, doctor, swift-plugin": (),
    "sft, grpo, sweep, plan, evaluate, ask, mine score, checkpoint, kg train, verl-rows": ("train",),
    "report, rewards probe": ("report",),
    "demo, study": ("train", "report"),
}
"""Verbs -> the extras that they need."""
FEATURES: dict[str, tuple[str, ...]] = {
    "Parquet files": ("train",),
    "rexkg:FOLDER": ("train",),
    "--engine ray": ("ray",),
    "--use_vllm": ("train", "vllm"),
    "--rewards radeval:METRIC": ("radeval",),
    "DeepSpeed's ZeRO": ("train", "deepspeed"),
    "DICOM to PNG, by a script of yours": ("dicom",),
}
"""What verbs can do with more libraries -> the extras."""
EXTRAS = VERBS | FEATURES


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
