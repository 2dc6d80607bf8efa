"""`chexphi checkpoint import`, `export` and `merge` against an independent writer and computation."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import original_checkpoint as independent
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import Phi4MultimodalConfig, Phi4MultimodalForCausalLM
from typer.testing import CliRunner

from chexphi.cli import app
from chexphi.models import adapter, policy, policy_folder, trainable, what_learns
from chexphi.models.families import phi4, tiny
from chexphi.models.lora_names import TARGETS, adapter_shapes
from chexphi.models.merging import merge
from chexphi.models.original_layout.exporting import export
from chexphi.models.original_layout.importing import convert
from chexphi.models.original_layout.inspect import inspect
from chexphi.models.original_layout.original_config import to_native, to_original
from chexphi.models.original_layout.tensor_map import make_plan
from chexphi.models.original_layout.tensor_names import original, original_lora
from chexphi.models.tensor_headers import Header, read_file
from chexphi.prompts import messages
from chexphi.schema import InputError

TEXTS = ["Is there an effusion?", "<think>The left lung is clear.</think><answer>no</answer>"]


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return tiny.train_tokenizer(TEXTS, vocab_size=400)


@pytest.fixture(scope="module")
def written(tokenizer: Any, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Tensor]]:
    folder = tmp_path_factory.mktemp("original") / "source"
    return folder, independent.write(folder, tokenizer)


@pytest.fixture(scope="module")
def imported(written: tuple[Path, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("imported") / "native"
    convert(written[0], folder)
    return folder


@pytest.fixture
def source(written: tuple[Path, Any], tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(written[0], tmp_path / "source"))


def run(*argv: object) -> Any:
    return CliRunner().invoke(app, ["checkpoint", *map(str, argv)])


def tensors_of(folder: Path) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for file in sorted(folder.glob("*.safetensors")):
        found |= load_file(file)
    return found


def bits(tensor: Tensor) -> tuple[torch.dtype, torch.Size, bytes]:
    return tensor.dtype, tensor.shape, tensor.contiguous().view(-1).view(torch.uint8).numpy().tobytes()


def same_bits(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return {name: bits(value) for name, value in first.items()} == {
        name: bits(value) for name, value in second.items()
    }


def inputs_of(processor: Any, film: Image.Image | None) -> dict[str, Tensor]:
    films = [] if film is None else [film]
    text = processor.apply_chat_template(messages(TEXTS[0], len(films)), add_generation_prompt=True)
    return dict(processor(text=[text], images=[films], return_tensors="pt"))


@pytest.mark.parametrize("which", ["vision", "speech"])
@pytest.mark.parametrize("size", [None, (50, 90)])
def test_logits_equal_an_independent_computation(
    which: str,
    size: tuple[int, int] | None,
    written: Any,
    imported: Path,
    tokenizer: Any,
    film: Callable[..., Any],
) -> None:
    folder = imported if which == "vision" else imported / "speech-lora"
    model, processor = policy.load(folder)
    inputs = inputs_of(processor, None if size is None else film(1, *size))
    expected = independent.native_model(tokenizer)
    plain = dict(inputs)
    if size is not None:  # under the native names; some patches are padding, so that attention runs both ways
        pixels, sizes = plain.pop("pixel_values"), plain.pop("image_sizes")
        mask = phi4.extent_mask(sizes, pixels.shape[1], size=32, patch_size=8)
        plain |= {"image_pixel_values": pixels, "image_sizes": sizes[:, :2], "image_attention_mask": mask}
        assert not mask.all()
    with torch.no_grad():
        without = expected(**plain).logits
        wanted = independent.merged(expected, independent.loras(expected), which)(**plain).logits
        found = model(**inputs).logits
    assert (without - wanted).abs().max() > 0.1  # the adapter matters
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=0)


def test_import_then_export_is_the_original_bit_for_bit(written: Any, imported: Path, tmp_path: Path) -> None:
    source, tensors = written
    export(imported, tmp_path / "back")
    assert same_bits(tensors_of(tmp_path / "back"), tensors)
    for file in source.iterdir():
        if file.suffix == ".json" and "index" not in file.name:
            assert (tmp_path / "back" / file.name).read_bytes() == file.read_bytes()
    assert {file.suffix for file in (tmp_path / "back").iterdir()} == {
        ".json", ".safetensors", ".md",
    }  # fmt: skip


@pytest.mark.parametrize("adapters", [False, True])
def test_export_then_import_is_the_native_policy_bit_for_bit(
    adapters: bool, tiny_folder: Path, tmp_path: Path
) -> None:
    native = tmp_path / "native"
    shutil.copytree(tiny_folder, native)
    if adapters:
        model = adapter.with_new_lora(phi4.load(native)[0], targets=TARGETS, rank=3, alpha=5, with_head=False)
        model.save_pretrained(str(native / "vision-lora"))
    export(native, tmp_path / "original")
    for file in (tmp_path / "original").iterdir():  # to be shared: no path of this machine
        assert str(tmp_path).encode() not in file.read_bytes(), file
        assert str(tiny_folder.parent).encode() not in file.read_bytes(), file
    convert(tmp_path / "original", tmp_path / "again")
    assert same_bits(tensors_of(native), tensors_of(tmp_path / "again"))
    first, second = (
        Phi4MultimodalConfig.from_pretrained(path).to_dict() for path in (native, tmp_path / "again")
    )
    for config in (first, second):  # the native class does not read this one
        config["audio_config"].pop("feature_layer")
    for unlike in ("transformers_version", "_name_or_path", "dtype", "partial_rotary_factor", "rope_scaling"):
        first.pop(unlike, None), second.pop(unlike, None)
    assert {key: second[key] for key in first} == first
    if adapters:
        lora = [tensors_of(path / "vision-lora") for path in (native, tmp_path / "again")]
        assert same_bits(*lora)
        kept = json.loads((tmp_path / "again" / "vision-lora" / "adapter_config.json").read_text())
        assert (kept["r"], kept["lora_alpha"], kept["target_modules"]) == (3, 5, TARGETS)
    else:
        assert not any(".base_layer." in name for name in tensors_of(tmp_path / "original"))


def test_a_setting_that_the_original_lacks_is_not_dropped(tiny_folder: Path, tmp_path: Path) -> None:
    native = Path(shutil.copytree(tiny_folder, tmp_path / "native"))
    config = json.loads((native / "config.json").read_text())
    config["audio_config"]["bias_symmetric"] = True
    (native / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError) as refused:
        export(native, tmp_path / "original")
    assert str(refused.value) == (
        "audio_config.bias_symmetric is True, which the original layout does not have: use the native "
        "folder as it is"
    )
    assert not (tmp_path / "original").exists()


def test_a_trained_policy_goes_back_with_its_own_head(imported: Path, tmp_path: Path) -> None:
    model, processor = policy.load(imported, with_head=True)
    model = trainable.prepare(model, what_learns.DEFAULT, targets=TARGETS, rank=1, alpha=1)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter += 0.01
    model.save_pretrained(str(tmp_path / "policy"))
    export(tmp_path / "policy", tmp_path / "original")
    assert not json.loads((tmp_path / "original" / "config.json").read_text())["tie_word_embeddings"]
    figures = convert(tmp_path / "original", tmp_path / "again")
    assert (figures["tied"], figures["adapters"]) == (False, {"vision": 16, "speech": 16})
    again = policy.load(tmp_path / "again")[0]
    merge(tmp_path / "policy", tmp_path / "merged")
    assert not policy_folder.locate(tmp_path / "merged").adapter
    inputs = inputs_of(processor, None)
    with torch.no_grad():
        wanted = model(**inputs).logits
        torch.testing.assert_close(again(**inputs).logits, wanted, atol=1e-6, rtol=0)
        torch.testing.assert_close(
            policy.load(tmp_path / "merged")[0](**inputs).logits, wanted, atol=1e-5, rtol=0
        )


@pytest.mark.parametrize("equal", [True, False])
def test_a_head_with_a_tensor_of_its_own(equal: bool, source: Path, written: Any, tmp_path: Path) -> None:
    tensors = dict(written[1])
    embedding = tensors["model.embed_tokens.weight"]
    tensors["lm_head.weight"] = embedding.clone() if equal else embedding + 0.5
    independent.save(source, tensors, shards=3)
    assert convert(source, tmp_path / "native")["tied"] == equal
    model = policy.load(tmp_path / "native")[0]
    assert torch.equal(model.get_output_embeddings().weight, tensors["lm_head.weight"])
    assert torch.equal(model.get_input_embeddings().weight, embedding)
    export(tmp_path / "native", tmp_path / "back")
    assert same_bits(tensors_of(tmp_path / "back"), tensors)


def test_types_are_kept(source: Path, written: Any, tmp_path: Path) -> None:
    tensors = {name: value if "lora" in name else value.bfloat16() for name, value in written[1].items()}
    independent.save(source, tensors, shards=2)
    config = json.loads((source / "config.json").read_text()) | {"torch_dtype": "bfloat16"}
    (source / "config.json").write_text(json.dumps(config))
    convert(source, tmp_path / "native")
    model = policy.load(tmp_path / "native")[0]
    assert model.get_input_embeddings().weight.dtype == torch.bfloat16
    export(tmp_path / "native", tmp_path / "back")
    assert same_bits(tensors_of(tmp_path / "back"), tensors)


def test_what_is_written_beside_the_weights(imported: Path) -> None:
    generation = json.loads((imported / "generation_config.json").read_text())
    _, processor = policy.load(imported)
    ends = processor.tokenizer.convert_tokens_to_ids(["<|endoftext|>", "<|end|>"])
    assert generation["eos_token_id"] == ends
    assert processor.image_processor.dynamic_hd == 12
    assert processor.apply_chat_template(messages("Is it?", 2), add_generation_prompt=True) == (
        "<|user|>\n<|image_1|>\n<|image_2|>\nIs it?<|end|>\n<|assistant|>\n"
    )
    assert not list(imported.rglob("*.py"))


def full_headers() -> tuple[dict[str, Header], dict[str, tuple[int, ...]]]:
    """The published sizes: every tensor by its original name, without memory."""
    with torch.device("meta"):
        model = Phi4MultimodalForCausalLM(
            Phi4MultimodalConfig(num_attention_heads=24, tie_word_embeddings=True)
        )
    shapes = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    names = {original(name): shape for name, shape in shapes.items() if name != "lm_head.weight"}
    for which, rank in (("vision", 256), ("speech", 320)):
        for name, shape in adapter_shapes(shapes, TARGETS, rank).items():
            names[original_lora(which, f"base_model.model.{name}")] = shape
    return {name: Header(shape, "BF16", "model.safetensors", 0, 0) for name, shape in names.items()}, shapes


def test_the_full_size_is_accounted_for_both_ways() -> None:
    tensors, shapes = full_headers()
    plan = make_plan(tensors, shapes, {"vision": 256, "speech": 320})
    assert not plan.dropped
    assert (
        plan.base.keys() | plan.adapters["vision"].keys() | plan.adapters["speech"].keys() == tensors.keys()
    )
    assert set(plan.base.values()) == shapes.keys() - {"lm_head.weight"}
    counts = {
        "base": sum(tensors[name].count for name in plan.base),
        **{which: sum(tensors[name].count for name in names) for which, names in plan.adapters.items()},
    }
    billions = {name: round(count / 1e9, 2) for name, count in counts.items()}
    assert billions == {"base": 4.74, "vision": 0.37, "speech": 0.46}
    assert {original(new): name for name, new in plan.base.items()} == {name: name for name in plan.base}


def test_the_published_settings_become_the_native_classes_own(tokenizer: Any) -> None:
    config = independent.settings(tokenizer)
    native = to_native(config, image_token=2, audio_token=3, ends=[0, 1])
    built = Phi4MultimodalConfig(**native)
    wanted = independent.native_model(tokenizer).config
    for part in ("vision_config", "audio_config"):
        first, second = getattr(built, part).to_dict(), getattr(wanted, part).to_dict()
        assert {k: v for k, v in first.items() if "token" not in k} == {
            k: v for k, v in second.items() if "token" not in k
        }
    for name in ("hidden_size", "num_key_value_heads", "sliding_window", "tie_word_embeddings"):
        assert getattr(built, name) == getattr(wanted, name)
    assert {k: built.rope_parameters[k] for k in ("rope_type", "partial_rotary_factor", "long_factor")} == {
        k: wanted.rope_parameters[k] for k in ("rope_type", "partial_rotary_factor", "long_factor")
    }
    loras = {name: config[f"{name}_lora"] for name in ("vision", "speech")}
    back = to_original(built.to_dict(), loras)
    again = to_native(back, image_token=2, audio_token=3, ends=[0, 1])
    assert Phi4MultimodalConfig(**again).to_dict() == built.to_dict()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            lambda t: t.pop("model.norm.weight"),
            "lacks 1 tensor, the first is natively model.norm.weight",
        ),
        (
            lambda t: t.pop("model.layers.1.mlp.down_proj.lora_B.vision.weight"),
            r"lacks 1 tensor, .*lora_B",
        ),
        (lambda t: t.update(extra=torch.zeros(1)), "has extra, which the native model does not have"),
        (
            lambda t: t.update({"model.norm.weight": torch.zeros(7)}),
            r"of shape \(7,\), where config.json asks for",
        ),
        (
            lambda t: t.update({"model.layers.0.mlp.down_proj.lora_A.vision.weight": torch.zeros(5, 48)}),
            r"of shape \(5, 48\), where config.json asks for \(4, 48\)",
        ),
        (
            lambda t: t.update({"model.layers.0.mlp.down_proj.lora_A.video.weight": torch.zeros(4, 48)}),
            "belongs to the adapter 'video', which config.json does not describe",
        ),
        (
            lambda t: t.update({"model.layers.0.mlp.down_proj.weight": torch.zeros(32, 48)}),
            "have one name natively",
        ),
    ],
)
def test_tensors_that_do_not_fit(
    damage: Callable[[dict[str, Tensor]], object], message: str, source: Path, written: Any, tmp_path: Path
) -> None:
    tensors = dict(written[1])
    damage(tensors)
    independent.save(source, tensors, shards=3)
    with pytest.raises(InputError, match=message):
        convert(source, tmp_path / "native")
    assert not (tmp_path / "native").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "phi3_v"}, "holds a model of type 'phi3_v'"),
        ({"model_type": "phi4_multimodal"}, "is in the native layout: use it as it is"),
        ({"hidden_size": 30}, "config.json"),
        ({"mlp_bias": True}, "mlp_bias is True, and the native class has False only"),
        ({"tie_word_embeddings": False}, "unties lm_head, but lm_head.weight is missing"),
        ({"audio_processor": {}}, "has no audio_processor.config"),
        ({"vision_lora": {"r": 5, "lora_alpha": 8}}, "config.json asks for"),
    ],
)
def test_settings_that_do_not_fit(
    changes: dict[str, Any], message: str, source: Path, tmp_path: Path
) -> None:
    config = json.loads((source / "config.json").read_text()) | changes
    (source / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match=message):
        convert(source, tmp_path / "native")
    assert not (tmp_path / "native").exists()


def test_files_that_do_not_fit(source: Path, tmp_path: Path) -> None:
    shard = source / "model-00002-of-00003.safetensors"
    whole = shard.read_bytes()
    for content in (whole[:-10], whole[:100], b""):
        shard.write_bytes(content)
        result = run("import", source, tmp_path / "native")
        assert "model-00002-of-00003.safetensors is damaged or cut short" in str(result.exception)
    shard.write_bytes(whole)
    (source / "tokenizer.json").rename(tmp_path / "kept.json")
    with pytest.raises(InputError, match=r"has no tokenizer\.json"):
        convert(source, tmp_path / "native")
    assert not (tmp_path / "native").exists()


def test_a_folder_that_is_taken(written: Any, imported: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="already holds a model"):
        convert(written[0], imported)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="is not empty"):
        convert(written[0], tmp_path)
    (tmp_path / "notes.txt").rename(tmp_path / "conversion.json")
    (tmp_path / "conversion.json").write_text('{"sources": "other"}')
    with pytest.raises(InputError, match="the beginning of another conversion"):
        convert(written[0], tmp_path)
    with pytest.raises(InputError, match="is a file"):
        convert(written[0], tmp_path / "conversion.json")


class Shell:
    """What a foreign pickle may carry."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch /tmp/chexphi-pickle-ran",)


