"""`report_to`: whether each tracker that a run reports to is known, and its library is installed."""

from __future__ import annotations

from typing import Any

from chexphi.schema import InputError, shown

TRACKERS = {
    "azure_ml": ("is_azureml_available", "azureml-sdk"),
    "clearml": ("is_clearml_available", "clearml"),
    "codecarbon": ("is_codecarbon_available", "codecarbon"),
    "comet_ml": ("is_comet_available", "comet-ml"),
    "dagshub": ("is_dagshub_available", "dagshub mlflow"),
    "dvclive": ("is_dvclive_available", "dvclive"),
    "flyte": ("is_flytekit_available", "flytekit"),
    "kubeflow": ("is_kubeflow_available", ""),
    "mlflow": ("is_mlflow_available", "mlflow"),
    "neptune": ("is_neptune_available", "neptune"),
    "swanlab": ("is_swanlab_available", "swanlab"),
    "tensorboard": ("is_tensorboard_available", "tensorboard"),
    "trackio": ("is_trackio_available", "trackio"),
    "wandb": ("is_wandb_available", "wandb"),
}
"""Tracker -> transformers' function that says whether it is installed, and the package that pip installs."""


def names(report_to: Any) -> list[Any]:
    """The trackers of a setting: a name, a list of them, or `none` or `all` alone.

    TRL's config has `none` as an empty list, and `all` as a list of what is installed.
    """
    listed = report_to if isinstance(report_to, list) else [report_to]
    return [] if listed in (["none"], ["all"]) else listed


def check_names(report_to: Any) -> None:
    """Refuse an unknown tracker.

    Args:
        report_to: The setting, as it was given or as TRL's config has it.

    Raises:
        InputError: For the first of these.
    """
    for name in names(report_to):
        if name not in TRACKERS:
            choices = f"use none, all or a list of {', '.join(TRACKERS)}"
            hint = "use it alone" if name in ("all", "none") else choices
            raise InputError(f"report_to names {shown(name)}: {hint}")


def check_installed(report_to: Any) -> None:
    """Refuse a known tracker whose library is not installed.

    Raises:
        InputError: For the first of these.
    """
    from transformers.integrations import integration_utils as native

    for name in names(report_to):
        function, package = TRACKERS[name]
        if getattr(native, function)():
            continue
        if not package:
            raise InputError(f"report_to names {name!r}, which only a job of its cluster has: leave it out")
        raise InputError(
            f"report_to names {name!r}, whose library is not installed: pip install {package}, or use "
            "--report_to none"
        )
