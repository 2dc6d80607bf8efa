"""Settings that would send a run's texts or files away. What TRL does by itself is in `training.kept_here`.

A run's folder holds patients' texts (`completions.jsonl`, `predictions.jsonl`), so nothing uploads it. A
tracker that `report_to` names gets figures and TRL's settings, but no text.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from chexphi.schema import InputError
from chexphi.training.preflight import trackers

HUB = (
    "push_to_hub", "hub_model_id", "hub_token", "hub_always_push", "hub_revision", "log_completions_hub_repo",
)  # fmt: skip
"""Settings that upload; TRL would make a public repository of the whole folder."""
FOLDER_UPLOADS = {
    "comet_ml": ("COMET_LOG_ASSETS", ("1", "true")),
    "dagshub": ("HF_DAGSHUB_LOG_ARTIFACTS", ("1", "true", "yes", "on")),
    "dvclive": ("HF_DVCLIVE_LOG_MODEL", ("all",)),
}
"""Tracker -> environment variable, and its values that make transformers upload the whole run folder."""


def check(args: Any, verb: str, environment: Mapping[str, str] = os.environ) -> None:
    """Refuse settings that would print patients' texts or send them away.

    Args:
        args: TRL's config, or its values.
        verb: Of the stage, for the message.
        environment: The environment variables, which trackers read.

    Raises:
        InputError: For the first such setting; values are not shown, because one of them is a password.
    """
    if name := next((name for name in HUB if getattr(args, name, None)), None):
        raise InputError(
            f"{verb}: {name} is set, and a run's folder holds patients' texts, and is not uploaded: leave "
            "it out, and upload the finished policy alone: hf upload USER/NAME RUN/model --private"
        )
    if getattr(args, "log_completions", False):
        raise InputError(
            f"{verb}: log_completions is true, which would print patients' texts and send them to trackers: "
            "leave it out, completions.jsonl has every completion"
        )
    for tracker in trackers.names(args.report_to):
        _check_tracker(tracker, args, verb, environment)


def _check_tracker(tracker: str, args: Any, verb: str, environment: Mapping[str, str]) -> None:
    variable, values = FOLDER_UPLOADS.get(tracker, ("", ()))
    if variable and environment.get(variable, "").lower() in values:
        raise InputError(
            f"{verb}: {variable} is {environment[variable]}, with which {tracker} would upload the run's "
            "folder with its patients' texts: unset it"
        )
    space = args.trackio_space_id or args.trackio_bucket_id or environment.get("TRACKIO_SPACE_ID")
    if tracker == "trackio" and space and not args.hub_private_repo:
        raise InputError(
            f"{verb}: trackio would make a public Space of the run's figures: set hub_private_repo to true, "
            "or leave out trackio_space_id and trackio_bucket_id"
        )
