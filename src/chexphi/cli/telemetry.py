"""Turns off libraries' reports of their use, unless the user turned one on.

The command line does so before a library is imported; its child processes inherit the variables. The
environment of those who use the package from Python stays as it is: the trainers send nothing there either
(`training.kept_here`).
"""

from __future__ import annotations

import os
from collections.abc import MutableMapping

REPORTS_OFF = {
    "HF_HUB_DISABLE_TELEMETRY": "1",  # TRL, transformers, datasets, gradio's hub calls
    "RAY_USAGE_STATS_ENABLED": "0",
    "VLLM_NO_USAGE_STATS": "1",
    "GRADIO_ANALYTICS_ENABLED": "False",  # trackio
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "WANDB_ERROR_REPORTING": "false",
}
"""The variables that turn off each library's reports."""


def turn_off(environment: MutableMapping[str, str] = os.environ) -> None:
    """Turn the reports of libraries off; a variable that is set stays as it is."""
    for name, value in REPORTS_OFF.items():
        environment.setdefault(name, value)
