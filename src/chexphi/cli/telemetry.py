"""Libraries that report their use to their makers: off, unless the user turned one on herself.

Set for the command line before a library is imported; processes that it starts inherit it. Who uses the
package from Python keeps her environment: the trainers send nothing there either (`training.outward`).
"""

from __future__ import annotations

import os
from collections.abc import MutableMapping

OFF = {
    "HF_HUB_DISABLE_TELEMETRY": "1",  # TRL, transformers, datasets, gradio's hub calls
    "RAY_USAGE_STATS_ENABLED": "0",
    "VLLM_NO_USAGE_STATS": "1",
    "GRADIO_ANALYTICS_ENABLED": "False",  # trackio
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "WANDB_ERROR_REPORTING": "false",
}
"""What turns each library's own reports off."""


def turn_off(environment: MutableMapping[str, str] = os.environ) -> None:
    """Turn the reports of libraries off; a variable that is set stays as it is."""
    for name, value in OFF.items():
        environment.setdefault(name, value)
