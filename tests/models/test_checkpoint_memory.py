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
from transformers import Phi4MultimodalConfig, Phi4MultimodalForCausalLM

from chexphi.models import tiny
from chexphi.models.checkpoint import headers
from chexphi.models.checkpoint.importing import read_original

SIZES = {"hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 14, "num_attention_heads": 16}
SHARD = 200 << 20
MEASURE = """
import resource, sys
from chexphi.cli import main
sys.argv = ["chexphi", "checkpoint", "import", *sys.argv[1:]]
try:
    main()
finally:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)
"""


def write_large(folder: Path) -> None:
    """2 GB of bf16 in shards of 200 MB, both adapters among them, one shard in memory at a time."""
    tokenizer = tiny.train_tokenizer(["Is there an effusion?"], vocab_size=400)
    folder.mkdir()
    config = independent.settings(tokenizer) | SIZES | {"vocab_size": 40_000, "torch_dtype": "bfloat16"}
    config["rope_scaling"] |= {key: [1.0] * 48 for key in ("long_factor", "short_factor")}
    (folder / "config.json").write_text(json.dumps(config))
    tokenizer.save_pretrained(folder)
    native = Phi4MultimodalConfig(
        **SIZES,
        vocab_size=40_000,
        num_key_value_heads=2,
        vision_config=independent.VISION | {"crop_size": 32},
        audio_config={"hidden_size": 8, "intermediate_size": 12, "num_blocks": 2, "num_attention_heads": 2}
        | dict.fromkeys(("ext_pw_out_channel", "depthwise_separable_out_channel", "nemo_conv_channels"), 8)
        | {"bias_max_distance": 16},
    )
    with torch.device("meta"):
        model = Phi4MultimodalForCausalLM(native)
    shapes = {independent.spelled(n): t.shape for n, t in model.state_dict().items() if n != "lm_head.weight"}
    shapes |= {name: value.shape for name, value in independent.loras(model).items()}
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
    assert len(files) >= 8
    command = [sys.executable, "-c", MEASURE, str(source), str(target)]
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
    peak = int(result.stderr.split()[-1]) * 1024
    bar = 1.5 * max(files) + 300e6
    print(f"peak {peak / 1e6:.0f} MB, bar {bar / 1e6:.0f} MB, largest shard {max(files) / 1e6:.0f} MB")
    assert peak <= bar
    count = sum(header.size for header in headers.read(source).values())
    written = (target, target / "vision-lora", target / "speech-lora")
    assert sum(header.size for folder in written for header in headers.read(folder).values()) == count
    assert read_original(source)["model_type"] == "phi4mm"
