"""The import of a 2 GB checkpoint of many shards: memory, and a `kill -9` in its middle."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import original_checkpoint as independent
import pytest
import torch
from safetensors.torch import save_file

from chexphi.models import tensor_headers
from chexphi.models.families import tiny
from chexphi.models.lora_names import TARGETS, adapter_shapes
from chexphi.models.original_layout.importing import native_shapes
from chexphi.models.original_layout.original_config import to_native
from chexphi.models.original_layout.tensor_names import original_lora

SIZES = {"hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16, "num_attention_heads": 16}
SHARD = 330 << 20
MEASURE = """
import sys
sys.path.append(sys.argv[1])
from process_memory import peak_bytes
from chexphi.cli import main
sys.argv = ["chexphi", "checkpoint", "import", *sys.argv[2:]]
try:
    main()
finally:
    print(peak_bytes(), file=sys.stderr)
"""
TESTS = Path(__file__).parents[2]


def write_large(folder: Path) -> None:
    """2 GB of bf16 in shards of 350 MB, both adapters among them, one shard in memory at a time."""
    tokenizer = tiny.train_tokenizer(["Is there an effusion?"], vocab_size=400)
    folder.mkdir()
    config = independent.settings(tokenizer) | SIZES | {"vocab_size": 40_000, "torch_dtype": "bfloat16"}
    config["rope_scaling"] |= {key: [1.0] * 48 for key in ("long_factor", "short_factor")}
    (folder / "config.json").write_text(json.dumps(config))
    tokenizer.save_pretrained(folder)
    native = native_shapes(to_native(config, image_token=2, audio_token=3, ends=[0, 1]))
    shapes = {independent.spelled(name): shape for name, shape in native.items() if name != "lm_head.weight"}
    for which, rank in independent.RANKS.items():
        for name, shape in adapter_shapes(native, TARGETS, rank).items():
            shapes[original_lora(which, f"base_model.model.{name}")] = shape
    shard: dict[str, torch.Tensor] = {}
    for number, (name, shape) in enumerate(shapes.items()):
        shard[name] = torch.randint(-9999, 9999, shape, dtype=torch.int16).view(torch.bfloat16)
        if sum(value.nbytes for value in shard.values()) > SHARD or number + 1 == len(shapes):
            save_file(shard, folder / f"model-{number:05}.safetensors")
            shard = {}


@pytest.mark.slow
def test_memory_of_a_large_import_and_a_kill_in_its_middle(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "native"
    write_large(source)
    files = [file.stat().st_size for file in source.glob("*.safetensors")]
    assert sum(files) > 2e9
    assert len(files) >= 5
    command = [sys.executable, "-c", MEASURE, str(TESTS), str(source), str(target)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    while not len(list(target.glob("*.safetensors"))) >= 3:
        assert process.poll() is None, "it ended before it could be killed"
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    kept = {file: file.stat().st_mtime_ns for file in target.glob("*.safetensors")}
    assert not (target / "config.json").exists()
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert all(file.stat().st_mtime_ns == when for file, when in kept.items())
    assert not list(target.rglob("*.part"))
    peak = int(result.stderr.split()[-1])
    bar = 1.5 * max(files) + 300e6
    assert peak <= bar, f"{peak / 1e6:.0f} MB, largest shard {max(files) / 1e6:.0f} MB"
    count = sum(header.size for header in tensor_headers.read(source).values())
    written = (target, target / "vision-lora", target / "speech-lora")
    assert sum(header.size for folder in written for header in tensor_headers.read(folder).values()) == count
