"""`chexphi checkpoint inspect` on small folders in both layouts, whole and damaged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from typer.testing import CliRunner, Result

from chexphi.cli import app
from chexphi.models.lora_names import ADAPTED
from chexphi.models.original_layout.inspect import inspect
from chexphi.models.original_layout.tensor_names import original
from chexphi.schema import InputError

RANKS = {"vision": 4, "speech": 6}


@pytest.fixture
def original_folder(tiny_folder: Path, tmp_path: Path) -> Path:
    """The tiny model under the original's names, both adapters among its weights, in two files, tied."""
    folder = tmp_path / "original"
    folder.mkdir()
    weights = {original(k): v for k, v in load_file(tiny_folder / "model.safetensors").items()}
    weights.pop("lm_head.weight", None)
    for name in [name for name in weights if name.endswith(".base_layer.weight")]:
        out, into = weights[name].shape
        for adapter, rank in RANKS.items():
            stem = name.removesuffix("base_layer.weight")
            weights[f"{stem}lora_A.{adapter}.weight"] = torch.randn(rank, into)
            weights[f"{stem}lora_B.{adapter}.weight"] = torch.randn(out, rank)
    names = sorted(weights)
    shards = {"model-1.safetensors": names[::2], "model-2.safetensors": names[1::2]}
    for file, part in shards.items():
        save_file({name: weights[name].contiguous() for name in part}, folder / file)
    index = {"weight_map": {name: file for file, part in shards.items() for name in part}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    config = {"model_type": "phi4mm", "num_hidden_layers": 2}
    config |= {f"{adapter}_lora": {"r": rank, "lora_alpha": 2 * rank} for adapter, rank in RANKS.items()}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def invoke(*argv: object) -> Result:
    return CliRunner().invoke(app, ["checkpoint", "inspect", *map(str, argv)])


def test_the_original_layout(original_folder: Path, tiny_folder: Path) -> None:
    found, plain = inspect(original_folder), inspect(tiny_folder)
    assert (found["layout"], plain["layout"]) == ("original", "native")
    tensors = load_file(tiny_folder / "model.safetensors")
    assert sum(plain["parameters"].values()) == sum(value.numel() for value in tensors.values())
    without_head = {part: count for part, count in plain["parameters"].items() if part != "lm_head"}
    assert found["parameters"] == without_head
    assert {"language", "vision tower", "image projector", "audio"} <= found["parameters"].keys()
    sizes = [sum(tensors[f"model.layers.0.{layer}.weight"].shape) for layer in ADAPTED]
    assert found["adapters"] == {
        adapter: {"rank": rank, "alpha": 2 * rank, "parameters": 2 * rank * sum(sizes)}
        for adapter, rank in RANKS.items()
    }
    assert (found["dtypes"], found["tied"], found["files"]) == (["F32"], True, 2)
    assert found["missing"] == plain["missing"] == []
    assert plain["adapters"] == {}


def test_peft_folders_beside_native_weights(tiny_folder: Path, tmp_path: Path) -> None:
    folder = tmp_path / "native"
    (folder / "vision-lora").mkdir(parents=True)
    for name in ("config.json", "model.safetensors"):
        (folder / name).write_bytes((tiny_folder / name).read_bytes())
    (folder / "vision-lora" / "adapter_config.json").write_text(json.dumps({"r": 4, "lora_alpha": 8}))
    save_file({"a": torch.zeros(4, 3)}, folder / "vision-lora" / "adapter_model.safetensors")
    assert inspect(folder)["adapters"] == {"vision-lora": {"rank": 4, "alpha": 8, "parameters": 12}}


def test_what_is_missing_is_named(original_folder: Path) -> None:
    (original_folder / "model.safetensors.index.json").unlink()
    lost = []
    for file in sorted(original_folder.glob("*.safetensors")):
        weights = load_file(file)
        gone = next(n for n in sorted(weights) if n.startswith("model.layers.1.") and "lora_B" in n)
        lost.append(gone)
        del weights[gone]
        save_file(weights, file)
    assert inspect(original_folder)["missing"] == sorted(lost)
    assert "2 missing, the first" in " ".join(invoke(original_folder).stdout.split())


def test_the_verb_prints_for_people_and_for_programs(original_folder: Path) -> None:
    assert json.loads(invoke(original_folder, "--json").stdout) == inspect(original_folder)
    printed = invoke(original_folder).stdout
    assert "adapter vision" in printed
    assert "nothing missing" in " ".join(printed.split())


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("config.json", None, "has no config.json"),
        ("config.json", b"{", "config.json is not JSON"),
        ("config.json", b"[]", "config.json is not a JSON object"),
        ("config.json", b'{"model_type": "llava"}', "type 'llava'"),
        ("model-1.safetensors", None, r"names .* in model-1.safetensors, which is not there"),
        ("model-1.safetensors", b"", "is damaged or cut short"),
        ("model.safetensors.index.json", b"{}", "is not an index of weights"),
    ],
)
def test_damage_is_one_sentence(
    file: str, content: bytes | None, message: str, original_folder: Path
) -> None:
    if content is None:
        (original_folder / file).unlink()
    else:
        (original_folder / file).write_bytes(content)
    with pytest.raises(InputError, match=message):
        inspect(original_folder)


def test_a_file_that_is_cut_and_a_pickle(original_folder: Path) -> None:
    file = original_folder / "model-2.safetensors"
    file.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(InputError, match=r"model-2\.safetensors is damaged or cut short"):
        inspect(original_folder)
    for part in original_folder.glob("*.safetensors"):
        part.unlink()
    (original_folder / "pytorch_model.bin").write_bytes(b"x")
    with pytest.raises(InputError, match=r"pytorch_model\.bin is a pickle and is not read"):
        inspect(original_folder)