def test_pickles_are_read_only_when_trusted_and_then_only_tensors(
    source: Path, written: Any, tmp_path: Path
) -> None:
    for file in source.glob("*.safetensors"):
        torch.save(load_file(file), file.with_suffix(".bin"))
        file.unlink()
    (source / "model.safetensors.index.json").unlink()
    with pytest.raises(InputError, match=r"a pickle, which can run code .* give --allow-pickle"):
        convert(source, tmp_path / "native")
    assert run("import", source, tmp_path / "native", "--allow-pickle").exit_code == 0
    export(tmp_path / "native", tmp_path / "back")
    assert same_bits(tensors_of(tmp_path / "back"), written[1])
    assert {path.name for path in tmp_path.iterdir()} == {"source", "native", "back"}
    torch.save({"model.norm.weight": Shell()}, source / "model-00001-of-00003.bin")
    with pytest.raises(InputError, match="holds more than tensors"):
        convert(source, tmp_path / "other", allow_pickle=True)
    assert not Path("/tmp/chexphi-pickle-ran").exists()
    assert not (tmp_path / "other").exists()


@pytest.mark.slow
def test_a_full_disk_leaves_nothing_that_looks_whole_and_the_same_command_goes_on(
    written: Any, tmp_path: Path
) -> None:
    source, target = written[0], tmp_path / "native"
    sizes = [file.stat().st_size for file in source.glob("*.safetensors")]
    command = [sys.executable, "-m", "chexphi", "checkpoint", "import", str(source), str(target)]
    limit = min(sizes) // 4  # a file that grows beyond it fails, as on a full disk
    result = subprocess.run(
        command,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    assert result.returncode == 2
    assert "cannot be written" in result.stderr
    assert "Traceback" not in result.stderr
    assert {path.name for path in target.iterdir()} == {"conversion.json"}
    with pytest.raises(InputError, match="no config"):
        policy.load(target)
    # a first file written by the stopped run is not written again
    first = next(name for name in sorted(os.listdir(source)) if name.endswith(".safetensors"))
    assert subprocess.run(command, capture_output=True).returncode == 0
    assert (target / first).is_file()


def test_what_a_stopped_import_wrote_is_kept(written: Any, tmp_path: Path) -> None:
    target = tmp_path / "native"

    class StopError(Exception):
        pass

    def stop(done: int, total: int) -> None:
        if done > total // 2:
            raise StopError

    with pytest.raises(StopError):
        convert(written[0], target, progress=stop)
    kept = {path: path.stat().st_mtime_ns for path in target.rglob("*.safetensors")}
    assert kept
    assert not (target / "config.json").exists()
    assert not list(target.rglob("*.part"))
    convert(written[0], target)
    assert all(path.stat().st_mtime_ns == when for path, when in kept.items())
    export(target, tmp_path / "back")
    assert same_bits(tensors_of(tmp_path / "back"), written[1])


@pytest.mark.parametrize(
    "argv",
    [
        *(
            f"{verb} --model MODEL --data DATA --out OUT"
            for verb in ("sft", "grpo", "evaluate", "mine score")
        ),
        "ask MODEL Question?",
        "checkpoint merge MODEL OUT",
        "checkpoint export MODEL OUT",
    ],
)
def test_every_verb_that_takes_a_model_says_how_to_import(argv: str, written: Any, tmp_path: Path) -> None:
    row = {"question": "Is it?", "answer": "no", "images": []}
    row |= {"explanation": "<think>It is.</think><answer>no</answer>"}
    (tmp_path / "rows.json").write_text(json.dumps([row | {"id": str(i)} for i in range(8)]))
    words = {"MODEL": written[0], "DATA": tmp_path / "rows.json", "OUT": tmp_path / "out"}
    result = CliRunner().invoke(app, [str(words.get(word, word)) for word in argv.split()])
    assert isinstance(result.exception, InputError)
    assert f"must be imported first: chexphi checkpoint import {written[0]} DST" in str(result.exception)
    assert not (tmp_path / "out").exists()


def test_an_adapter_for_another_base_and_half_a_pair(
    imported: Path, tiny_folder: Path, tmp_path: Path
) -> None:
    other = shutil.copytree(tiny_folder, tmp_path / "other")
    shutil.copytree(imported / "vision-lora", other / "vision-lora")
    with pytest.raises(InputError, match=r"belongs to another base"):
        policy.load(other)
    lone = shutil.copytree(imported / "vision-lora", tmp_path / "lone")
    config = json.loads((lone / "adapter_config.json").read_text()) | {
        "base_model_name_or_path": str(imported)
    }
    (lone / "adapter_config.json").write_text(json.dumps(config))
    tensors = load_file(lone / "adapter_model.safetensors")
    tensors.pop("base_model.model.model.layers.0.mlp.down_proj.lora_B.weight")
    save_file(tensors, lone / "adapter_model.safetensors")
    assert inspect(lone)["missing"] == ["model.layers.0.mlp.down_proj.lora_B.weight"]
    assert json.loads(run("inspect", lone, "--json").stdout)["base"] == str(imported)
    assert "adapter of" in run("inspect", lone).stdout
    with pytest.raises(
        InputError, match=r"lacks 1 tensor, the first model\.layers\.0\.mlp\.down_proj\.lora_B"
    ):
        policy.load(lone)
    config["base_model_name_or_path"] = "/gone"
    (lone / "adapter_config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match="names its base '/gone', where no model is"):
        policy.load(lone)


def test_an_adapters_own_pattern_does_not_reach_the_audio_encoder(imported: Path, tmp_path: Path) -> None:
    base = shutil.copytree(imported, tmp_path / "native")
    config = json.loads((base / "vision-lora" / "adapter_config.json").read_text())
    config["target_modules"] = [
        "qkv_proj",
        "o_proj",
        "gate_up_proj",
        "down_proj",
    ]  # as PEFT would have saved it
    (base / "vision-lora" / "adapter_config.json").write_text(json.dumps(config))
    first, second = (policy.load(folder)[0].state_dict() for folder in (imported, base))
    assert first.keys() == second.keys()
    assert not any("audio" in name and ".lora_" in name for name in second)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_merge_refuses_what_it_cannot_do(tiny_folder: Path, imported: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has no adapter: there is nothing to merge"):
        merge(tiny_folder, tmp_path / "merged")
    with pytest.raises(InputError, match="already holds a run"):
        merge(imported, imported)


def test_a_written_file_is_one_that_the_library_reads(imported: Path) -> None:
    for file in imported.rglob("*.safetensors"):
        headers, tensors = read_file(file), load_file(file)
        assert {name: tuple(value.shape) for name, value in tensors.items()} == {
            name: header.shape for name, header in headers.items()
        }


@pytest.mark.parametrize("lora", [{}, [], {"r": 4}, {"r": "4", "lora_alpha": 8}, {"r": 0, "lora_alpha": 8}])
def test_settings_of_an_original_adapter_are_checked_before_anything_is_written(
    source: Path, tmp_path: Path, lora: Any
) -> None:
    config = json.loads((source / "config.json").read_text())
    (source / "config.json").write_text(json.dumps(config | {"vision_lora": lora}))
    with pytest.raises(InputError, match="vision_lora has no r, lora_alpha and dp that are numbers"):
        convert(source, tmp_path / "native")
    assert not (tmp_path / "native").exists()
