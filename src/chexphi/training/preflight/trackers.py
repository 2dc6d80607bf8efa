"""`report_to`: whether each tracker that a run reports to is installed, before anything is loaded."""

from __future__ import annotations

from collections.abc import Sequence

from transformers.integrations import integration_utils as native

from chexphi.schema import InputError, shown

TRACKERS = {
    "azure_ml": (native.is_azureml_available, "azureml-sdk"),
    "clearml": (native.is_clearml_available, "clearml"),
    "codecarbon": (native.is_codecarbon_available, "codecarbon"),
    "comet_ml": (native.is_comet_available, "comet-ml"),
    "dagshub": (native.is_dagshub_available, "dagshub mlflow"),
    "dvclive": (native.is_dvclive_available, "dvclive"),
    "flyte": (native.is_flytekit_available, "flytekit"),
    "kubeflow": (native.is_kubeflow_available, ""),
    "mlflow": (native.is_mlflow_available, "mlflow"),
    "neptune": (native.is_neptune_available, "neptune"),
    "swanlab": (native.is_swanlab_available, "swanlab"),
    "tensorboard": (native.is_tensorboard_available, "tensorboard"),
    "trackio": (native.is_trackio_available, "trackio"),
    "wandb": (native.is_wandb_available, "wandb"),
}
"""Tracker -> how transformers checks that it is installed, and the package that pip installs."""


def check(report_to: Sequence[str]) -> None:
    """Refuse a tracker that is unknown or whose library is not installed.

    Args:
        report_to: As TRL's config has it: `none` is an empty list, `all` a list of what is installed.

    Raises:
        InputError: For the first of these.
    """
    for name in report_to:
        if name not in TRACKERS:
            choices = f"use none, all or a list of {', '.join(TRACKERS)}"
            hint = "use it alone" if name in ("all", "none") else choices
            raise InputError(f"report_to names {shown(name)}: {hint}")
        is_available, package = TRACKERS[name]
        if is_available():
            continue
        if not package:
            raise InputError(f"report_to names {name!r}, which only a job of its cluster has: leave it out")
        raise InputError(
            f"report_to names {name!r}, whose library is not installed: pip install {package}, or use "
            "--report_to none"
        )
