"""Imports libraries one after another and prints a line of JSON for each: `python -m chexphi.doctor.child`.

A process of its own, because an import can end the process or never return. What libraries print is dropped.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import warnings
from typing import Any

MAX_ERROR = 200
"""Characters of an error that are shown."""


def facts(module: str) -> dict[str, Any]:
    """What an imported library says about this machine; empty for most."""
    if module == "torch":
        return {"devices": torch_devices()}
    return {"transfer_syntaxes": transfer_syntaxes()} if module == "pydicom" else {}


def torch_devices() -> dict[str, Any]:
    """The GPUs and the instructions of the CPU that torch uses."""
    import torch

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        has_cuda = torch.cuda.is_available()
    properties = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count() * has_cuda)]
    return {
        "built_for_cuda": torch.version.cuda,
        "cuda": [
            {"name": gpu.name, "gb": gpu.total_memory / 1e9, "capability": f"{gpu.major}.{gpu.minor}"}
            for gpu in properties
        ],
        "cuda_warnings": [first_line(warning.message) for warning in caught],
        "mps": torch.backends.mps.is_available(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
    }


def transfer_syntaxes() -> dict[str, bool]:
    """Each compressed transfer syntax of DICOM, and whether a decoder for it is installed."""
    from pydicom.pixels import get_decoder
    from pydicom.uid import AllTransferSyntaxes

    readable = {}
    for uid in AllTransferSyntaxes:
        try:
            decoder = get_decoder(uid)
        except NotImplementedError:
            continue
        if uid.is_compressed:
            readable[uid.name] = bool(decoder.is_available)
    return readable


def first_line(error: object) -> str:
    """The start of a message, without the folders of the environment and of the user."""
    text = str(error).strip().partition("\n")[0]
    for folder, name in ((sys.prefix, "ENVIRONMENT"), (os.path.expanduser("~"), "~")):
        text = text.replace(folder, name) if len(folder) > 1 else text
    return text[:MAX_ERROR]


def main(modules: list[str]) -> None:
    """Import each and write its line; libraries' own output goes nowhere."""
    lines = os.fdopen(os.dup(1), "w")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)
    for module in modules:
        try:
            importlib.import_module(module)
            row = facts(module)
        except BaseException as error:  # an import can raise anything, SystemExit too
            row = {"error": f"{type(error).__name__}: {first_line(error)}"}
        lines.write(json.dumps({"module": module, **row}) + "\n")
        lines.flush()
    os._exit(0)  # some libraries fail when the interpreter ends


if __name__ == "__main__":
    main(sys.argv[1:])
